"""What the `.tflite` schema calls things, shared by the importer and the writer.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs through the `tflite` package, version 2.18; operator versions
from tensorflow/lite/tools/versioning/op_version.cc.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from hwsim.graph.graph import DTYPES

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
INTERMEDIATES = "intermediates"
"""The option that holds tensor indices whose number formats an operator needs (the gates of an LSTM)."""

PACKED_INT4 = "int4"
INT4_BITS = 4

_ENUM_OF_FIELD = {
    "Padding": "Padding",
    "FusedActivationFunction": "ActivationFunctionType",
    "WeightsFormat": "FullyConnectedOptionsWeightsFormat",
    "KernelType": "LSTMKernelType",
    "Mode": "MirrorPadMode",
    "Combiner": "CombinerType",
    "ReduceFunction": "ReduceWindowFunction",
    **dict.fromkeys(("OutputType", "InDataType", "OutDataType", "OutType", "IdxOutType"), "TensorType"),
    **dict.fromkeys(("QuantizedBiasType", "KeyDtype", "ValueDtype"), "TensorType"),
}

# The version that says "int8" or "int16" to readers that check it. Every operator is registered from version 1 on but
# BROADCAST_TO, so that an operator missing here is accepted all the same; DEPTH_TO_SPACE must be missing, as LiteRT's
# reference kernels know no other version.
_VERSIONS = {
    "CONV_2D": (3, 4),
    "DEPTHWISE_CONV_2D": (3, 5),
    "FULLY_CONNECTED": (4, 7),
    "SVDF": (3, 3),
    "QUANTIZE": (1, 2),
    "TRANSPOSE": (2, 5),
    "TRANSPOSE_CONV": (2, 3),
    "SUB": (2, 5),
    "ABS": (2, 3),
    "LEAKY_RELU": (1, 2),
    "STRIDED_SLICE": (2, 2),
    "REVERSE_V2": (3, 3),
    "L2_NORMALIZATION": (2, 2),
    "BROADCAST_TO": (3, 3),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN", "NOT_EQUAL", "SUM", "LOG_SOFTMAX", "SPACE_TO_DEPTH"), (2, 2)),
    **dict.fromkeys(
        ("ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "SOFTMAX", "MEAN", "PAD", "PADV2", "CONCATENATION"), (2, 3)
    ),
    **dict.fromkeys(("LOGISTIC", "TANH", "RELU", "RELU6", "RSQRT", "DEQUANTIZE", "PACK", "BATCH_MATMUL"), (2, 3)),
    **dict.fromkeys(("MIRROR_PAD", "REDUCE_MAX", "REDUCE_MIN", "LESS", "GREATER_EQUAL"), (2, 3)),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "MAXIMUM", "MINIMUM", "MUL", "SPLIT"), (2, 4)),
    **dict.fromkeys(("SLICE", "UNPACK", "GATHER", "EQUAL", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), (2, 4)),
}
_OPTION_VERSIONS = {
    ("RESIZE_BILINEAR", "half_pixel_centers"): 3,
    ("RESIZE_NEAREST_NEIGHBOR", "half_pixel_centers"): 3,
    ("RESIZE_NEAREST_NEIGHBOR", "align_corners"): 3,
    ("FULLY_CONNECTED", "keep_num_dims"): 5,
}


@cache
def schema() -> Any:
    """The `tflite` package; its import takes a tenth of a second, so only those who read or write such files pay it."""
    return import_module("tflite")


@cache
def members(enum: str) -> Mapping[str, int]:
    """The schema's names and numbers of an enum."""
    return {name: value for name, value in vars(getattr(schema(), enum)).items() if isinstance(value, int)}


@cache
def names(enum: str) -> Mapping[int, str]:
    """The name that hwsim uses, in lower case, for each number of an enum."""
    return {value: name.lower() for name, value in members(enum).items()}


@cache
def builtin_names() -> Mapping[int, str]:
    """The schema's name of each built-in operator."""
    return {value: name for name, value in members("BuiltinOperator").items()}


def enum_of(field: str) -> str | None:
    """The enum that an options field holds, None for plain numbers."""
    return _ENUM_OF_FIELD.get(field)


def has_numpy_dtype(type_name: str) -> bool:
    """Whether values of a TensorType can be held in arrays."""
    return type_name in DTYPES or type_name == PACKED_INT4


def operator_version(builtin: str, dtypes: set[str], options: Mapping[str, object]) -> int:
    """The version to write for an operator on tensors of these dtypes."""
    int8, int16 = _VERSIONS.get(builtin, (1, 1))
    by_dtype = (
        int16 if "int16" in dtypes else int8 if "int8" in dtypes else min(int8, 2 if builtin == "BROADCAST_TO" else 1)
    )
    asked = [version for (name, key), version in _OPTION_VERSIONS.items() if name == builtin and options.get(key)]
    return max([by_dtype, *asked])
