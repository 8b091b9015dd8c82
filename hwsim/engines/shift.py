"""No multiplier after the sum: every ratio of scales becomes the nearest power of two, so that a shift does."""

from hwsim.engines._profile import LAYERS, Engine, Rule, multiplying, on_bytes, requantizing

ROUNDED = ("floor", "half_away", "half_even", "truncate")
"""Ways to round beside ties up."""


def _rules(rounding: str, sum_rounding: str) -> dict[tuple[str, str], Rule]:
    once = Rule(rounding, "power_of_two")
    return {
        **on_bytes((*LAYERS, "mul"), once),
        **on_bytes(("add",), Rule(f"sum_{sum_rounding}", "power_of_two")),
        **multiplying(once),
        **requantizing(once),
    }


ENGINE = Engine(
    name="shift",
    summary="power-of-two scales: a shift with one rounding, ties up; other ratios go to the nearest power of two",
    lineage=("shift", "litert-reference"),
    rules=_rules("single_rounding", "half_up"),
    source="as CMSIS-NN's q7 functions and many DSPs, ARM-software/CMSIS-NN before 4.0; other operators as "
    "LiteRT's reference",
    variants={name: {"rules": _rules(f"dyadic_{name}", name)} for name in ROUNDED},
)
