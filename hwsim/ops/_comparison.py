"""What EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL share."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView, Tensor
from hwsim.kernels.scaled import scaled_codes
from hwsim.ops._base import Arrays, Op, RuleFor, Shape, Step, no_rule
from hwsim.ops._byte_function import multiplier_of
from hwsim.ops._elementwise import broadcast_shape, sample_rows

LEFT_SHIFT = 8
SCALED, RAW = Rule("scaled"), Rule("raw")

Array = NDArray[Any]


def comparison_rules(raw: tuple[str, ...], scaled: tuple[str, ...], micro: tuple[str, ...]) -> Mapping[str, Any]:
    """Rules for dtypes whose values, or whose real values, are compared; `micro` lists what TFLM takes."""
    rules: dict[str, RuleFor] = {**dict.fromkeys(raw, RAW), **dict.fromkeys(scaled, SCALED)}
    return {
        "litert-reference": rules,
        "tflite-micro": {dtype: rules[dtype] for dtype in micro},
        "float": dict.fromkeys(raw, RAW),
    }


class Comparison(Op):
    """Codes are moved to a common scale with 8 more bits, then compared; plain numbers are compared as they are.

    Source: LiteRT tflite/kernels/comparisons.cc; TFLM micro/kernels/comparisons.cc.
    """

    compare: ClassVar[np.ufunc]

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule not in (SCALED, RAW):
            raise no_rule(view, rule)
        shape, compare = view.output().shape, self.compare
        prepare = [_scaled(view.input(i)) if rule == SCALED else np.asarray for i in (0, 1)]

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = (get(sample_rows(array, shape)) for get, array in zip(prepare, inputs, strict=True))
            compare(first, second, out=outputs[0].reshape(outputs[0].shape[0], -1))

        return step


def _scaled(tensor: Tensor) -> Callable[[Array], Array]:
    multiplier, shift = multiplier_of(tensor.scale)
    zero_point = tensor.zero_point

    def run(codes: Array) -> Array:
        out = np.empty(codes.shape, np.int64)
        scaled_codes(codes, zero_point, LEFT_SHIFT, multiplier, shift, out)
        return out

    return run
