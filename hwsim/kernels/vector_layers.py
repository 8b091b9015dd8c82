"""Several layers in one call: between them no Python runs, so that threads do not wait for each other."""

import numpy as np
from numba import carray

from hwsim.kernels import kernel
from hwsim.kernels.vector_conv2d import FIELDS as CONV2D_FIELDS
from hwsim.kernels.vector_conv2d import vector_conv2d
from hwsim.kernels.vector_depthwise_conv2d import FIELDS as DEPTHWISE_FIELDS
from hwsim.kernels.vector_depthwise_conv2d import vector_depthwise_conv2d
from hwsim.kernels.vector_depthwise_quads import FIELDS as DEPTHWISE_QUADS_FIELDS
from hwsim.kernels.vector_depthwise_quads import vector_depthwise_quads
from hwsim.kernels.vector_elementwise import ADD_FIELDS, REQUANTIZE_FIELDS, vector_add, vector_requantize
from hwsim.kernels.vector_pooling import COPY_FIELDS, POOL_FIELDS, vector_average_pool, vector_copy
from hwsim.kernels.vector_staging import pointer_to

KINDS = {
    "conv2d": (0, CONV2D_FIELDS),
    "depthwise_conv2d": (1, DEPTHWISE_FIELDS),
    "add": (2, ADD_FIELDS),
    "requantize": (3, REQUANTIZE_FIELDS),
    "average_pool_2d": (4, POOL_FIELDS),
    "copy": (5, COPY_FIELDS),
    "depthwise_quads": (6, DEPTHWISE_QUADS_FIELDS),
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
            vector_add(p)
        elif kinds[i] == 3:
            vector_requantize(p)
        elif kinds[i] == 4:
            vector_average_pool(p)
        elif kinds[i] == 5:
            vector_copy(p)
        else:
            vector_depthwise_quads(p)
