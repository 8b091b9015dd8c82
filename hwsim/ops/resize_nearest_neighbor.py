"""RESIZE_NEAREST_NEIGHBOR of images (batch, height, width, channels) to a constant size."""

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere, rank
from hwsim.ops._moves import Move, Mover, integers


class ResizeNearestNeighbor(Move):
    """Each output code is the one of the nearest input; positions are float32.

    Source: TFLite reference/resize_nearest_neighbor.h, GetNearestNeighbor.
    """

    name = "resize_nearest_neighbor"
    sources = {"tflite": "RESIZE_NEAREST_NEIGHBOR"}
    options = TfliteOptions(
        "ResizeNearestNeighborOptions", {"align_corners": "AlignCorners", "half_pixel_centers": "HalfPixelCenters"}
    )
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "float32", micro=("int8", "int16", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, _, _, channels = rank(view, 0, 4)
        height, width = integers(view, 1, 2, "size")
        if min(height, width) < 1:
            raise ShapeError(f"{view.label}: size is {[height, width]}; expected a height and a width of at least 1")
        return ((batch, height, width, channels),)

    def mover(self, view: NodeView) -> Mover:
        _, height, width, _ = view.input(0).shape
        _, out_height, out_width, _ = self.infer_shapes(view)[0]
        rows, columns = _nearest(view, height, out_height)[:, None], _nearest(view, width, out_width)
        return lambda inputs: [inputs[0][:, :, rows, columns]]


def _nearest(view: NodeView, size: int, out: int) -> NDArray[np.int64]:
    align, half = (bool(view.attributes.get(name)) for name in ("align_corners", "half_pixel_centers"))
    corners = align and out > 1
    scale = np.float32(size - 1) / np.float32(out - 1) if corners else np.float32(size) / np.float32(out)
    at = (np.arange(out, dtype=np.float32) + np.float32(0.5 if half else 0.0)) * scale
    nearest = np.trunc(at.astype(np.float64) + 0.5) if align else np.floor(at)
    return np.clip(nearest, 0, size - 1).astype(np.int64)


OP = ResizeNearestNeighbor()
