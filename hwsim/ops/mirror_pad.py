"""MIRROR_PAD: a border that mirrors the inside."""

from typing import Literal

import numpy as np

from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover
from hwsim.ops._paddings import padded_shape, paddings


class MirrorPad(Move):
    """'reflect' leaves the edge out of the mirror image, 'symmetric' repeats it."""

    name = "mirror_pad"
    sources = {"tflite": "MIRROR_PAD"}
    options = TfliteOptions("MirrorPadOptions", {"mode": "Mode"})
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        mode, shape, widths = _mode(view), view.input(0).shape, paddings(view)
        most = [size - (mode == "reflect") for size in shape]
        if any(max(pair) > limit for pair, limit in zip(widths, most, strict=True)):
            raise ShapeError(
                f"{view.label}: paddings are {[list(pair) for pair in widths]}; {mode!r} allows at most {most}"
            )
        return (padded_shape(view),)

    def mover(self, view: NodeView) -> Mover:
        widths, mode = [(0, 0), *paddings(view)], _mode(view)
        return lambda inputs: [np.pad(inputs[0], widths, mode=mode)]


def _mode(view: NodeView) -> Literal["reflect", "symmetric"]:
    mode = view.text("mode")
    if mode == "reflect":
        return "reflect"
    if mode == "symmetric":
        return "symmetric"
    raise UnsupportedError(f"{view.label}: mode is {mode!r}; expected 'reflect' or 'symmetric'")


OP = MirrorPad()
