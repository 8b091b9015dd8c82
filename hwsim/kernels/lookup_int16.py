"""Functions of int16 codes by a table of 513 samples.

Source: TFLite reference/integer_ops/lut.h, LookupTable; tflite/kernels/internal/common.h, LUTLookup.
"""

from hwsim.kernels import kernel
from hwsim.kernels.softmax_int16 import interpolate_int16


@kernel
def lookup_int16(codes, table, out):
    """codes : integer (size,), in the range of int16; table : int16 (513,); out : int16 (size,)."""
    for i in range(out.shape[0]):
        out[i] = interpolate_int16(codes[i], table)
