"""TensorFlow Lite for Microcontrollers, portable kernels."""

from hwsim.engines._profile import Engine

ENGINE = Engine(
    name="tflite-micro",
    summary="TensorFlow Lite for Microcontrollers, portable reference kernels",
    lineage=("tflite-micro",),
    reference="tflite-micro",
    package="tflite-micro",
    source="tensorflow/tflite-micro tensorflow/lite/micro/kernels; measured on tflite-micro 0.dev20261023",
)
