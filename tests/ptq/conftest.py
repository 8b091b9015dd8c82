"""A small residual network, and samples for it."""

import numpy as np
import pytest

from hwsim.graph import Graph, Node, Tensor
from hwsim.ptq.observe import observe

CONV = dict(padding="same", stride_h=1, stride_w=1, dilation_h=1, dilation_w=1, activation="relu")  # noqa: C408
POOL = dict(padding="valid", stride_h=2, stride_w=2, filter_h=2, filter_w=2, activation="none")  # noqa: C408


@pytest.fixture(scope="module")
def network():
    """conv, max pool, conv, add, reshape, fully connected, softmax."""
    generator = np.random.default_rng(1)

    def real(name, *shape):
        return Tensor(name, shape, "float32", None, generator.normal(0, 0.4, shape).astype(np.float32))

    tensors = (
        Tensor("x", (1, 8, 8, 3), "float32"),
        real("w0", 6, 3, 3, 3), real("b0", 6), Tensor("a", (1, 8, 8, 6), "float32"),
        Tensor("p", (1, 4, 4, 6), "float32"),
        real("w1", 6, 3, 3, 6), real("b1", 6), Tensor("c", (1, 4, 4, 6), "float32"),
        Tensor("s", (1, 4, 4, 6), "float32"), Tensor("r", (1, 96), "float32"),
        Tensor("shape", (2,), "int32", None, np.array([1, 96], np.int32)),
        real("w2", 5, 96), real("b2", 5), Tensor("f", (1, 5), "float32"), Tensor("y", (1, 5), "float32"),
    )  # fmt: skip
    nodes = (
        Node("conv2d", "conv0", (0, 1, 2), (3,), CONV),
        Node("max_pool_2d", "pool", (3,), (4,), POOL),
        Node("conv2d", "conv1", (4, 5, 6), (7,), CONV),
        Node("add", "sum", (4, 7), (8,), {"activation": "none"}),
        Node("reshape", "flat", (8, 10), (9,), {}),
        Node("fully_connected", "dense", (9, 11, 12), (13,), {"activation": "none"}),
        Node("softmax", "soft", (13,), (14,), {"beta": 1.0}),
    )
    return Graph("net", tensors, nodes, (0,), (14,))


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(2).normal(0, 1, (40, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def seen(network, samples):
    return observe(network, samples)
