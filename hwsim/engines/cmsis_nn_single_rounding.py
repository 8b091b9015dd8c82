"""CMSIS-NN and TensorFlow Lite for Microcontrollers, both built to round once."""

from hwsim.engines._profile import Engine, Rule

ONCE = Rule("single_rounding")
ELEMENTWISE = Rule("tflite_single")

ENGINE = Engine(
    name="cmsis-nn-single-rounding",
    summary="CMSIS-NN built with CMSIS_NN_USE_SINGLE_ROUNDING, TFLM with TFLITE_SINGLE_ROUNDING",
    lineage=("cmsis-nn", "tflite-micro"),
    rules={
        ("conv2d", "int8"): ONCE,
        ("depthwise_conv2d", "int8"): ONCE,
        ("fully_connected", "int8"): ONCE,
        ("quantize", "int8>int8"): ONCE,
        ("quantize", "int8>uint8"): ONCE,
        ("quantize", "uint8>int8"): ONCE,
        ("quantize", "float32>int8"): Rule("half_away"),
        ("svdf", "int8>int16"): ONCE,
        ("add", "int8"): ELEMENTWISE,
        ("mul", "int8"): ELEMENTWISE,
    },
    takes=frozenset(
        (
            "arg_max", "arg_min", "assign_variable", "average_pool_2d", "batch_to_space_nd", "broadcast_to", "cast",
            "concatenation", "depth_to_space", "dequantize", "expand_dims", "fill", "gather", "logical_and",
            "logical_not", "logical_or", "max_pool_2d", "maximum", "minimum", "mirror_pad", "neg", "pack", "pad",
            "pad_v2", "read_variable", "reduce_max", "reduce_min", "relu6", "reshape", "resize_nearest_neighbor",
            "reverse_v2", "select_v2", "shape", "slice", "softmax", "space_to_batch_nd", "space_to_depth", "split",
            "split_v", "squeeze", "strided_slice", "transpose", "unpack",
        )
    ),
    processor="Arm Cortex-M: plain C and DSP, and MVE but where it is predicated",
    source="ARM-software/CMSIS-NN README, Include/arm_nnsupportfunctions.h; tflite/kernels/internal/common.h; read, "
    "not run",
)  # fmt: skip
