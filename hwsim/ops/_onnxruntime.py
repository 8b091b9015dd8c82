"""Operators that ONNX Runtime computes in float32: real values of codes, and codes of real values.

Source: microsoft/onnxruntime contrib_ops/cpu/quantization (qlinear_lookup_table.cc, qlinear_softmax.cc,
qlinear_pool.cc); core/mlas/lib/qlgavgpool.cpp, logistic.cpp.
"""

from math import exp, log, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.engines._profile import BYTES
from hwsim.graph import NodeView, Tensor
from hwsim.kernels.onnxruntime import (
    average_pool_onnxruntime,
    logistic_onnxruntime,
    mean_onnxruntime,
    quantize_divided_half_even,
    softmax_onnxruntime,
)
from hwsim.ops._base import Arrays, Step, limits, merge_batch
from hwsim.ops._window import window

FLOAT32 = Rule("onnxruntime")
RULES = dict.fromkeys(BYTES, FLOAT32)

_LOGISTIC_RISING = np.array(
    [4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03, 2.48287947061529e-01],
    np.float32,
)
_LOGISTIC_FALLING = np.array(
    [6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03, 1.16817656904453e-01,
     9.93151921023180e-01],
    np.float32,
)  # fmt: skip


def reals(source: Tensor) -> NDArray[np.float32]:
    """The value of each of the 256 codes, the smallest first."""
    low, high = limits(source.dtype)
    return np.float32(source.scale) * (np.arange(low, high + 1) - source.zero_point).astype(np.float32)


def nearest_codes(output: Tensor, values: NDArray[np.float32], out: NDArray[Any]) -> None:
    """QuantizeLinear of float32 `values` into codes of `output`'s format."""
    quantize_divided_half_even(values[None], output.scale, output.zero_point, *limits(output.dtype), out[None])


def logistic(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + exp(-x)) as MLAS approximates it."""
    out = np.empty(values.size, np.float32)
    logistic_onnxruntime(values, _LOGISTIC_RISING, _LOGISTIC_FALLING, out)
    return out


def average_pool(view: NodeView, ends: tuple[int, int]) -> Step:
    """AVERAGE_POOL_2D, the result limited to the codes `ends`; a window as large as the image is its mean."""
    source, output = view.input(0), view.output()
    values, formed = reals(source), (output.scale, output.zero_point, *limits(output.dtype))
    frame, _, _ = window(view, view.integer("filter_h"), view.integer("filter_w"))
    size = source.shape[1:3]
    whole = size == (frame.filter_height, frame.filter_width) and output.shape[1:3] == (1, 1)
    numbers = mean_numbers(view, prod(size))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
        if whole:
            sums = images.sum(axis=(1, 2), dtype=np.int64)
            mean_onnxruntime(sums, *numbers.values(), out.reshape(sums.shape))
        else:
            average_pool_onnxruntime(images, frame, values, *formed, out)
        np.clip(out, *ends, out=out)

    return step


def mean_numbers(view: NodeView, count: int) -> dict[str, int | float]:
    """What `mean_onnxruntime` takes between the sums of `count` raw codes and the output, by name and in its order."""
    source, output = view.input(0), view.output()
    minimum, maximum = limits(output.dtype)
    scale = np.float32(source.scale) / (np.float32(output.scale) * np.float32(count))
    ends = {"zero_point": output.zero_point, "minimum": minimum, "maximum": maximum}
    return {"offset": source.zero_point * count, "scale": float(scale), **ends}


def softmax(view: NodeView) -> Step:
    """SOFTMAX by a table of exponentials that are as large as float32 lets their sum be."""
    source, output, depth = view.input(0), view.output(), view.input(0).shape[-1]
    scale = float(np.float32(source.scale))
    room = max(0.0, log(float(np.float32(np.finfo(np.float32).max) / np.float32(depth))) - 5.0) / scale
    table = np.array([exp((room - distance) * scale) for distance in range(256)], np.float32)
    levels = np.floor(np.float32(1.0) / np.float32(output.scale))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        rows, out = inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth)
        softmax_onnxruntime(rows, table, levels, output.zero_point, limits(output.dtype)[1], out)

    return step
