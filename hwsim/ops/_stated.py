"""What a node states in integers, as drivers of chips and test vectors do, where it would follow from scales.

Options of a node, each a tuple of numbers; value * multiplier * 2^(shift - 31):

output_multiplier, output_shift : of sums to output codes; one, or one per output channel
input_multiplier, input_shift : of ADD and SUB, of both raised inputs; of SOFTMAX, of the distance from the largest code
left_shift : of ADD and SUB, bits that inputs are raised by (an integer)
state_multiplier, state_shift : of SVDF, of the features' sums to codes of the state
gate_multiplier, gate_shift : of the LSTM, of the input's and the hidden state's sums to steps of 2^-12, for the input,
    forget, cell and output gate in turn (eight)
cell_multiplier, cell_shift : of the LSTM, of what the cell keeps and what is added to it
output_minimum, output_maximum : of output codes, in place of a fused activation (integers)
"""

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.ops._base import STATED, code_limits
from hwsim.quantizers.multiplier import activation_bounds

SMALLEST_MULTIPLIER, LARGEST_MULTIPLIER = 1 << 30, (1 << 31) - 1
SHIFTS = range(-31, 31)


def stated_real(view: NodeView, what: str, count: int) -> NDArray[np.float64] | None:
    """The real multipliers, exactly, that the node states for `what`, as 'output'; None where it does not.

    count : how many there are; one number may stand for all
    """
    names = f"{what}_multiplier", f"{what}_shift"
    if not any(name in view.attributes for name in names):
        return None
    multipliers, shifts = (_numbers(view, name, count) for name in names)
    for multiplier, shift in zip(multipliers, shifts, strict=True):
        if multiplier and not SMALLEST_MULTIPLIER <= multiplier <= LARGEST_MULTIPLIER:
            raise GraphError(f"{view.label}: {names[0]} is {multiplier}; expected 0 or 2^30 to 2^31 - 1, so normalized")
        if shift not in SHIFTS:
            raise GraphError(f"{view.label}: {names[1]} is {shift}; expected {SHIFTS[0]} to {SHIFTS[-1]}")
    real: NDArray[np.float64] = np.ldexp(np.array(multipliers, np.float64), np.array(shifts) - 31)
    return real


def _numbers(view: NodeView, name: str, count: int) -> list[int]:
    values = view.attributes.get(name)
    if not isinstance(values, tuple) or len(values) not in (1, count):
        raise GraphError(f"{view.label}: option {name!r} is {values!r}; expected a tuple of 1 or {count} integers")
    return [int(value) for value in values] * (count if len(values) == 1 else 1)


def output_bounds(view: NodeView, activation: str = "") -> tuple[int, int]:
    """The smallest and largest output code: stated, or those of `activation`, by default the node's fused one."""
    output = view.output()
    ends, activation = code_limits(output), activation or view.text("activation", "none")
    low, high = activation_bounds(activation, output.scale, output.zero_point, ends)
    low, high = view.integer("output_minimum", low), view.integer("output_maximum", high)
    if not ends[0] <= low <= high <= ends[1]:
        raise GraphError(f"{view.label}: output codes are limited to {low}..{high}; expected limits within {ends}")
    return low, high


def from_scales_only(view: NodeView) -> None:
    """UnsupportedError where the node states multipliers: this way to compute it forms its own, from the scales."""
    for name in STATED:
        if name in view.attributes and name not in ("output_minimum", "output_maximum"):
            raise UnsupportedError(f"{view.label}: states {name!r}; this engine's arithmetic follows from scales alone")
