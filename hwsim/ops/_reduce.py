"""What reductions over constant axes share."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions


class Reduction(Op):
    """One value out of all along the axes that input 1 names."""

    options = TfliteOptions("ReducerOptions", {"keep_dims": "KeepDims"})

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axes = view.input(0).shape, reduced_axes(view)
        if view.attributes.get("keep_dims"):
            return (tuple(1 if i in axes else size for i, size in enumerate(shape)),)
        return (tuple(size for i, size in enumerate(shape) if i not in axes),)


def reduced_axes(view: NodeView) -> Shape:
    """The axes in order, each once, counted from the front."""
    dimensions = len(view.input(0).shape)
    axes = [int(axis) for axis in view.constant(1).reshape(-1)]
    if any(not -dimensions <= axis < dimensions for axis in axes):
        raise ShapeError(f"{view.label}: axes are {axes}; each must be in [{-dimensions}, {dimensions - 1}]")
    return tuple(sorted({axis % dimensions for axis in axes}))


def joined_in_order(axes: Shape, join: np.ufunc, finish: Callable[..., NDArray[Any]] | None = None) -> Step:
    """What joins the elements along `axes` one after another as engines do; integers wrap.

    finish : of the joined elements and how many there were
    """

    def step(inputs: Arrays, outputs: Arrays) -> None:
        values, over = inputs[0], [axis + 1 for axis in axes]
        others = [axis for axis in range(values.ndim) if axis not in over]
        count = prod(values.shape[axis] for axis in over)
        parts = values.transpose(*over, *others).reshape(count, -1)
        wide = np.int64 if finish is not None and parts.dtype == np.int32 else parts.dtype
        start = np.full((1, parts.shape[1]), join.identity, wide)
        total = join.accumulate(np.concatenate([start, parts], dtype=wide), axis=0)[-1]
        total = total if finish is None else finish(total, count)
        outputs[0][...] = total.reshape(outputs[0].shape)

    return step


def kept_axes(view: NodeView) -> Shape:
    """The other axes."""
    return tuple(i for i in range(len(view.input(0).shape)) if i not in reduced_axes(view))
