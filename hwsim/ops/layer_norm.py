"""LAYER_NORM: the last axis less its mean, over its standard deviation, times gamma, plus beta."""

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import GraphError, ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, no_rule
from hwsim.ops._float import FLOAT
from hwsim.ops._ibert import BYTES, CODES, RULE, ibert_layer_norm

LARGEST_SHIFT = 31


class LayerNorm(Op):
    """Inputs are the values, gamma and beta, both constants (depth,): float32, or int32 codes with one scale.

    `epsilon` is added to the variance; I-BERT has none. `shift` are the bits that it drops before it squares; without
    it as many as any input may need. No TFLite engine has this operator.
    Source: Ba et al., Layer Normalization (arXiv 1607.06450).
    """

    name = "layer_norm"
    sources = {}
    rules = {
        "ibert": {f"{source}>{target}": RULE for source in CODES for target in (*BYTES, "int16")},
        "float": {"float32>float32": FLOAT},
    }

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape = view.input(0).shape
        for position, name in ((1, "gamma"), (2, "beta")):
            found = view.input(position).shape
            if not shape or not shape[-1] or found != shape[-1:]:
                raise ShapeError(f"{view.label}: {name} is {list(found)}, input {list(shape)}; expected its last axis")
        return (shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return _bind_float(view)
        if rule != RULE:
            raise no_rule(view, rule)
        return ibert_layer_norm(view, _real(view, 1), _real(view, 2), _shift(view))


def _bind_float(view: NodeView) -> Step:
    gamma, beta = view.constant(1), view.constant(2)
    if gamma.dtype != np.float32 or beta.dtype != np.float32:
        raise UnsupportedError(f"{view.label}: gamma is {gamma.dtype} and beta {beta.dtype}; expected float32")
    epsilon = np.float32(view.attributes.get("epsilon", 0.0))  # type: ignore[arg-type]

    def step(inputs: Arrays, outputs: Arrays) -> None:
        centered = inputs[0] - inputs[0].mean(axis=-1, keepdims=True)
        variance = np.square(centered).mean(axis=-1, keepdims=True)
        outputs[0][...] = centered / np.sqrt(variance + epsilon) * gamma + beta

    return step


def _real(view: NodeView, position: int) -> NDArray[np.float64]:
    """What the codes of gamma or beta stand for."""
    codes, tensor = view.constant(position), view.input(position)
    if codes.dtype != np.int32 or tensor.format is None:
        raise GraphError(f"{view.label}: {tensor.name!r} is {codes.dtype}; expected int32 with a scale")
    real: NDArray[np.float64] = (codes.astype(np.float64) - tensor.zero_point) * tensor.scale
    return real


def _shift(view: NodeView) -> int | None:
    if "shift" not in view.attributes:
        return None
    shift = view.integer("shift")
    if not 0 <= shift <= LARGEST_SHIFT:
        raise GraphError(f"{view.label}: shift is {shift}; must be in [0, {LARGEST_SHIFT}]")
    return shift


OP = LayerNorm()
