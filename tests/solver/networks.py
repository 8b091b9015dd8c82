"""A small float network with a residual block, made here, and samples for it."""

import numpy as np

from hwsim.graph.build import Builder

LAYERS = ["0_conv2d", "1_conv2d", "2_conv2d", "4_conv2d", "8_fully_connected"]


def residual(seed=1):
    """conv, then two convolutions of one tensor added, conv, average pool, fully connected, softmax."""
    generator = np.random.default_rng(seed)
    build = Builder("residual")

    def conv(name, x, filters, size):
        channels = build.shape(x)[-1]
        weights = generator.normal(0, 0.5, (filters, size, size, channels)).astype(np.float32)
        inputs = [x, build.constant(f"{name}/w", weights)]
        inputs.append(build.constant(f"{name}/b", generator.normal(0, 0.2, filters).astype(np.float32)))
        options = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
        return build.node("conv2d", inputs, (1, 6, 6, filters), name, padding="same", activation="relu", **options)

    x = build.input("x", (1, 6, 6, 3))
    a = conv("first", x, 4, 3)
    one, other = conv("long", a, 6, 3), conv("short", a, 6, 1)
    total = build.node("add", [one, other], (1, 6, 6, 6), "sum", activation="none")
    last = conv("last", total, 8, 3)
    window = {"stride_h": 6, "stride_w": 6, "filter_h": 6, "filter_w": 6}
    pooled = build.node("average_pool_2d", [last], (1, 1, 1, 8), "pool", padding="valid", activation="none", **window)
    shape = build.constant("shape", np.array([1, 8], np.int32))
    flat = build.node("reshape", [pooled, shape], (1, 8), "flat")
    # the identity, so that node 8 is the last layer
    flat = build.node("reshape", [flat, shape], (1, 8), "again")
    weights = build.constant("dense/w", generator.normal(0, 0.8, (5, 8)).astype(np.float32))
    bias = build.constant("dense/b", np.zeros(5, np.float32))
    logits = build.node("fully_connected", [flat, weights, bias], (1, 5), "dense", activation="none")
    return build.graph(build.node("softmax", [logits], (1, 5), "soft", beta=1.0))


def samples(count=24, seed=2):
    """Inputs of `residual`."""
    return np.random.default_rng(seed).normal(0, 1, (count, 6, 6, 3)).astype(np.float32)
