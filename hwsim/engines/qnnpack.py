"""QNNPACK, as PyTorch carries it and as it was published."""

from hwsim.engines._profile import ATEN, LAYERS, MOVES, Engine, Rule, on_bytes

ENGINE = Engine(
    name="qnnpack",
    summary="PyTorch's qnnpack: float32 scale, ties to even; variant q31 is the library before PyTorch changed it",
    lineage=("qnnpack", "aten", "litert-reference"),
    takes=MOVES | ATEN | {*LAYERS},
    source="pytorch/pytorch aten/src/ATen/native/quantized/cpu/qnnpack; measured on torch 2.13.0; q31: pytorch/QNNPACK "
    "src/requantization/q31-scalar.c and src/qadd, read, not run",
    variants={
        "q31": {
            "takes": MOVES | {*LAYERS, "add", "quantize"},
            "rules": {
                **on_bytes(LAYERS, Rule("double_rounding", "float32")),
                **on_bytes(("add",), Rule("sum_half_away", "22_bits")),
            },
        }
    },
)
