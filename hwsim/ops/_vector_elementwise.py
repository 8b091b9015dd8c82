"""Elementwise operators for the vector kernels: the arrays of addresses."""

import numpy as np

from hwsim.kernels.add import AddParams
from hwsim.kernels.conv2d import Window
from hwsim.kernels.requantize import OutputStage
from hwsim.kernels.vector_elementwise import ADD_ALGORITHMS
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._fixed import Array, Arrays, Fixed, Held, vector_layer
from hwsim.ops._vector_layer import stage_numbers


def vector_addition(p: AddParams, algorithm: str, size: int, inputs: Arrays, outputs: Arrays) -> Fixed:
    """The first `size` elements of every sample; inputs and output are bytes of one shape.

    TFLite divides both scales by twice the larger one, so one of the inputs has multiplier 2^30 and shift 0, which is
    half of the left shift and needs no rounding: it becomes the second.
    """
    held, out = Held(), outputs[0]
    unsigned = inputs[0].dtype == np.uint8
    plain = (p.multipliers[1], p.shifts[1]) == (1 << 30, 0) or algorithm == "xnnpack"
    if not plain:
        p = p._replace(**{name: getattr(p, name)[::-1] for name in ("zero_points", "multipliers", "shifts")})
        inputs = inputs[::-1]
    if algorithm == "tflite_simd" and unsigned:
        algorithm = "tflite_simd_uint8"
    fields = {
        "first": held.place(inputs[0]),
        "second": held.place(inputs[1]),
        "out": held.place(out),
        "size": size,
        "samples": out.shape[0],
        "stride": out[0].nbytes,
        "algorithm": ADD_ALGORITHMS[algorithm],
        "flip": 0x80 if unsigned else 0,
        "first_zero": p.zero_points[0] - (128 if unsigned else 0),
        "second_zero": p.zero_points[1] - (128 if unsigned else 0),
        "left_shift": p.left_shift,
        "first_multiplier": p.multipliers[0],
        "second_multiplier": p.multipliers[1],
        "first_shift": -p.shifts[0],
        "second_shift": -p.shifts[1],
        "multiplier": p.multiplier,
        "shift": abs(p.shift),
        "zero_point": p.zero_point,
        "minimum": p.minimum,
        "maximum": p.maximum,
    }
    return vector_layer("add", fields, held)


def vector_requantization(stage: OutputStage, zero_point: int, source: Array, out: Array) -> Fixed | None:
    """Every code of `source` through `stage` into `out`, both contiguous bytes; None where there is no whole vector."""
    if LANES == 0 or source.size < LANES:
        return None
    held = Held()
    unsigned = source.dtype == np.uint8
    every = stage._replace(
        multiplier=np.repeat(stage.multiplier, LANES),
        shift=np.repeat(stage.shift, LANES),
        scale=np.repeat(stage.scale, LANES),
    )
    fields = {
        "source": held.place(source),
        "out": held.place(out),
        "size": source.size,
        "flip": 0x80 if unsigned else 0,
        "zero_point": zero_point - (128 if unsigned else 0),
        "stage": held.place(stage_numbers(every, LANES, held, 1 << 31)),
    }
    return vector_layer("requantize", fields, held)


def average_pool(frame: Window, low: int, high: int, source: Array, out: Array) -> Fixed:
    """Average pooling of (batch, height, width, channels) bytes."""
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
    return vector_layer("average_pool_2d", fields | moving, held)


def copy(source: Array, out: Array) -> Fixed | None:
    """All bytes of a tensor; None where the vector kernels may not run."""
    if LANES == 0 or not source.flags.c_contiguous:
        return None
    held = Held()
    fields = {"source": held.place(source), "out": held.place(out), "size_bytes": source.nbytes}
    return vector_layer("copy", fields, held)
