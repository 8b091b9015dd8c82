"""Products of matrices, both of them activations. Source: TFLite reference/batch_matmul.h."""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.matmul import accumulate
from hwsim.kernels.requantize import requantize_rows


@kernel
def batch_matmul(first, second, zeros, stage, out):
    """out[n] = first[n] times the transpose of second[n], requantized.

    first : int16 (batch, rows, depth), second : int16 (batch, columns, depth), zero points removed
    zeros : int32 or int64 (columns,), in whose dtype products are summed; out : (batch, rows, columns)
    """
    sums = np.empty((out.shape[1], out.shape[2]), zeros.dtype)
    for n in range(out.shape[0]):
        accumulate(first[n], second[n], zeros, sums)
        requantize_rows(sums, stage, out[n])
