"""MEAN and SOFTMAX on fixed arrays: the portable kernels, called with addresses from one int64 array."""

import numpy as np
from numba import carray

from hwsim.kernels import kernel
from hwsim.kernels.mean import mean_double_rounding, mean_float32, mean_raw_vectors
from hwsim.kernels.softmax import softmax_fixed_point, softmax_float_table
from hwsim.kernels.vector_pooling import add_codes
from hwsim.kernels.vector_staging import pointer_to

MEAN_FIELDS = (
    "source", "out", "outer", "reduced", "inner", "signed", "narrow_sums", "sums", "algorithm", "offset",
    "multiplier", "shift", "reals", "zero_point", "minimum", "maximum",
)  # fmt: skip
"""What `vector_mean` reads. `reals` has the address of two float64: a scale and an offset."""

MEAN_ALGORITHMS = {"double_rounding": 0, "raw_vectors": 1, "float32": 2}

SOFTMAX_FIELDS = (
    "source", "out", "rows", "depth", "flip", "row", "fixed_point", "table", "reals", "minimum", "maximum",
)  # fmt: skip
"""What `vector_softmax` reads. `table` has the address of 256 exponentials, int64 with `fixed_point`, else float32;
`reals` that of one float64, the output's scale.
"""


@kernel
def vector_mean(p):
    """Mean over the middle axis of bytes (outer, reduced, inner). p : int64 array, see `MEAN_FIELDS`."""
    outer, reduced, inner = p[2], p[3], p[4]
    narrow = carray(pointer_to(p[6]), (inner,), np.int32)
    sums = carray(pointer_to(p[7]), (1, inner), np.int64)
    reals = carray(pointer_to(p[12]), (2,), np.float64)
    for i in range(outer):
        narrow[:] = 0
        for j in range(reduced):
            add_codes(p[5], p[0] + (i * reduced + j) * inner, narrow)
        for k in range(inner):
            sums[0, k] = np.int64(narrow[k])
        out = carray(pointer_to(p[1] + i * inner), (1, inner), np.uint8)
        if p[8] == 0:
            mean_double_rounding(sums, p[9], p[10], p[11], p[13], p[14], p[15], out)
        elif p[8] == 1:
            mean_raw_vectors(sums, p[10], p[11], p[13], p[14], p[15], out)
        else:
            mean_float32(sums, reals[0], reals[1], p[14], p[15], out)


@kernel
def vector_softmax(p):
    """Softmax of rows of bytes. p : int64 array, see `SOFTMAX_FIELDS`.

    Only differences of codes count, which `flip` leaves as they are while it makes signed codes unsigned.
    """
    depth, flip = p[3], np.uint8(p[4])
    row = carray(pointer_to(p[5]), (1, depth), np.uint8)
    exponentials = carray(pointer_to(p[7]), (256,), np.int64)
    reals = carray(pointer_to(p[7]), (256,), np.float32)
    scale = carray(pointer_to(p[8]), (1,), np.float64)[0]
    for n in range(p[2]):
        codes = carray(pointer_to(p[0] + n * depth), (depth,), np.uint8)
        out = carray(pointer_to(p[1] + n * depth), (1, depth), np.uint8)
        for k in range(depth):
            row[0, k] = codes[k] ^ flip
        if p[6]:
            softmax_fixed_point(row, exponentials, p[9], 8, out)
        else:
            softmax_float_table(row, reals, scale, p[9], p[10], out)
