"""PyTorch's default quantized engine on x86-64: oneDNN for convolutions, FBGEMM for linear layers."""

from hwsim.engines._profile import ATEN, LAYERS, MOVES, Engine

ENGINE = Engine(
    name="torch-x86",
    summary="PyTorch's x86, with VNNI: onednn's convolutions up to 100 groups, else fbgemm",
    lineage=("torch-x86", "aten", "litert-reference"),
    takes=MOVES | ATEN | {*LAYERS},
    processor="x86-64 with AVX-512 VNNI",
    source="pytorch/pytorch aten/src/ATen/native/quantized/cpu (OnednnUtils.h, qlinear_prepack.cpp); "
    "measured on torch 2.13.0",
)
