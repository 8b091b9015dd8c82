"""What PyTorch's engines compute on real values behind codes, where the place in the tensor can decide the last bit.

x86's vectors hold 64 bytes with AVX-512, 32 with AVX2; loops over elements take two of them at a time. This holds for
one thread; with more, each has a share of the elements, and ends of its own.
"""

from collections.abc import Mapping
from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.engines._profile import BYTES
from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.dequantized import DequantizedSum, add_dequantized
from hwsim.kernels.requantize import ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops._base import Arrays, Step, limits
from hwsim.ops._window import window
from hwsim.quantizers.multiplier import activation_bounds, quantize_multiplier

SUMS = {"dequantized_512_bits": 128, "dequantized_256_bits": 64}
"""Additions, and how many elements their loop takes at a time."""

MEANS = {"mean_512_bits": 16, "mean_256_bits": 8}
"""Averages under a window, and how many channels they take at a time."""


def by_width(kind: str, others: Mapping[str, Rule]) -> dict[str, dict[str, Rule]]:
    """The rules of "dequantized" or "mean" on bytes, for PyTorch on AVX-512 and on AVX2, and those on `others`."""
    wide = {"aten": 512, "aten-avx2": 256}
    rules = {level: Rule(f"{kind}_{bits}_bits", "float32") for level, bits in wide.items()}
    return {level: {**dict.fromkeys(BYTES, rule), **others} for level, rule in rules.items()}


def dequantized_sum(view: NodeView, rule: Rule) -> Step:
    """ADD under a rule in `SUMS`, of tensors of one shape."""
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
    body = size - size % SUMS[rule.algorithm]

    def step(inputs: Arrays, outputs: Arrays) -> None:
        rows = [array.reshape(array.shape[0], -1) for array in (inputs[0], inputs[1], outputs[0])]
        add_dequantized(rows[0], rows[1], params, body, rows[2])

    return step


def window_mean(view: NodeView, rule: Rule) -> Step:
    """AVERAGE_POOL_2D under a rule in `MEANS` or "centered_float32": the sum without zero points, rescaled in float32.

    Channels that are left over from vectors take the reciprocal of the factor's reciprocal.
    Source: native/quantized/cpu/kernels/QuantizedOpKernels.cpp, _qavg_pool_nhwc_kernel; qnnpack's q8avgpool.
    """
    source, output = view.input(0), view.output()
    height, width = view.integer("filter_h"), view.integer("filter_w")
    if view.text("padding") != "valid":
        raise UnsupportedError(f"{view.label}: pads; under this engine hwsim averages whole windows, with a pad before")
    frame, out_height, out_width = window(view, height, width)
    channels, count = source.shape[3], height * width
    factors = np.full(channels, mean_factor(source.scale, output.scale, count))
    if rule.algorithm in MEANS:
        factors[channels - channels % MEANS[rule.algorithm] :] = twice_reciprocal(factors[0])
    stage = OutputStage(ROUNDINGS["float32"], *quantize_multiplier(factors), factors, output.zero_point, *_ends(view))
    moved = np.int32(source.zero_point * count)
    stop_h, stop_w = (out_height - 1) * frame.stride_h + 1, (out_width - 1) * frame.stride_w + 1

    def step(inputs: Arrays, outputs: Arrays) -> None:
        sums = np.zeros(outputs[0].shape, np.int32)
        for top in range(height):
            rows = inputs[0][:, :, top : top + stop_h : frame.stride_h]
            for left in range(width):
                sums += rows[:, :, :, left : left + stop_w : frame.stride_w]
        requantize_rows((sums - moved).reshape(-1, channels), stage, outputs[0].reshape(-1, channels))

    return step


def mean_factor(source_scale: float, output_scale: float, count: int) -> float:
    """Input scale over output scale over the number of elements, each rounded to float32."""
    return float(np.float32(source_scale) / np.float32(output_scale) / np.float32(count))


def twice_reciprocal(value: float) -> float:
    """What is left of a float32 after its reciprocal was rounded to float32, twice."""
    return float(np.float32(1.0) / (np.float32(1.0) / np.float32(value)))


def _ends(view: NodeView) -> tuple[int, int]:
    output = view.output()
    return activation_bounds(view.text("activation", "none"), output.scale, output.zero_point, limits(output.dtype))

