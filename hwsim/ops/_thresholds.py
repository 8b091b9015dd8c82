"""Sums to codes behind a table: the code is the number of thresholds that sum * input scale * weight scale reaches.

Each threshold is the smallest integer that does, found in exact fractions.
"""

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph import Levels, NodeView, Tensor
from hwsim.kernels.requantize import ROUNDINGS, OutputStage

BEYOND_SUMS = 2**31


def thresholds_stage(view: NodeView, channels: int) -> OutputStage:
    """The output stage of a layer with weights whose output has `Levels`; one level has a threshold beyond all sums."""
    rows = thresholds_of_sums(view)
    if len(rows) not in (1, channels):
        raise GraphError(f"{view.label}: weights have {len(rows)} scales; expected 1 or {channels}")
    ends = 0, 0, rows.shape[1]
    if not rows.shape[1]:
        rows = np.full((1, 1), BEYOND_SUMS)
    nothing = np.zeros(channels, np.int64)
    each = np.ascontiguousarray(np.broadcast_to(rows, (channels, rows.shape[1])))
    stage = OutputStage(ROUNDINGS["thresholds"], nothing, nothing, nothing.astype(np.float64), *ends)
    return stage._replace(thresholds=each)


def thresholds_of_sums(view: NodeView) -> NDArray[np.int64]:
    """For each output channel the smallest sums that reach codes 1, 2, ..., (channels, levels - 1)."""
    form, scales = view.output().format, _scale(view.input(1))
    if not isinstance(form, Levels) or form.thresholds is None or len(form.thresholds) != 1:
        raise UnsupportedError(
            f"{view.label}: output {view.output().name!r} has {form} without one row of thresholds; a layer needs them "
            "to choose codes"
        )
    one = Fraction(float(_scale(view.input(0))[0]))
    rows = [
        [_first_sum(Fraction(edge) / (one * Fraction(float(scale)))) for edge in form.thresholds[0].tolist()]
        for scale in scales
    ]
    return np.array(rows, np.int64)


def _scale(tensor: Tensor) -> NDArray[np.float32]:
    if tensor.format is None or not (tensor.format.scale > 0).all():
        raise UnsupportedError(f"tensor {tensor.name!r} has no scale above 0; thresholds of its products need one")
    return tensor.format.scale


def _first_sum(exact: Fraction) -> int:
    return min(max(ceil(exact), -BEYOND_SUMS), BEYOND_SUMS)
