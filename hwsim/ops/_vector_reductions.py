"""Pooling, MEAN and SOFTMAX for the vector kernels: the arrays of addresses."""

from collections.abc import Mapping

import numpy as np

from hwsim.kernels.conv2d import Window
from hwsim.kernels.vector_reductions import MEAN_ALGORITHMS
from hwsim.ops._fixed import Array, Fixed, Held, vector_layer


def pool(kind: str, frame: Window, low: int, high: int, source: Array, out: Array) -> Fixed:
    """Pooling of (batch, height, width, channels) bytes. kind : 'average_pool_2d' or 'max_pool_2d'"""
    held = Held()
    batch, height, width, channels = source.shape
    fields = {
        "source": held.place(source),
        "out": held.place(out),
        "sums": held.place(np.empty(channels, np.int32)),
        "batch": batch,
        "height": height,
        "width": width,
        "channels": channels,
        "out_height": out.shape[1],
        "out_width": out.shape[2],
        "minimum": low,
        "maximum": high,
        "signed": int(source.dtype == np.int8),
    }
    moving = {name: value for name, value in frame._asdict().items() if not name.startswith("dilation")}
    return vector_layer(kind, fields | moving, held)


def mean(algorithm: str, numbers: Mapping[str, int | float], source: Array, out: Array) -> Fixed:
    """Mean over the middle axis of bytes (outer, reduced, inner).

    numbers : of `MEAN_FIELDS` those that the algorithm has, and 'scale' and 'moved' where it has real ones
    """
    held = Held()
    outer, reduced, inner = source.shape
    whole = {name: int(value) for name, value in numbers.items() if name not in ("scale", "moved")}
    reals = np.array([numbers.get("scale", 0.0), numbers.get("moved", 0.0)], np.float64)
    fields = whole | {
        "source": held.place(source),
        "out": held.place(out),
        "outer": outer,
        "reduced": reduced,
        "inner": inner,
        "signed": int(source.dtype == np.int8),
        "narrow_sums": held.place(np.empty(inner, np.int32)),
        "sums": held.place(np.empty(inner, np.int64)),
        "algorithm": MEAN_ALGORITHMS[algorithm],
        "reals": held.place(reals),
    }
    return vector_layer("mean", fields, held)


def softmax(table: Array, output_scale: float, bounds: tuple[int, int], source: Array, out: Array) -> Fixed:
    """Softmax of rows of bytes. table : exponentials, int64 of fixed point or float32"""
    held = Held()
    fields = {
        "source": held.place(source),
        "out": held.place(out),
        "rows": source.shape[0],
        "depth": source.shape[1],
        "flip": 0x80 if source.dtype == np.int8 else 0,
        "row": held.place(np.empty(source.shape[1], np.uint8)),
        "fixed_point": int(table.dtype == np.int64),
        "table": held.place(table),
        "reals": held.place(np.array([output_scale], np.float64)),
        "minimum": bounds[0],
        "maximum": bounds[1],
    }
    return vector_layer("softmax", fields, held)
