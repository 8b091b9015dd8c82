"""The float ResNet-20 for CIFAR-10 as a hwsim graph: batch norm folded, option A shortcuts, a softmax at its end.

Weights: a .npz whose arrays have the names of the state dict of github.com/akamaster/pytorch_resnet_cifar10 (BSD-2).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Graph
from hwsim.graph.build import Builder

Reals = NDArray[np.float32]
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
SPREAD = np.array([0.229, 0.224, 0.225], np.float32)
EPSILON = 1e-5
OPTIONS: dict[str, Any] = {"dilation_h": 1, "dilation_w": 1}


def normalized(pixels: NDArray[np.uint8]) -> Reals:
    """Pixels (count, 32, 32, 3) as the network wants them."""
    return (pixels.astype(np.float32) / np.float32(255) - MEAN) / SPREAD


def resnet20(file: Path) -> Graph:
    """The graph of the network in `file`."""
    state = dict(np.load(file))
    builder = Builder("resnet20")
    x = _convolution(builder, state, builder.input("image", (1, 32, 32, 3)), "", "conv1", "bn1", 1, "relu")
    for stage in (1, 2, 3):
        for block in range(3):
            x = _block(builder, state, x, f"layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1)
    pool: dict[str, Any] = {"stride_h": 8, "stride_w": 8, "filter_h": 8, "filter_w": 8}
    x = builder.node("average_pool_2d", [x], (1, 1, 1, 64), "pool", padding="valid", activation="none", **pool)
    x = builder.node("reshape", [x, builder.constant("flat", np.array([1, 64], np.int32))], (1, 64), "features")
    weights = [builder.constant(f"linear.{part}", state[f"linear.{part}"]) for part in ("weight", "bias")]
    x = builder.node("fully_connected", [x, *weights], (1, 10), "linear", activation="none")
    return builder.graph(builder.node("softmax", [x], (1, 10), "probabilities", beta=1.0))


def statistics(file: Path) -> dict[str, tuple[Reals, Reals]]:
    """Mean and standard deviation of each convolution's output, by its name in the graph: batch norm's bias and
    gain, since its own output has these.
    """
    state = dict(np.load(file))
    norms = [name.removesuffix(".weight") for name in state if ".bn" in f".{name}" and name.endswith(".weight")]
    return {n.replace("bn", "conv"): (state[f"{n}.bias"], np.abs(state[f"{n}.weight"])) for n in norms}


def _block(builder: Builder, state: dict[str, Reals], x: int, name: str, stride: int) -> int:
    inner = _convolution(builder, state, x, name, "conv1", "bn1", stride, "relu")
    inner = _convolution(builder, state, inner, name, "conv2", "bn2", 1, "none")
    if stride > 1:
        x = _shortcut(builder, x, name, builder.shape(inner))
    return builder.node("add", [inner, x], builder.shape(inner), f"{name}sum", activation="relu")


def _shortcut(builder: Builder, x: int, name: str, shape: tuple[int, ...]) -> int:
    """Every second pixel, zeros for the new channels (option A)."""
    ends = np.array([[0, 0, 0, 0], builder.shape(x), [1, 2, 2, 1]], np.int32)
    parts = [builder.constant(f"{name}{part}", row) for part, row in zip(("begin", "end", "step"), ends, strict=True)]
    few = (*shape[:3], builder.shape(x)[3])
    x = builder.node("strided_slice", [x, *parts], few, f"{name}every_second", begin_mask=0, end_mask=0)
    more = (shape[3] - few[3]) // 2
    pads = builder.constant(f"{name}pads", np.array([[0, 0], [0, 0], [0, 0], [more, more]], np.int32))
    return builder.node("pad", [x, pads], shape, f"{name}shortcut")


def _convolution(
    builder: Builder, state: dict[str, Reals], x: int, prefix: str, conv: str, norm: str, stride: int, activation: str
) -> int:
    """A 3 x 3 convolution with its batch norm folded in; where it has a stride, PyTorch's padding as an operator."""
    name, norm = f"{prefix}{conv}", f"{prefix}{norm}"
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + EPSILON)
    weights = (state[f"{name}.weight"] * gain[:, None, None, None]).transpose(0, 2, 3, 1)
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    _, height, width, channels = builder.shape(x)
    if stride > 1:
        pads = builder.constant(f"{name}.pads", np.array([[0, 0], [1, 0], [1, 0], [0, 0]], np.int32))
        x = builder.node("pad", [x, pads], (1, height + 1, width + 1, channels), f"{name}.padded")
    constants = [builder.constant(f"{name}.weight", weights), builder.constant(f"{name}.bias", bias)]
    shape = (1, height // stride, width // stride, len(bias))
    padding = "valid" if stride > 1 else "same"
    options = {**OPTIONS, "stride_h": stride, "stride_w": stride, "padding": padding, "activation": activation}
    return builder.node("conv2d", [x, *constants], shape, name, **options)
