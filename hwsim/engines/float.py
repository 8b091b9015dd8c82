"""Plain float32: what a trained network computes before anything is quantized."""

from hwsim.engines._profile import Engine

ENGINE = Engine(
    name="float",
    summary="float32 networks, the baseline that number formats are measured against",
    lineage=("float",),
    reference="litert-reference",
    package="ai-edge-litert",
    tolerance=1e-5,
    source="operators as TensorFlow Lite defines them on float32; the order of sums is hwsim's own",
)
