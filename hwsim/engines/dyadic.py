"""A plain integer datapath: every scale is a dyadic number b / 2^c, every sum is rounded once."""

from hwsim.engines._profile import Engine, Rule

_ONCE = Rule("single_rounding")

ENGINE = Engine(
    name="dyadic",
    summary="integers only: scales b / 2^c with 31 bits of b, one rounding, ties up; any width up to 8 bits",
    lineage=("dyadic", "litert-reference"),
    rules={
        (op, dtype): _ONCE
        for op, dtypes in {
            **dict.fromkeys(("conv2d", "depthwise_conv2d", "fully_connected"), ("int8", "uint8")),
            "quantize": ("int8>int8", "uint8>uint8"),
        }.items()
        for dtype in dtypes
    },
    source="Gholami et al., A Survey of Quantization Methods (arXiv 2103.13630), section IV-B",
)
