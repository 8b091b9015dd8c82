"""LiteRT's optimized kernels without a delegate, as built for x86-64."""

from hwsim.engines._profile import Engine

ENGINE = Engine(
    name="litert-optimized",
    summary="LiteRT optimized kernels (ruy), no delegate, x86-64 with AVX2",
    lineage=("litert-optimized", "litert-reference"),
    reference="litert-optimized",
    package="ai-edge-litert",
    processor="x86-64 with AVX2 (ruy rounds differently on Arm)",
    source="LiteRT tflite/kernels/internal/optimized, google/ruy kernel_avx2_fma.cc; measured on ai-edge-litert 2.3.0",
)
