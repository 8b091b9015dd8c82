"""LiteRT's reference kernels."""

from hwsim.engines._profile import Engine

ENGINE = Engine(
    name="litert-reference",
    summary="LiteRT (TensorFlow Lite) reference kernels, OpResolverType.BUILTIN_REF",
    lineage=("litert-reference",),
    reference="litert-reference",
    package="ai-edge-litert",
    source="LiteRT tflite/kernels/internal/reference; measured on ai-edge-litert 2.3.0",
)
