"""The table behind 16-bit LOGISTIC and TANH: sigmoid(i / 24) with 16 fraction bits.

Source: LiteRT tflite/kernels/internal/common.h, sigmoid_table_uint16; the same in TFLM and CMSIS-NN.
"""

from functools import cache
from math import exp

import numpy as np
from numpy.typing import NDArray

SIZE = 256
RAISED = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49,
    50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip
"""Where the engines' table is one more than the nearest integer."""


@cache
def sigmoid_table() -> NDArray[np.int64]:
    """int64 (256,), from 32768 to 65535."""
    table = np.array([round(65536 / (1 + exp(-i / 24))) for i in range(SIZE)], np.int64)
    table[list(RAISED)] += 1
    table.setflags(write=False)
    return table
