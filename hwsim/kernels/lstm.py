"""One layer of long short-term memory in integers: 16-bit gates and cell, 8- or 16-bit input and hidden state.

Source: TFLM micro/kernels/lstm_eval.h, lstm_eval_common.cc; LiteRT tflite/kernels/lstm_eval.cc, EvalInteger8x8_16Lstm;
ARM-software/CMSIS-NN Source/NNSupportFunctions/arm_nn_lstm_step_s8.c.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels import kernel
from hwsim.kernels.fixed_point_int16 import logistic_q15, tanh_q15
from hwsim.kernels.integers import clamp, wrap_int16, wrap_int32
from hwsim.kernels.requantize import (
    requantize_reduced_int64,
    requantize_tflite_double_rounding,
    rounding_shift_right,
)
from hwsim.kernels.sigmoid_int16 import logistic_int16, tanh_int16


class Gates(NamedTuple):
    """The layers of the input, forget, cell and output gate, in this order along axis 0.

    weights : int16 (4, cells, inputs), of the input; recurrent : int16 (4, cells, cells), of the hidden state
    bias : int64 (4, cells)
    multiplier, shift : int64 (4, 2): of the input's and the hidden state's sums, to steps of 2^-12
    """

    weights: NDArray[np.int16]
    recurrent: NDArray[np.int16]
    bias: NDArray[np.int64]
    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]


class LstmParams(NamedTuple):
    """What else a layer needs.

    zero_points : of the input and of the hidden state
    wide : whether sums are of 64 bits and multipliers of 16, as for int16 inputs
    kept, added, hidden : multiplier and shift of forget gate * cell, input gate * cell gate, output gate * tanh(cell)
    cell_power : the cell's scale is 2^cell_power
    clip : the cell is limited to [-clip, clip]; 0 for no limit
    coupled : whether the input gate is what the forget gate leaves
    parts_saturate : whether both parts of a gate, and of the cell, are limited to 16 bits before they are added
    minimum, maximum : of the hidden state's codes
    """

    zero_points: tuple[int, int]
    wide: bool
    kept: tuple[int, int]
    added: tuple[int, int]
    hidden: tuple[int, int]
    cell_power: int
    clip: int
    coupled: bool
    parts_saturate: bool
    minimum: int
    maximum: int


@kernel
def saturate_int16(value):
    """`value` limited to 16 bits."""
    return clamp(value, np.int64(-32768), np.int64(32767))


@kernel
def rounded(total, multiplier, shift, wide):
    """A sum of products through its multiplier: TFLite's rule for 32-bit sums, or the one for 64-bit sums."""
    if wide:
        return requantize_reduced_int64(total, multiplier, shift)
    return requantize_tflite_double_rounding(wrap_int32(total), multiplier, shift)


@kernel
def dot(codes, zero_point, weights):
    """The sum of (code - zero point) * weight, in int64."""
    total = np.int64(0)
    for k in range(weights.shape[0]):
        total += (np.int64(codes[k]) - np.int64(zero_point)) * np.int64(weights[k])
    return total


@kernel
def gate_sums(codes, state, gates, p, out):
    """What each gate's activation sees, in steps of 2^-12.

    codes : (inputs,); state : (cells,); out : int64 (4, cells)
    """
    for gate in range(4):
        for c in range(out.shape[1]):
            total = dot(codes, p.zero_points[0], gates.weights[gate, c]) + gates.bias[gate, c]
            value = saturate_int16(rounded(total, gates.multiplier[gate, 0], gates.shift[gate, 0], p.wide))
            total = dot(state, p.zero_points[1], gates.recurrent[gate, c])
            more = rounded(total, gates.multiplier[gate, 1], gates.shift[gate, 1], p.wide)
            if p.parts_saturate:
                more = saturate_int16(more)
            out[gate, c] = saturate_int16(value + more)


@kernel
def limited(cell, clip):
    """The cell within [-clip, clip]; 0 for no limit."""
    return clamp(cell, -np.int64(clip), np.int64(clip)) if clip > 0 else cell


@kernel
def lstm_tables(inputs, gates, p, table, hidden, cell, out):
    """TFLM and CMSIS-NN: activations by a table of the logistic function; every product requantized.

    inputs : (batch, steps, inputs); hidden, out's last axis : (batch, cells), of one dtype; cell : int16 (batch, cells)
    out : (batch, steps, cells); table : see `sigmoid_int16.logistic_int16`
    """
    cells = cell.shape[1]
    sums, active = np.empty((4, cells), np.int64), np.empty((4, cells), np.int16)
    curve = np.empty(cells, np.int16)
    left = 12 + p.cell_power
    multiplier, shift = np.int64(3) << np.int64(max(left, 0)), np.int64(max(-left, 0))
    for n in range(inputs.shape[0]):
        for t in range(inputs.shape[1]):
            gate_sums(inputs[n, t], hidden[n], gates, p, sums)
            for gate in range(4):
                if gate == 2:
                    tanh_int16(sums[gate], np.int64(3), np.int64(0), table, active[gate])
                else:
                    logistic_int16(sums[gate], np.int64(3), np.int64(0), table, active[gate])
            for c in range(cells):
                kept = np.int64(active[1, c]) * np.int64(cell[n, c])
                kept = saturate_int16(requantize_tflite_double_rounding(kept, p.kept[0], p.kept[1]))
                added = np.int64(active[0, c]) * np.int64(active[2, c])
                added = requantize_tflite_double_rounding(added, p.added[0], p.added[1])
                if p.parts_saturate:
                    added = saturate_int16(added)
                cell[n, c] = limited(saturate_int16(kept + added), p.clip)
            tanh_int16(cell[n], multiplier, shift, table, curve)
            for c in range(cells):
                value = np.int64(curve[c]) * np.int64(active[3, c])
                value = requantize_tflite_double_rounding(value, p.hidden[0], p.hidden[1]) + np.int64(p.zero_points[1])
                hidden[n, c] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
                out[n, t, c] = hidden[n, c]


@kernel
def lstm_fixed_point(inputs, gates, p, hidden, cell, out):
    """LiteRT: activations in 16-bit fixed point; products into the cell are shifted. Arguments as for `lstm_tables`."""
    cells = cell.shape[1]
    sums = np.empty((4, cells), np.int64)
    for n in range(inputs.shape[0]):
        for t in range(inputs.shape[1]):
            gate_sums(inputs[n, t], hidden[n], gates, p, sums)
            for c in range(cells):
                forget = logistic_q15(sums[1, c], 3)
                enter = np.int64(32767) - forget if p.coupled else logistic_q15(sums[0, c], 3)
                kept = wrap_int16(rounding_shift_right(forget * np.int64(cell[n, c]), 15))
                added = wrap_int16(rounding_shift_right(enter * tanh_q15(sums[2, c], 3), 30 + p.cell_power))
                cell[n, c] = limited(saturate_int16(kept + added), p.clip)
                value = logistic_q15(sums[3, c], 3) * tanh_q15(np.int64(cell[n, c]), 15 + p.cell_power)
                value = requantize_tflite_double_rounding(value, p.hidden[0], p.hidden[1]) + np.int64(p.zero_points[1])
                out[n, t, c] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
            for c in range(cells):
                hidden[n, c] = out[n, t, c]
