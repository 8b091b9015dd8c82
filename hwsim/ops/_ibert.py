"""Operators as I-BERT computes them."""

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.ibert import softmax_ibert
from hwsim.ops._base import Arrays, Step, limits
from hwsim.quantizers.ibert import SMALLEST_SCALE, exp_constants

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
