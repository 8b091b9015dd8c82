"""What PyTorch's engines compute on real values behind codes, where the place in the tensor can decide the last bit.

This holds for one thread; with more, each has a share of the elements, and a rest of its own.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.dequantized import DequantizedSum, Mean, add_codes_to_reals, add_dequantized, mean_codes
from hwsim.ops._base import Arrays, Step, limits
from hwsim.ops._float import FLOAT
from hwsim.ops._window import window
from hwsim.quantizers.multiplier import activation_bounds

SUM, SUM_INSIDE = "dequantized", "codes_to_reals"
SUM_STEP = 64
"""How many elements the loop of an addition takes at a time: ATen has no AVX-512 kernel for it."""

CASCADE, CHANNEL_GROUP, FEWEST_CHANNELS = 16, 32, 8
"""Real values that are summed in a row, and how many channels at a time; fewer channels torch sums in another way."""

MEANS = {
    "window_mean_512_bits": (16, False),
    "window_mean_256_bits": (8, False),
    "adaptive_mean": (8, True),
    "qnnpack_mean": (1, False),
}
"""Averages, how many channels they take at a time, and whether these add the zero point in a fused multiply-add.

ATen has no AVX-512 kernel for adaptive pooling either.
"""


def dequantized_sum(view: NodeView) -> Step:
    """ADD under the rule `SUM`, of tensors of one shape."""
    first, second, output = view.input(0), view.input(1), view.output()
    if first.shape != second.shape:
        raise UnsupportedError(
            f"{view.label}: adds {list(first.shape)} and {list(second.shape)}; under this engine hwsim knows sums of "
            "equal shapes only"
        )
    points = first.zero_point, second.zero_point
    scales = np.float32(first.scale), np.float32(second.scale)
    moved = [float(scale * np.float32(-point)) for scale, point in zip(scales, points, strict=True)]
    inverse = float(np.float32(1.0) / np.float32(output.scale))
    params = DequantizedSum(
        (float(scales[0]), float(scales[1])), (moved[0], moved[1]), points, inverse, output.zero_point, *_ends(view)
    )
    size = prod(output.shape)
    body = size - size % SUM_STEP

    def step(inputs: Arrays, outputs: Arrays) -> None:
        rows = [array.reshape(array.shape[0], -1) for array in (inputs[0], inputs[1], outputs[0])]
        add_dequantized(rows[0], rows[1], params, body, rows[2])

    return step


def codes_to_reals(view: NodeView) -> Rule:
    """torchao's lowered modules add codes to real values inside oneDNN's convolution; other sums are plain."""
    return Rule(SUM_INSIDE, "float32") if view.input(1).dtype == "uint8" else FLOAT


def sum_inside(view: NodeView) -> Step:
    """ADD of real values and codes of one shape, to codes, under the rule `SUM_INSIDE`."""
    codes, output = view.input(1), view.output()
    if view.input(0).shape != codes.shape or output.dtype != "uint8":
        raise UnsupportedError(f"{view.label}: adds codes to real values; hwsim knows this of one shape, to uint8")
    inverse = float(np.float32(1.0) / np.float32(output.scale))
    params = codes.zero_point, output.zero_point, *_ends(view)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        reals, others, out = (array.reshape(-1) for array in (inputs[0], inputs[1], outputs[0]))
        add_codes_to_reals(reals, others, codes.scale, inverse, params, out)

    return step


def window_mean(view: NodeView, rule: Rule) -> Step:
    """AVERAGE_POOL_2D under a rule in `MEANS`."""
    height, width = view.integer("filter_h"), view.integer("filter_w")
    if view.text("padding") != "valid":
        raise UnsupportedError(f"{view.label}: pads; under this engine hwsim averages whole windows, with a pad before")
    _, out_height, out_width = window(view, height, width)
    down, along = view.integer("stride_h"), view.integer("stride_w")
    finish = _finish(view, rule, height * width)
    stop_h, stop_w = (out_height - 1) * down + 1, (out_width - 1) * along + 1

    def step(inputs: Arrays, outputs: Arrays) -> None:
        sums = np.zeros(outputs[0].shape, np.int32)
        for top in range(height):
            rows = inputs[0][:, :, top : top + stop_h : down]
            for left in range(width):
                sums += rows[:, :, :, left : left + stop_w : along]
        finish(sums, outputs[0])

    return step


def image_mean(view: NodeView, rule: Rule, axes: tuple[int, ...]) -> Step:
    """MEAN over height and width under a rule in `MEANS`."""
    finish = _finish(view, rule, _over_image(view, axes))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        finish(inputs[0].sum(axis=(2, 3), dtype=np.int32), outputs[0])

    return step


def real_image_mean(view: NodeView, axes: tuple[int, ...]) -> Step:
    """MEAN of real values over height and width, in torch's order of float32 sums, then a division.

    Channels are summed in groups of 32; those left over take every fourth pixel first. Source: pytorch/pytorch
    aten/src/ATen/native/cpu/SumKernel.cpp, for images that lie channels last; measured on torch 2.13.0.
    """
    channels, count = view.input(0).shape[-1], _over_image(view, axes)
    if count > CASCADE**2 or channels < FEWEST_CHANNELS:
        raise UnsupportedError(
            f"{view.label}: averages {count} real values in {channels} channels; hwsim knows torch's order up to "
            f"{CASCADE**2} and from {FEWEST_CHANNELS} on"
        )
    grouped = channels - channels % CHANNEL_GROUP

    def step(inputs: Arrays, outputs: Arrays) -> None:
        values = inputs[0].reshape(-1, count, channels)
        total = np.concatenate([_cascade(values[..., :grouped]), _by_fours(values[..., grouped:])], axis=1)
        outputs[0][...] = (total / np.float32(count)).reshape(outputs[0].shape)

    return step


def _cascade(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over axis 1: of 16 in a row, then of whole sixteens, the rest first."""
    whole, rest = np.zeros_like(values[:, 0]), np.zeros_like(values[:, 0])
    for start in range(0, values.shape[1], CASCADE):
        block = np.zeros_like(whole)
        for i in range(start, min(start + CASCADE, values.shape[1])):
            block += values[:, i]
        if start + CASCADE <= values.shape[1]:
            whole += block
        else:
            rest = block
    return rest + whole


def _by_fours(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over axis 1: every fourth, what is left over to the first of them, then these four."""
    stop = values.shape[1] // 4 * 4
    parts = [_cascade(values[:, k:stop:4]) if stop else np.zeros_like(values[:, 0]) for k in range(4)]
    for i in range(stop, values.shape[1]):
        parts[0] = parts[0] + values[:, i]
    return parts[0] + parts[1] + parts[2] + parts[3]


def _over_image(view: NodeView, axes: tuple[int, ...]) -> int:
    """How many pixels are averaged."""
    if len(view.input(0).shape) != 4 or axes != (1, 2):
        raise UnsupportedError(f"{view.label}: axes are {axes}; under this engine hwsim averages height and width")
    return prod(view.input(0).shape[1:3])


def _finish(view: NodeView, rule: Rule, count: int) -> Callable[[NDArray[np.int32], NDArray[Any]], None]:
    """From sums of `count` codes, channels last, to their means."""
    source, output = view.input(0), view.output()
    channels, (width, fused) = source.shape[-1], MEANS[rule.algorithm]
    ratio = np.float32(source.scale) / np.float32(output.scale) / np.float32(count)
    if rule.algorithm == "qnnpack_mean":
        ratio = np.float32(source.scale) / (np.float32(output.scale) * np.float32(count))
    rest = float(np.float32(1.0) / (np.float32(1.0) / ratio))
    factor, body = rest if fused else float(ratio), channels - channels % width
    params, moved = Mean(factor, rest, body, fused, output.zero_point, *_ends(view)), source.zero_point * count

    def finish(sums: NDArray[np.int32], out: NDArray[Any]) -> None:
        mean_codes(sums.reshape(-1, channels) - np.int32(moved), params, out.reshape(-1, channels))

    return finish


def _ends(view: NodeView) -> tuple[int, int]:
    output = view.output()
    return activation_bounds(view.text("activation", "none"), output.scale, output.zero_point, limits(output.dtype))
