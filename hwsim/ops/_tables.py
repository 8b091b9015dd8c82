"""Activations behind tables: a layer reads levels for codes, its sums become codes by thresholds; padding is 0.

A layer whose input has `Levels` multiplies the levels instead of the codes. One whose output has `Levels` needs no
multiplier and no rounding: the code of a sum is the number of thresholds that it reaches (`_thresholds`).
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import UnsupportedError
from hwsim.graph import Affine, Levels, NodeView, Tensor
from hwsim.ops._accumulating import LARGEST_LEVEL, THRESHOLDS
from hwsim.ops._base import Arrays, Op, Step
from hwsim.ops._fixed import FixableStep, Fixed, fix, in_turn, scratch
from hwsim.ops._vector_moves import lookup

MOVES = frozenset({
    "reshape", "squeeze", "expand_dims", "transpose", "slice", "strided_slice", "split", "split_v", "pack", "unpack",
    "gather", "concatenation", "max_pool_2d", "maximum", "minimum",
})  # fmt: skip
"""Operators that only move or compare codes: levels ascend with them."""

LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected")
CODES = 256


def bind(op: Op, view: NodeView, rule: Rule) -> Step:
    """What computes the node, its computed tensors behind tables or not.

    Raises
    ------
    UnsupportedError : for an operator that computes on the codes' values and is no layer with weights, for levels that
        are no integers, and for a fused activation that would cut levels off
    """
    computed = [t for t in (*view.inputs, *view.outputs) if t is not None and t.data is None]
    if not any(isinstance(tensor.format, Levels) for tensor in computed):
        return op.bind(view, rule)
    if op.name in MOVES:
        return op.bind(_moved(view, computed), rule)
    if op.name not in LAYERS:
        raise UnsupportedError(
            f"{view.label}: {_behind(computed).name!r} is behind a table, whose levels only layers with weights "
            "compute on; give it scale and zero point"
        )
    return _layer(op, view, rule)


def read_levels(tensor: Tensor) -> NDArray[np.int64]:
    """The levels of a computed tensor, ascending; UnsupportedError where they do not fit a byte."""
    form = tensor.format
    assert isinstance(form, Levels)
    if form.table.dtype != np.int32 or len(form.table) > 1 or not _fits_byte(form.table):
        raise UnsupportedError(
            f"tensor {tensor.name!r} has levels {form}; a layer reads one table of whole levels that fit 8 bits: "
            "re-quantize them to an outer bit-width of 8"
        )
    levels: NDArray[np.int64] = form.table[0].astype(np.int64)
    return levels


def _layer(op: Op, view: NodeView, rule: Rule) -> Step:
    """A layer with weights between tables."""
    source, output = view.input(0), view.output()
    decoded, levels = source, None
    if isinstance(source.format, Levels):
        levels = read_levels(source)
        scale = Affine(source.format.scale, np.zeros(1, np.int64))
        decoded = replace(source, dtype="int8" if levels.min() < 0 else "uint8", format=scale)
        levels = np.pad(levels, (0, CODES - levels.size), mode="edge").astype(decoded.dtype)
    if isinstance(output.format, Levels):
        _check_activation(view, output.format)
        rule = THRESHOLDS
    step = op.bind(_with(view, decoded), rule)
    return step if levels is None else _reading(step, levels)


def _reading(step: Step, levels: NDArray[Any]) -> Step:
    """`step` on the levels of its first input's codes."""
    signs = levels[0] == -1 and bool((levels[1:] == 1).all())

    def reading(inputs: Arrays, outputs: Arrays) -> None:
        step([levels[inputs[0]], *inputs[1:]], outputs)

    def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
        source = inputs[0]
        if signs and isinstance(step, FixableStep) and step.of_signs is not None:
            binary = step.of_signs(inputs, outputs)
            if binary is not None:
                return binary
        decoded = scratch(source.size)[: source.size].view(levels.dtype).reshape(source.shape)
        found = lookup(levels, 0, source, decoded)
        return None if found is None else in_turn(found, fix(step, [decoded, *inputs[1:]], outputs))

    return FixableStep(reading, fixed)


def _moved(view: NodeView, computed: list[Tensor]) -> NodeView:
    """The node on codes as they are; all of them must stand for the same values."""
    form = _behind(computed).format
    assert isinstance(form, Levels)
    wrong = [tensor for tensor in computed if not form.same_as(tensor.format)]
    if wrong or view.text("activation", "none") != "none":
        raise UnsupportedError(
            f"{view.label}: moves codes of {form}, and {wrong[0].name if wrong else 'its activation'!r} is of another "
            "kind; give all its tensors the same format"
        )
    plain = Affine.per_tensor(1.0)
    return _with(view, *(replace(tensor, format=plain) for tensor in computed))


def _with(view: NodeView, *changed: Tensor) -> NodeView:
    """The node with other tensors in place of those of the same name."""
    by_name = {tensor.name: tensor for tensor in changed}
    tensors = tuple(by_name.get(tensor.name, tensor) for tensor in view.graph.tensors)
    return replace(view, graph=replace(view.graph, tensors=tensors))


def _behind(computed: list[Tensor]) -> Tensor:
    return next(tensor for tensor in computed if isinstance(tensor.format, Levels))


def _check_activation(view: NodeView, form: Levels) -> None:
    activation, scale = view.text("activation", "none"), float(form.scale[0])
    low, high = {"none": (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6.0)}.get(activation, (1, 0))
    if not (low <= form.table.min() * scale and form.table.max() * scale <= high):
        raise UnsupportedError(
            f"{view.label}: its activation {activation!r} cuts off levels of {view.output().name!r}; choose levels "
            "within it"
        )


def _fits_byte(table: NDArray[Any]) -> bool:
    low, high = int(table.min()), int(table.max())
    return (low >= 0 and high <= LARGEST_LEVEL) or (low >= -128 and high <= 127)
