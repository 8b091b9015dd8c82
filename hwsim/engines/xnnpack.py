"""LiteRT with the XNNPACK delegate, its default on a PC or phone."""

from hwsim.engines._profile import Engine

ENGINE = Engine(
    name="xnnpack",
    summary="LiteRT with its default XNNPACK delegate, x86-64",
    lineage=("xnnpack", "litert-optimized", "litert-reference"),
    reference="xnnpack",
    package="ai-edge-litert",
    processor="x86-64 (on Arm, uint8 operators and MUL round ties up)",
    source="google/XNNPACK src/qs8-qc8w-gemm, src/qs8-vadd; measured on ai-edge-litert 2.3.0",
)
