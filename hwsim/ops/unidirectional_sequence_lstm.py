"""UNIDIRECTIONAL_SEQUENCE_LSTM: long short-term memory over the steps of a sequence, in integers."""

from math import log2

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import GraphError, ShapeError, UnsupportedError
from hwsim.graph import NodeView, Tensor
from hwsim.kernels.lstm import Gates, LstmParams, lstm_fixed_point, lstm_tables
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule, rank
from hwsim.ops._byte_function import multiplier_of
from hwsim.ops._sigmoid import sigmoid_table
from hwsim.ops._stated import from_scales_only, stated_real
from hwsim.quantizers.multiplier import quantize_multiplier

WEIGHTS, RECURRENT, BIAS = range(1, 5), range(5, 9), range(12, 16)
"""Of the input, forget, cell and output gate; the input gate's are absent where it is what the forget gate leaves."""

HIDDEN, CELL = 18, 19
REFUSED = {"peepholes": (9, 10, 11), "a projection": (16, 17), "layer normalization": (20, 21, 22, 23)}
GATE_SCALE = np.float32(2.0**-12)
CELL_POWERS = range(-15, -8)


class UnidirectionalSequenceLstm(Op):
    """16-bit gates and cell. TFLM takes 8- and 16-bit inputs and reads its activations off a table; CMSIS-NN does too,
    and limits only sums to 16 bits; LiteRT takes 8-bit inputs and computes activations in gemmlowp's fixed point.

    Source: LiteRT tflite/kernels/unidirectional_sequence_lstm.cc, lstm_eval.cc; TFLM micro/kernels/lstm_eval_common.cc.
    """

    name = "unidirectional_sequence_lstm"
    sources = {"tflite": "UNIDIRECTIONAL_SEQUENCE_LSTM"}
    options = TfliteOptions(
        "UnidirectionalSequenceLSTMOptions",
        {
            "activation": "FusedActivationFunction",
            "cell_clip": "CellClip",
            "proj_clip": "ProjClip",
            "time_major": "TimeMajor",
            "asymmetric_quantize_inputs": "AsymmetricQuantizeInputs",
            "diagonal_recurrent_tensors": "DiagonalRecurrentTensors",
        },
    )
    rules = {
        "litert-reference": {"int8": Rule("fixed_point", "float32")},
        "tflite-micro": dict.fromkeys(("int8", "int16"), Rule("tables", "float32_product")),
        "cmsis-nn": dict.fromkeys(("int8", "int16"), Rule("tables_sums_saturate", "float32_product")),
    }
    state = (HIDDEN, CELL)
    stated = ("gate_multiplier", "gate_shift", "cell_multiplier", "cell_shift", "output_multiplier", "output_shift")

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        first, second, depth = rank(view, 0, 3)
        cells = view.input(WEIGHTS[1]).shape[0]
        batch = second if view.attributes.get("time_major") else first
        for gates, columns in ((WEIGHTS, depth), (RECURRENT, cells)):
            for position in _given(view, gates):
                if view.input(position).shape != (cells, columns):
                    raise ShapeError(
                        f"{view.label}: weights {view.input(position).name!r} are {list(view.input(position).shape)}; "
                        f"expected {[cells, columns]}"
                    )
        for position in self.state:
            if view.input(position).shape != (batch, cells):
                raise ShapeError(
                    f"{view.label}: state {view.input(position).name!r} is {list(view.input(position).shape)}; "
                    f"expected {[batch, cells]}"
                )
        return ((first, second, cells),)

    def macs(self, view: NodeView) -> int:
        first, second, depth = view.input(0).shape
        cells = view.input(WEIGHTS[1]).shape[0]
        return first * second * cells * (depth + cells) * len(_given(view, WEIGHTS))

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule.algorithm not in ("tables", "tables_sums_saturate", "fixed_point"):
            raise no_rule(view, rule)
        _refuse(view, rule)
        if rule.algorithm == "fixed_point":
            from_scales_only(view)
        gates, params, table = _gates(view, rule), _params(view, rule), sigmoid_table()
        time_major = bool(view.attributes.get("time_major"))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            for x, hidden, cell, out in zip(inputs[0], inputs[HIDDEN], inputs[CELL], outputs[0], strict=True):
                x, out = (x.swapaxes(0, 1), out.swapaxes(0, 1)) if time_major else (x, out)
                if rule.algorithm != "fixed_point":
                    lstm_tables(x, gates, params, table, hidden, cell, out)
                else:
                    lstm_fixed_point(x, gates, params, hidden, cell, out)

        return step


def _given(view: NodeView, positions: range) -> list[int]:
    """The gates' inputs that are there."""
    return [position for position in positions if view.optional(position) is not None]


def _refuse(view: NodeView, rule: Rule) -> None:
    """UnsupportedError for the forms of the operator that hwsim, or the engine, does not run."""
    for what, positions in REFUSED.items():
        if any(view.optional(position) is not None for position in positions):
            raise UnsupportedError(f"{view.label}: has {what}; hwsim runs none")
    if view.attributes.get("diagonal_recurrent_tensors"):
        raise UnsupportedError(f"{view.label}: has diagonal recurrent weights; hwsim runs full ones only")
    if view.text("activation", "tanh") != "tanh":
        raise UnsupportedError(f"{view.label}: activation is {view.text('activation')!r}; hwsim runs 'tanh' only")
    if _coupled(view) and rule.algorithm != "fixed_point":
        raise UnsupportedError(f"{view.label}: has no input gate; TensorFlow Lite Micro needs all four gates")
    if view.input(CELL).dtype != "int16" or view.input(HIDDEN).dtype != view.input(0).dtype:
        raise UnsupportedError(
            f"{view.label}: hidden state is {view.input(HIDDEN).dtype} and cell {view.input(CELL).dtype}; "
            f"expected {view.input(0).dtype} and int16"
        )
    _cell_power(view)


def _coupled(view: NodeView) -> bool:
    return view.optional(WEIGHTS[0]) is None


def _cell_power(view: NodeView) -> int:
    """The cell's scale as a power of 2."""
    power = round(log2(view.input(CELL).scale))
    if view.input(CELL).scale != 2.0**power or power not in CELL_POWERS or view.input(CELL).zero_point != 0:
        raise UnsupportedError(
            f"{view.label}: cell has {view.input(CELL).format}; expected a scale of 2^{CELL_POWERS[0]} to "
            f"2^{CELL_POWERS[-1]} and zero point 0"
        )
    return power


def _gates(view: NodeView, rule: Rule) -> Gates:
    weights, recurrent = _stacked(view, WEIGHTS), _stacked(view, RECURRENT)
    bias = np.stack([_bias(view, position, recurrent.shape[1]) for position in BIAS])
    real, stated = np.zeros((4, 2)), stated_real(view, "gate", 8)
    for gate in range(4):
        for side, (positions, source) in enumerate(((WEIGHTS, view.input(0)), (RECURRENT, view.input(HIDDEN)))):
            if view.optional(positions[gate]) is not None:
                real[gate, side] = _to_gate(source, view.input(positions[gate]), rule)
    multiplier, shift = (
        part.reshape(4, 2) for part in quantize_multiplier(real.reshape(-1) if stated is None else stated)
    )
    return Gates(weights, recurrent, bias, multiplier, shift)


def _to_gate(source: Tensor, weights: Tensor, rule: Rule) -> float:
    """The real multiplier from products to steps of 2^-12."""
    if rule.scale == "float32":
        return float(np.float32(weights.scale) * np.float32(source.scale) / GATE_SCALE)
    return float(np.float32(source.scale) * np.float32(weights.scale)) / float(GATE_SCALE)


def _stacked(view: NodeView, positions: range) -> NDArray[np.int16]:
    """The weights of all gates, zeros for an absent input gate."""
    shape = view.input(positions[1]).shape
    parts = [view.constant(p) if view.optional(p) is not None else np.zeros(shape, np.int8) for p in positions]
    for part in parts:
        if part.dtype != np.int8:
            raise UnsupportedError(f"{view.label}: weights are {part.dtype}; expected int8")
    return np.stack(parts).astype(np.int16)


def _bias(view: NodeView, position: int, cells: int) -> NDArray[np.int64]:
    if view.optional(position) is None:
        return np.zeros(cells, np.int64)
    bias = view.constant(position)
    expected = "int64" if view.input(0).dtype == "int16" else "int32"
    if bias.dtype != np.dtype(expected) or bias.shape != (cells,):
        raise GraphError(f"{view.label}: bias is {bias.dtype} {list(bias.shape)}; expected {expected} {[cells]}")
    return bias.astype(np.int64)


def _params(view: NodeView, rule: Rule) -> LstmParams:
    cell, hidden, power = view.input(CELL).scale, view.input(HIDDEN), _cell_power(view)
    zero_points = view.input(0).zero_point, hidden.zero_point
    wide = view.input(0).dtype == "int16"
    clip = float(view.attributes.get("cell_clip", 0.0))  # type: ignore[arg-type]
    limit = int(min(float(np.float32(clip) / np.float32(cell)), 32767.0)) if clip > 0 else 0
    within, onward = stated_real(view, "cell", 2), stated_real(view, "output", 1)
    kept, added = (2.0**-15 * cell / cell, 2.0**-30 / cell) if within is None else within
    return LstmParams(
        zero_points,
        wide,
        multiplier_of(kept),
        multiplier_of(added),
        multiplier_of(_hidden_scale(view, rule) if onward is None else onward[0]),
        power,
        limit,
        _coupled(view),
        rule.algorithm == "tables",
        *limits(hidden.dtype),
    )


def _hidden_scale(view: NodeView, rule: Rule) -> float:
    """2^-30 over the hidden state's scale."""
    scale = view.input(HIDDEN).scale
    return (
        float(np.float32(2.0**-15) / np.float32(scale) * np.float32(2.0**-15))
        if rule.scale == "float32"
        else 2.0**-30 / scale
    )


OP = UnidirectionalSequenceLstm()
