"""HAWQ-V3's integer-only inference, as its published simulation computes it: in float64."""

from hwsim.engines._profile import LAYERS, Engine, Rule, multiplying, on_bytes, requantizing

_RULE = Rule("float64_half_even", "float32_product")

ENGINE = Engine(
    name="hawq-v3",
    summary="HAWQ-V3 as published: dyadic scales, products in float64, ties to even; sums round each input",
    lineage=("hawq-v3", "litert-reference"),
    rules={
        **on_bytes((*LAYERS, "mul"), _RULE),
        **on_bytes(("add",), Rule("each_float64_half_even")),
        **on_bytes(("average_pool_2d",), Rule("truncated")),
        **on_bytes(("mean",), Rule("centered_float64_half_even")),
        **multiplying(_RULE),
        **requantizing(Rule("float64_half_even")),
        ("quantize", "float32>int8"): Rule("half_even"),
        ("quantize", "float32>uint8"): Rule("half_even"),
    },
    source="Zhen-Dong/HAWQ utils/quantization_utils/quant_utils.py (batch_frexp, fixedpoint_mul), read, not run; it "
    "has no zero points: hwsim adds the output's after rounding; MUL and MEAN by the same output stage; other "
    "operators as LiteRT's reference",
)
