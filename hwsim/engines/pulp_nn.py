"""PULP-NN on RISC-V clusters: a product, an arithmetic shift, no rounding constant."""

from hwsim.engines._profile import LAYERS, Engine, Rule, on_bytes, requantizing


def _rules(scale: str) -> dict[tuple[str, str], Rule]:
    floor = Rule("dyadic_floor", scale)
    return {
        **on_bytes(LAYERS, floor),
        **on_bytes(("add",), Rule("sum_floor", scale)),
        **on_bytes(("average_pool_2d",), Rule("truncated")),
        **requantizing(floor),
    }


ENGINE = Engine(
    name="pulp-nn",
    summary="PULP-NN, 64-bit build: (multiplier * sum) >> shift, rounded down; averages toward zero",
    lineage=("pulp-nn", "litert-reference"),
    rules=_rules("float64"),
    processor="PULP clusters (GAP8 and its like)",
    source="pulp-platform/pulp-nn-mixed XpulpV2 pulp_nn_utils.h and Pooling/AvgPool, read, not run; it has no zero "
    "points: hwsim adds the output's after the shift; other operators as LiteRT's reference",
    variants={"8_bits": {"rules": _rules("8_bits")}},
)
