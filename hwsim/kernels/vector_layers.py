"""Several layers in one call: between them no Python runs, so that threads do not wait for each other."""

import numpy as np
from numba import carray

from hwsim.kernels import kernel
from hwsim.kernels.vector_addition import ADD_FIELDS, vector_add
from hwsim.kernels.vector_binary import FIELDS as BINARY_FIELDS
from hwsim.kernels.vector_binary import vector_binary_conv2d
from hwsim.kernels.vector_conv2d import FIELDS as CONV2D_FIELDS
from hwsim.kernels.vector_conv2d import vector_conv2d
from hwsim.kernels.vector_depthwise_conv2d import FIELDS as DEPTHWISE_FIELDS
from hwsim.kernels.vector_depthwise_conv2d import vector_depthwise_conv2d
from hwsim.kernels.vector_depthwise_quads import FIELDS as DEPTHWISE_QUADS_FIELDS
from hwsim.kernels.vector_depthwise_quads import vector_depthwise_quads
from hwsim.kernels.vector_elementwise import (
    CHOOSE_FIELDS,
    MULTIPLY_FIELDS,
    vector_choose,
    vector_multiply,
)
from hwsim.kernels.vector_moves import (
    COPY_FIELDS,
    FILL_FIELDS,
    LOOKUP_FIELDS,
    MOVE_FIELDS,
    vector_copy,
    vector_fill,
    vector_lookup,
    vector_move,
)
from hwsim.kernels.vector_pooling import POOL_FIELDS, vector_average_pool, vector_max_pool
from hwsim.kernels.vector_reductions import MEAN_FIELDS, SOFTMAX_FIELDS, vector_mean, vector_softmax
from hwsim.kernels.vector_staging import pointer_to

KINDS = {
    "conv2d": (0, CONV2D_FIELDS),
    "depthwise_conv2d": (1, DEPTHWISE_FIELDS),
    "depthwise_quads": (2, DEPTHWISE_QUADS_FIELDS),
    "add": (3, ADD_FIELDS),
    "multiply": (4, MULTIPLY_FIELDS),
    "choose": (5, CHOOSE_FIELDS),
    "average_pool_2d": (6, POOL_FIELDS),
    "max_pool_2d": (7, POOL_FIELDS),
    "mean": (8, MEAN_FIELDS),
    "softmax": (9, SOFTMAX_FIELDS),
    "copy": (10, COPY_FIELDS),
    "fill": (11, FILL_FIELDS),
    "move": (12, MOVE_FIELDS),
    "lookup": (13, LOOKUP_FIELDS),
    "binary_conv2d": (14, BINARY_FIELDS),
}
"""The number of each kind of layer, and the fields of its array."""


@kernel
def vector_layers(kinds, addresses, sizes):
    """Run layers in order: each has a number of `KINDS`, the address of its int64 array, and that array's length."""
    for i in range(kinds.shape[0]):
        p = carray(pointer_to(addresses[i]), (sizes[i],), np.int64)
        if kinds[i] == 0:
            vector_conv2d(p)
        elif kinds[i] == 1:
            vector_depthwise_conv2d(p)
        elif kinds[i] == 2:
            vector_depthwise_quads(p)
        elif kinds[i] == 3:
            vector_add(p)
        elif kinds[i] == 4:
            vector_multiply(p)
        elif kinds[i] == 5:
            vector_choose(p)
        elif kinds[i] == 6:
            vector_average_pool(p)
        elif kinds[i] == 7:
            vector_max_pool(p)
        elif kinds[i] == 8:
            vector_mean(p)
        elif kinds[i] == 9:
            vector_softmax(p)
        elif kinds[i] == 10:
            vector_copy(p)
        elif kinds[i] == 11:
            vector_fill(p)
        elif kinds[i] == 12:
            vector_move(p)
        elif kinds[i] == 13:
            vector_lookup(p)
        else:
            vector_binary_conv2d(p)
