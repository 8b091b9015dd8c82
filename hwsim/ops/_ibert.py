"""Operators as I-BERT computes them."""

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.ibert import gelu_ibert, layer_norm_ibert, softmax_ibert
from hwsim.kernels.requantize import ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops._base import Arrays, Step, limits
from hwsim.quantizers.ibert import (
    LARGEST_GELU_SCALE,
    SMALLEST_SCALE,
    exp_constants,
    gelu_constants,
    layer_norm_constants,
    layer_norm_shift,
)
from hwsim.quantizers.multiplier import quantize_multiplier

RULE = Rule("ibert")
CODES = ("int8", "uint8", "int16", "int32")
"""What softmax and layer norm read; int32 stands for sums."""

BYTES = ("int8", "uint8")
FRACTION_BITS = 8
"""Of a probability: the output's scale must be 1/256."""


def ibert_softmax(view: NodeView, beta: float) -> Step:
    """SOFTMAX over the last axis in integers."""
    scale, output = view.input(0).scale * beta, view.output()
    if scale < SMALLEST_SCALE or output.scale != 2.0**-FRACTION_BITS:
        raise UnsupportedError(
            f"{view.label}: input scale times beta is {scale:g}, output scale {output.scale:g}; I-BERT's softmax needs "
            f"at least {SMALLEST_SCALE:g} and {2.0**-FRACTION_BITS:g}"
        )
    terms, unit = exp_constants(scale)
    exponent, depth = np.array(terms, np.int64), view.input(0).shape[-1]
    ends = limits(output.dtype)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        rows, out = inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth)
        softmax_ibert(rows, exponent, unit * 32767.0, FRACTION_BITS, output.zero_point, *ends, out)

    return step


def ibert_gelu(view: NodeView) -> Step:
    """GELU in integers of a value whose scale is fine enough for it."""
    source = view.input(0)
    if source.scale > LARGEST_GELU_SCALE:
        raise UnsupportedError(
            f"{view.label}: input scale is {source.scale:g}; I-BERT's GELU needs at most {LARGEST_GELU_SCALE:g}: give "
            "it codes of 16 bits, or sums"
        )
    terms, unit = gelu_constants(source.scale)
    constants, stage = np.array(terms, np.int64), _stage(view, np.array([unit]))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        gelu_ibert(inputs[0].reshape(-1), source.zero_point, constants, stage, outputs[0].reshape(-1))

    return step


def ibert_layer_norm(view: NodeView, gamma: NDArray[np.float64], beta: NDArray[np.float64], shift: int | None) -> Step:
    """LAYER_NORM over the last axis in integers.

    gamma, beta : (depth,); shift : bits dropped before squaring, None for as many as any input may need
    """
    source, depth = view.input(0), gamma.size
    if not gamma.all():
        place = int((gamma == 0).argmax())
        raise UnsupportedError(f"{view.label}: gamma[{place}] is 0; I-BERT divides beta by it: give it another value")
    offsets, unit = layer_norm_constants(gamma, beta)
    stage, zero_point = _stage(view, unit * gamma), np.int32(source.zero_point)
    dropped = layer_norm_shift(8 * np.dtype(source.dtype).itemsize, depth) if shift is None else shift

    def step(inputs: Arrays, outputs: Arrays) -> None:
        rows = inputs[0].reshape(-1, depth).astype(np.int32) - zero_point
        normal = np.empty(rows.shape, np.int64)
        layer_norm_ibert(rows, dropped, offsets, normal)
        requantize_rows(normal, stage, outputs[0].reshape(-1, depth))

    return step


def _stage(view: NodeView, units: NDArray[np.float64]) -> OutputStage:
    """From integers in these units, one per channel, to the output's codes, as HAWQ-V3 rounds."""
    output = view.output()
    scale = units / output.scale
    ends = limits(output.dtype)
    return OutputStage(ROUNDINGS["float64_half_even"], *quantize_multiplier(scale), scale, output.zero_point, *ends)
