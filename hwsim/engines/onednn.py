"""oneDNN under PyTorch on x86-64."""

from hwsim.engines._profile import ATEN, LAYERS, MOVES, Engine

ENGINE = Engine(
    name="onednn",
    summary="PyTorch's onednn, x86-64 with VNNI: scales, float bias and zero point one by one in float32; variant pt2e "
    "is the operators of torchao's lowered modules",
    lineage=("onednn", "aten", "litert-reference"),
    takes=MOVES | ATEN | {*LAYERS},
    processor="x86-64 with AVX-512 VNNI",
    source="uxlfoundation/oneDNN src/cpu/x64 and intel/ideep; measured on torch 2.13.0 (oneDNN 3.12.0)",
    variants={"pt2e": {"lineage": ("onednn-pt2e", "aten", "litert-reference")}},
)
