"""Why two results of one node differ: try every known rule on the same inputs until the results agree."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.engines import Rule
from hwsim.errors import HwsimError, InputError
from hwsim.graph import Affine, NodeView
from hwsim.graph.graph import shorten
from hwsim.kernels.requantize import GENERAL_ROUNDINGS, ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops import _tables, operator
from hwsim.ops._accumulating import ACCUMULATOR, LARGEST_SHIFT, SUMS_INT64, Accumulating, output_stage
from hwsim.ops._float import FLOAT
from hwsim.ops._hybrid import HYBRID
from hwsim.quantizers.multiplier import quantize_multiplier
from hwsim.verify.golden import as_codes

Array = NDArray[Any]


NOTES = {
    "double_rounding": "two roundings, the second away from zero: TFLite reference, TFLM, CMSIS-NN",
    "double_half_up": "two roundings, both ties up: ruy on x86",
    "double_half_up_by_8": "ties up in whole vectors of 8 channels: LiteRT's optimized depthwise convolution",
    "single_rounding": "one rounding, ties up: single-rounding builds of TFLite and CMSIS-NN, ruy on Arm",
    "float32": "float32 product, ties to even: XNNPACK, ONNX Runtime, FBGEMM",
    "reduced_int64": "one rounding, ties up, of a multiplier cut to 16 bits: int16 layers with int64 sums",
    "float64": "float64 product, ties away from zero: LiteRT's reference FULLY_CONNECTED",
    "int16_pairs": "pairs of products saturate at int16: vpmaddubsw on x86 without VNNI",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which rules reproduce one tensor.

    Parameters
    ----------
    op : the operator
    used : the rule that was simulated
    equal : rules under which every element agrees, those that engines use first
    nearest, differing : the rule with the fewest differing elements, and how many
    tried, elements : how many rules, and elements each
    """

    op: str
    used: Rule
    equal: tuple[Rule, ...]
    nearest: Rule | None
    differing: int
    tried: int
    elements: int

    def __str__(self) -> str:
        if self.equal:
            return reproduced(self.used, self.equal, f"{self.elements} ")
        return (
            f"simulated with {self.used}; none of the {self.tried} known rules makes all {self.elements} elements "
            f"equal; nearest is {self.nearest}, under which {self.differing} differ"
        )


def reproduced(used: Rule, equal: Collection[Rule], number: str = "") -> str:
    """In words: which rules make all elements equal."""
    best, *others = equal
    notes = [NOTES[part] for part in (best.algorithm, best.accumulator) if part in NOTES]
    note = f" ({'; '.join(notes)})" if notes else ""
    also = f"; {len(others)} more known rules agree on these values" if others else ""
    return f"simulated with {used}; {best}{note} makes all {number}elements equal{also}"


def summarize(reasons: Mapping[str, Explanation]) -> list[str]:
    """One line per operator whose nodes one rule explains, otherwise one line per tensor."""
    lines = []
    groups: dict[tuple[str, Rule], dict[str, Explanation]] = {}
    for tensor, reason in reasons.items():
        groups.setdefault((reason.op, reason.used), {})[tensor] = reason
    for (op, used), group in groups.items():
        first = next(iter(group.values()))
        common = [rule for rule in first.equal if all(rule in reason.equal for reason in group.values())]
        if common:
            lines.append(f"{op}, {len(group)} node{'s' * (len(group) > 1)}: {reproduced(used, common)}")
        else:
            lines += [f"{op} {shorten(tensor)!r}: {reason}" for tensor, reason in group.items()]
    return lines


def run_node(view: NodeView, rule: Rule, inputs: list[Array], dtypes: list[str] | None = None) -> list[Array]:
    """The node's outputs under `rule`, then what it leaves in its state; each (samples, *shape)."""
    state = operator(view).state
    inputs = [value.copy() if position in state else value for position, value in enumerate(inputs)]
    samples = max((a.shape[0] for a in inputs if a.ndim), default=1)
    kinds = dtypes or [tensor.dtype for tensor in view.outputs]
    outputs = [np.empty((samples, *tensor.shape), kind) for tensor, kind in zip(view.outputs, kinds, strict=True)]
    _tables.bind(operator(view), view, rule)(inputs, outputs)
    return outputs + [inputs[position] for position in state]


def unequal(left: Array, right: Array, tolerance: float = 0.0) -> Array:
    """Where the values differ; two NaNs do not.

    tolerance : how far a float may be from `left`, relative to the range of its sample (along axis 0), 0 included
    """
    wrong: Array = left != right
    if left.dtype.kind == right.dtype.kind == "f":
        wrong &= ~(np.isnan(left) & np.isnan(right))
        if tolerance and wrong.any():
            within = tuple(range(1, left.ndim))
            finite = np.where(np.isfinite(left), left, 0.0).astype(np.float64)
            top, bottom = (end(finite, axis=within, keepdims=True, initial=0.0) for end in (np.max, np.min))
            with np.errstate(invalid="ignore"):
                wrong &= ~(np.abs(right.astype(np.float64) - left) <= tolerance * (top - bottom))
    return wrong


def explain_node(
    view: NodeView, used: Rule, inputs: list[Array], position: int, expected: Array, tolerance: float = 0.0
) -> Explanation:
    """Try every known rule of the node on `inputs` against `expected`, number `position` of what `run_node` gives."""
    results: dict[Rule, int] = {}
    for rule in operator(view).known_rules(view):
        try:
            got = run_node(view, rule, inputs)[position]
        except HwsimError:
            continue
        results[rule] = int(np.count_nonzero(unequal(expected, got, tolerance)))
    return _explanation(view.node.op, used, results, expected.size)


def explain_accumulators(
    accumulator: ArrayLike,
    observed: ArrayLike,
    *,
    scale: ArrayLike,
    zero_point: int = 0,
    minimum: int = -128,
    maximum: int = 127,
    used: str = "double_rounding",
) -> Explanation:
    """Which rounding rule turns `accumulator` into `observed`: two plain arrays, for instance off a chip.

    Parameters
    ----------
    accumulator : int32, shape (..., channels)
    observed : integer codes, same shape
    scale : the real multiplier, one or one per channel
    zero_point, minimum, maximum : of the output codes
    used : the rounding that you expected, for the words
    """
    sums, codes = as_codes("accumulator", "int32", np.asarray(accumulator)), np.asarray(observed)
    if not sums.size or sums.ndim == 0:
        raise InputError(f"accumulator has shape {list(sums.shape)}; expected [..., channels], none of them 0")
    if sums.shape != codes.shape:
        raise InputError(f"accumulator has shape {list(sums.shape)}, observed {list(codes.shape)}; expected equal ones")
    stages = {
        name: output_stage_of(name, scale, sums.shape[-1], zero_point, minimum, maximum) for name in GENERAL_ROUNDINGS
    }
    differing = {Rule(name): int(np.count_nonzero(requantized(sums, stage) != codes)) for name, stage in stages.items()}
    return _explanation("output stage", Rule(used), differing, codes.size)


def output_stage_of(
    rounding: str, scale: ArrayLike, channels: int, zero_point: int, minimum: int, maximum: int
) -> OutputStage:
    """The output stage with the real multiplier `scale`, one or one per channel; InputError where no shift holds it."""
    real = np.asarray(scale, np.float64).reshape(-1)
    if real.size not in (1, channels):
        raise InputError(f"scale has {real.size} values; expected 1 or {channels}, one per channel")
    for value in real:
        if not 0 <= value <= 2**LARGEST_SHIFT - 1:
            raise InputError(f"scale is {value:g}; expected 0 to 2^{LARGEST_SHIFT} - 1")
    multiplier, shift = quantize_multiplier(np.broadcast_to(real, channels))
    real = np.ascontiguousarray(np.broadcast_to(real, channels))
    return OutputStage(ROUNDINGS[rounding], multiplier, shift, real, zero_point, minimum, maximum)


def requantized(accumulator: Array, stage: OutputStage) -> Array:
    """Codes, int64, of an int32 array of shape (..., channels)."""
    rows = np.ascontiguousarray(accumulator).reshape(-1, accumulator.shape[-1])
    codes = np.empty(rows.shape, np.int64)
    requantize_rows(rows, stage, codes)
    return codes.reshape(accumulator.shape)


def trace(view: NodeView, rule: Rule, inputs: list[Array], index: tuple[int, ...]) -> Mapping[str, int | float]:
    """Accumulator, multiplier, shift, scale and zero point behind one output element, where the node has them.

    index : (sample, *position in the output)
    """
    if not isinstance(operator(view), Accumulating) or rule in (FLOAT, *HYBRID):
        return {"zero_point": view.output().zero_point} if isinstance(view.output().format, Affine) else {}
    channel = index[-1]
    stage = output_stage(view, rule, view.output().shape[-1])
    one = [a[index[0] : index[0] + 1] if a.ndim else a for a in inputs]
    wide = rule.accumulator == SUMS_INT64
    sums = replace(ACCUMULATOR, accumulator=SUMS_INT64) if wide else ACCUMULATOR
    accumulator = run_node(view, sums, one, ["int64" if wide else "int32"])[0][(0, *index[1:])]
    return stage_numbers(int(accumulator), stage, channel)


def stage_numbers(accumulator: int, stage: OutputStage, channel: int) -> Mapping[str, int | float]:
    """What turns one accumulator into a code."""
    return {
        "accumulator": accumulator,
        "multiplier": int(stage.multiplier[channel]),
        "shift": int(stage.shift[channel]),
        "scale": float(stage.scale[channel]),
        "zero_point": stage.zero_point,
    }


def _explanation(op: str, used: Rule, results: Mapping[Rule, int], elements: int) -> Explanation:
    equal = tuple(rule for rule, differing in results.items() if differing == 0)
    nearest, differing = min(results.items(), key=lambda item: item[1], default=(None, elements))
    return Explanation(op, used, equal, nearest, differing, len(results), elements)
