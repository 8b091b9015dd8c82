"""SVDF: a fully connected layer over time, factored into features and their last moments."""

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import GraphError, ShapeError
from hwsim.graph import NodeView, Tensor
from hwsim.kernels.svdf import SvdfParams, svdf
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, merge_batch, no_rule, rank
from hwsim.ops._byte_function import multiplier_of
from hwsim.ops._stated import output_bounds, stated_real
from hwsim.quantizers.multiplier import effective_scale

BIAS, STATE = 3, 4
WRAPPING = Rule("double_rounding_wrapping")


class Svdf(Op):
    """int8 in and out; the state and the weights over time are int16, in TFLM int8 as well. CMSIS-NN knows no zero
    point of an int8 state, limits it to 16 bits and stores the lower 8.

    Source: LiteRT tflite/kernels/svdf.cc; TFLM micro/kernels/svdf_common.cc, cmsis_nn/svdf.cc; ARM-software/CMSIS-NN
    Source/SVDFunctions/arm_svdf_s8.c.
    """

    name = "svdf"
    sources = {"tflite": "SVDF"}
    options = TfliteOptions(
        "SVDFOptions",
        {
            "rank": "Rank",
            "activation": "FusedActivationFunction",
            "asymmetric_quantize_inputs": "AsymmetricQuantizeInputs",
        },
    )
    rules = {
        "litert-reference": {"int8>int16": Rule("double_rounding", "float32")},
        "tflite-micro": {
            "int8>int16": Rule("double_rounding"),
            "int8>int8": Rule("double_rounding"),
        },
        "cmsis-nn": {"int8>int8": WRAPPING},
    }
    state = (STATE,)
    stated = (
        "state_multiplier",
        "state_shift",
        "output_multiplier",
        "output_shift",
        "output_minimum",
        "output_maximum",
    )

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.input(STATE).dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, depth = rank(view, 0, 2)
        filters, columns = rank(view, 1, 2)
        rows, memory = rank(view, 2, 2)
        per_unit, state = view.integer("rank", 1), view.input(STATE).shape
        if depth != columns or filters != rows:
            raise ShapeError(
                f"{view.label}: features are {[filters, columns]} and times {[rows, memory]} for an input of {depth}"
            )
        if per_unit < 1 or filters % per_unit:
            raise ShapeError(f"{view.label}: rank is {per_unit}; must be >= 1 and divide {filters} filters")
        if state != (batch, filters * memory):
            raise ShapeError(f"{view.label}: state is {list(state)}; expected {[batch, filters * memory]}")
        return ((batch, filters // per_unit),)

    def macs(self, view: NodeView) -> int:
        features, times = view.input(1).shape, view.input(2).shape
        return view.input(0).shape[0] * features[0] * (features[1] + times[1])

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule.algorithm not in ("double_rounding", "single_rounding", WRAPPING.algorithm):
            raise no_rule(view, rule)
        features, times = view.constant(1), view.constant(2)
        if features.dtype != np.int8 or times.dtype != view.input(STATE).dtype:
            raise GraphError(
                f"{view.label}: features are {features.dtype}, times {times.dtype}; "
                f"expected int8 and the state's {view.input(STATE).dtype}"
            )
        params, (filters, memory) = _params(view, rule), times.shape
        bias = _bias(view, filters // params.rank)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            state = merge_batch(inputs[STATE]).reshape(-1, filters, memory)
            svdf(merge_batch(inputs[0]), features, times, bias, params, state, merge_batch(outputs[0]))

        return step


def _bias(view: NodeView, units: int) -> NDArray[np.int32]:
    if view.optional(BIAS) is None:
        return np.zeros(units, np.int32)
    bias = view.constant(BIAS)
    if bias.dtype != np.int32 or bias.shape != (units,):
        raise GraphError(f"{view.label}: bias is {bias.dtype} {list(bias.shape)}; expected int32 {[units]}")
    return bias


def _params(view: NodeView, rule: Rule) -> SvdfParams:
    source, state, output, wraps = view.input(0), view.input(STATE), view.output(), rule == WRAPPING
    return SvdfParams(
        (source.zero_point, 0 if wraps else state.zero_point, output.zero_point),
        _multiplier(view, "state", (source, view.input(1), state), rule),
        _multiplier(view, "output", (state, view.input(2), output), rule),
        view.integer("rank", 1),
        limits(state.dtype),
        limits("int16" if wraps else state.dtype),
        output_bounds(view, "none"),
        rule.algorithm == "single_rounding",
    )


def _multiplier(view: NodeView, what: str, tensors: tuple[Tensor, Tensor, Tensor], rule: Rule) -> tuple[int, int]:
    """Multiplier and shift that the node states, or of source * weights / target."""
    stated = stated_real(view, what, 1)
    if stated is not None:
        return multiplier_of(stated[0])
    source, weights, target = (tensor.scale for tensor in tensors)
    return multiplier_of(effective_scale(source, np.array([weights], np.float32), target, rule.scale)[0])


OP = Svdf()
