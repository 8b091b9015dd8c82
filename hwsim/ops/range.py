"""RANGE: evenly spaced numbers between constants."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class Range(Move):
    """From a start to before a limit in steps, each added to the one before. Source: LiteRT tflite/kernels/range.cc."""

    name = "range"
    sources = {"tflite": "RANGE"}
    options = TfliteOptions("RangeOptions")
    rules = everywhere("steps", "int32", "int64", "float32", micro=())

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        start, limit, step = _ends(view)
        count = np.ceil(abs((limit - start) / step)) if step and (limit - start) * step >= 0 else -1
        if not 0 <= count < 2**31:
            raise ShapeError(f"{view.label}: {start} to {limit} in steps of {step} is no range")
        return ((int(count),),)

    def mover(self, view: NodeView) -> Mover:
        start, _, step = _ends(view)
        count = view.output().shape[0]
        steps = np.full(max(count, 1), step, view.output().dtype)
        steps[0] = start
        values: NDArray[Any] = np.add.accumulate(steps)[:count]
        return lambda _: [values[None]]


def _ends(view: NodeView) -> tuple[Any, Any, Any]:
    start, limit, step = (view.constant(position).reshape(-1)[0] for position in range(3))
    return start, limit, step


OP = Range()
