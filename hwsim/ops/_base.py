"""What an operator is: its outside names, its shapes, its rules by engine, and how it binds to kernels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Engine, Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import Affine, NodeView, Tensor

Shape = tuple[int, ...]
Arrays = Sequence[NDArray[Any]]

Step = Callable[[Arrays, Arrays], None]
"""Computes a node: (inputs, outputs), each array of shape (samples, *declared shape); absent inputs are empty arrays.
"""

STATED = (
    "output_multiplier", "output_shift", "input_multiplier", "input_shift", "left_shift", "state_multiplier",
    "state_shift", "gate_multiplier", "gate_shift", "cell_multiplier", "cell_shift", "output_minimum", "output_maximum",
)  # fmt: skip
"""Options by which a node of any file format states integers in place of scales; see `_stated`."""

RuleChoice = Callable[[NodeView], Rule | None]
"""Gives a node's rule, or None where this rule set leaves the node to the next one."""

RuleFor = Rule | RuleChoice
"""A rule, or what chooses it."""


CUSTOM, CUSTOM_OPTIONS = "CUSTOM:", "CustomOptions"
"""What the names of operators outside the schema begin with, and what holds their options: a map of flexbuffers."""


@dataclass(frozen=True, slots=True)
class TfliteOptions:
    """Where a `.tflite` file keeps an operator's options: the schema's table (or `CUSTOM_OPTIONS`), and its field for
    each attribute.
    """

    table: str
    fields: Mapping[str, str] = field(default_factory=dict)


class Op:
    """An operator. A file in this folder ends with `OP = ThatOperator()`."""

    name: ClassVar[str]
    sources: ClassVar[Mapping[str, str]]
    options: ClassVar[TfliteOptions | None] = None
    rules: ClassVar[Mapping[str, Mapping[str, RuleFor]]]
    state: ClassVar[tuple[int, ...]] = ()
    """Positions of the inputs that are state, which the node may overwrite in place."""

    stated: ClassVar[tuple[str, ...]] = ()
    """Which of `STATED` the operator takes."""

    def signature(self, view: NodeView) -> str:
        """The dtypes that choose the rule, here the first input's."""
        return view.input(0).dtype

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        """Output shapes for the declared input shapes; ShapeError where these do not fit."""
        raise NotImplementedError

    def bind(self, view: NodeView, rule: Rule) -> Step:
        """Prepare weights and tables once, and return what computes the node under `rule`."""
        raise NotImplementedError

    def macs(self, view: NodeView) -> int:
        """Multiply-accumulates of one run at the declared shapes."""
        return 0

    def rule(self, engine: Engine, view: NodeView) -> Rule:
        """The rule `engine` follows for this node; UnsupportedError where it has none."""
        signature = self.signature(view)
        override = engine.rules.get((self.name, signature))
        if override is not None:
            return override
        if engine.takes is not None and self.name not in engine.takes:
            raise UnsupportedError(f"{view.label}: hwsim does not know how engine {engine.name!r} rounds this operator")
        for level in engine.lineage:
            entry = self.rules.get(level, {}).get(signature)
            found = entry(view) if callable(entry) else entry
            if found is not None:
                return found
        dtypes = sorted({d for level in engine.lineage for d in self.rules.get(level, {})})
        known = f"it runs {', '.join(dtypes)}" if dtypes else "it does not have this operator"
        raise UnsupportedError(f"{view.label}: engine {engine.name!r} cannot run it on {signature}; {known}")

    def known_rules(self, view: NodeView) -> list[Rule]:
        """Every rule known for this node's dtype, for explaining a difference."""
        signature, found = self.signature(view), []
        for by_dtype in self.rules.values():
            with suppress(UnsupportedError):  # of an engine that refuses this very node
                entry = by_dtype.get(signature)
                found.append(entry(view) if callable(entry) else entry)
        return list(dict.fromkeys(rule for rule in found if rule is not None))

    def check(self, view: NodeView) -> None:
        """Compare the shapes that the file declares with those that follow from the inputs; refuse what is stated for
        nothing.
        """
        for name in STATED:
            if name in view.attributes and name not in self.stated:
                raise UnsupportedError(f"{view.label}: states {name!r}, which this operator does not take")
        for tensor, shape in zip(view.outputs, self.infer_shapes(view), strict=True):
            if tensor.shape != shape:
                raise ShapeError(
                    f"{view.label}: output {tensor.name!r} is declared {list(tensor.shape)}; "
                    f"its inputs give {list(shape)}"
                )

    def unwritten(self, view: NodeView, outputs: Arrays) -> Sequence[NDArray[np.bool_]]:
        """Where, in each output, engines leave what was in memory; nothing where they write everything."""
        return ()

    def check_state(self, view: NodeView) -> None:
        """UnsupportedError where what the operator overwrites is no variable."""
        for position in self.state:
            tensor = view.input(position)
            if not tensor.is_variable:
                raise UnsupportedError(f"{view.label}: {tensor.name!r} is overwritten; expected a variable tensor")


def no_rule(view: NodeView, rule: Rule) -> UnsupportedError:
    """The error for a rule that an operator does not know."""
    return UnsupportedError(f"{view.label}: has no algorithm {rule.algorithm!r}")


def rank(view: NodeView, position: int, expected: int) -> Shape:
    """The shape of an input, which must have `expected` dimensions."""
    tensor = view.input(position)
    if len(tensor.shape) != expected:
        raise ShapeError(f"{view.label}: input {tensor.name!r} is {list(tensor.shape)}; expected {expected} dimensions")
    return tensor.shape


def merge_batch(array: NDArray[Any]) -> NDArray[Any]:
    """(samples, batch, ...) viewed as (samples * batch, ...)."""
    return array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])


def elements(shape: Shape) -> int:
    """How many values a tensor of `shape` holds."""
    return prod(shape)


def limits(dtype: str) -> tuple[int, int]:
    """The smallest and largest value of an integer dtype."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def code_limits(tensor: Tensor) -> tuple[int, int]:
    """The smallest and largest code of a tensor, whose format may have fewer bits than its dtype."""
    bits = tensor.format.bits if isinstance(tensor.format, Affine) else None
    if bits is None:
        return limits(tensor.dtype)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if np.dtype(tensor.dtype).kind == "i" else (0, (1 << bits) - 1)


def symmetric_int16(view: NodeView, tensors: Iterable[Tensor]) -> None:
    """UnsupportedError where an int16 tensor among `tensors` has a zero point; engines refuse that."""
    for tensor in tensors:
        if tensor.dtype == "int16" and tensor.format is not None and tensor.zero_point != 0:
            raise UnsupportedError(
                f"{view.label}: {tensor.name!r} is int16 with zero point {tensor.zero_point}; must be 0"
            )


def everywhere(
    algorithm: str, *signatures: str, micro: Sequence[str] | None = None
) -> Mapping[str, Mapping[str, RuleFor]]:
    """Rules of an operator that every engine computes alike; `micro` lists what TFLM takes, if not all."""
    rule = Rule(algorithm)
    return {
        "litert-reference": dict.fromkeys(signatures, rule),
        "tflite-micro": dict.fromkeys(signatures if micro is None else micro, rule),
        "float": dict.fromkeys(signatures, rule),
    }
