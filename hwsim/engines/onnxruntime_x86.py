"""ONNX Runtime's CPU provider on x86-64."""

from hwsim.engines._profile import LAYERS, MOVES, Engine

FUNCTIONS = "add", "average_pool_2d", "concatenation", "leaky_relu", "logistic", "mean", "mul", "quantize", "softmax"

ENGINE = Engine(
    name="onnxruntime-x86",
    summary="ONNX Runtime CPU, x86-64 with VNNI; variant no_vnni adds pairs of uint8 x int8 products in int16",
    lineage=("onnxruntime", "litert-reference"),
    takes=MOVES | {*LAYERS, *FUNCTIONS},
    package="onnxruntime",
    processor="x86-64 with AVX-512 VNNI or AVX-VNNI",
    source="microsoft/onnxruntime onnxruntime/core/mlas/lib (quantize.cpp, qladd.cpp); measured on onnxruntime 1.31.1",
    variants={
        "no_vnni": {
            "lineage": ("onnxruntime-pairs", "onnxruntime", "litert-reference"),
            "processor": "x86-64 with AVX2, without VNNI",
        }
    },
)
