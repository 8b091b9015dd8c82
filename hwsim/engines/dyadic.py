"""A plain integer datapath: every scale is a dyadic number b / 2^c, every sum is rounded once."""

from hwsim.engines._profile import LAYERS, Engine, Rule, multiplying, on_bytes, requantizing

ROUNDED = ("floor", "half_away", "half_even", "truncate")
"""Ways to round beside ties up."""


def _rules(rounding: str, sum_rounding: str) -> dict[tuple[str, str], Rule]:
    once = Rule(rounding)
    return {
        **on_bytes((*LAYERS, "mul"), once),
        **on_bytes(("add",), Rule(f"sum_{sum_rounding}")),
        **on_bytes(("mean",), Rule(f"centered_{rounding}")),
        **multiplying(once),
        **requantizing(once),
    }


ENGINE = Engine(
    name="dyadic",
    summary="integers only: scales b / 2^c with 31 bits of b, one rounding in int64, ties up; any width up to 8 bits",
    lineage=("dyadic", "litert-reference"),
    rules=_rules("single_rounding", "half_up"),
    source="Gholami et al., A Survey of Quantization Methods (arXiv 2103.13630), section IV-B; other "
    "operators as LiteRT's reference",
    variants={name: {"rules": _rules(f"dyadic_{name}", name)} for name in ROUNDED},
)
