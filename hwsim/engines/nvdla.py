"""NVDLA's convertors: a 16-bit scale, a shift, ties away from zero."""

from hwsim.engines._profile import LAYERS, Engine, Rule, on_bytes, requantizing

_RULE = Rule("dyadic_half_away", "15_bits")

ENGINE = Engine(
    name="nvdla",
    summary="NVDLA int8: (sum * 16-bit scale) >> shift, ties away from zero",
    lineage=("nvdla", "litert-reference"),
    rules={
        **on_bytes((*LAYERS, "mul"), _RULE),
        **on_bytes(("add",), Rule("sum_half_away", "15_bits")),
        **requantizing(_RULE),
    },
    source="nvdla.org hw/v1/ias/precision.html, read, not run; a model where that leaves widths open; its convertors "
    "take an offset off before the scale: hwsim adds the output's zero point after rounding; other operators as "
    "LiteRT's reference",
)
