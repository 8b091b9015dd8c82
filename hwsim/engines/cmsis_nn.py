"""TensorFlow Lite for Microcontrollers on Arm Cortex-M, with CMSIS-NN's kernels."""

from hwsim.engines._profile import Engine

ENGINE = Engine(
    name="cmsis-nn",
    summary="CMSIS-NN under TensorFlow Lite for Microcontrollers, two roundings (its default)",
    lineage=("cmsis-nn", "tflite-micro"),
    processor="Arm Cortex-M: plain C; DSP and MVE give the same integers, but for what docs/engines.md lists",
    source="ARM-software/CMSIS-NN Include/arm_nnsupportfunctions.h, Source; tensorflow/tflite-micro "
    "tensorflow/lite/micro/kernels/cmsis_nn; read, and compared with data sets of CMSIS-NN's unit tests",
)
