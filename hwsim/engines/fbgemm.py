"""FBGEMM under PyTorch's quantized operators on x86-64."""

from hwsim.engines._profile import ATEN, LAYERS, MOVES, Engine

ENGINE = Engine(
    name="fbgemm",
    summary="PyTorch's fbgemm, x86-64 with VNNI: a float bias, float32 scale; variant no_vnni adds pairs in int16",
    lineage=("fbgemm", "aten", "litert-reference"),
    takes=MOVES | ATEN | {*LAYERS},
    processor="x86-64 with AVX-512 VNNI",
    source="pytorch/FBGEMM OutputProcessing-inl.h, QuantUtilsAvx2.cc; pytorch/pytorch "
    "aten/src/ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp; measured on torch 2.13.0",
    variants={
        "no_vnni": {
            "lineage": ("fbgemm-pairs", "fbgemm", "aten-avx2", "aten", "litert-reference"),
            "processor": "x86-64 with AVX2, without VNNI",
        }
    },
)
