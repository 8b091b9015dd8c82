"""Elementwise operators for the vector kernels: the arrays of addresses."""

import numpy as np

from hwsim.kernels.add import AddParams
from hwsim.kernels.requantize import OutputStage
from hwsim.kernels.vector_elementwise import (
    ADD_ALGORITHMS,
    ADD_FIELDS,
    REQUANTIZE_FIELDS,
    vector_add,
    vector_requantize,
)
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._fixed import Array, Arrays, Fixed, Held, numbers
from hwsim.ops._vector_layer import stage_numbers


def vector_addition(p: AddParams, algorithm: str, size: int, inputs: Arrays, outputs: Arrays) -> Fixed:
    """The first `size` elements of every sample; inputs and output are bytes of one shape.

    TFLite divides both scales by twice the larger one, so one of the inputs has multiplier 2^30 and shift 0, which is half
    of the left shift and needs no rounding: it becomes the second.
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
    return held.run(vector_add, numbers(ADD_FIELDS, fields))


def vector_requantization(stage: OutputStage, zero_point: int, source: Array, out: Array) -> Fixed | None:
    """Every code of `source` through `stage` into `out`, both contiguous bytes; None where there is no whole vector."""
    if LANES == 0 or source.size < LANES:
        return None
    held = Held()
    unsigned = source.dtype == np.uint8
    parts = (np.repeat(part, LANES) for part in (stage.multiplier, stage.shift, stage.scale))
    every = stage._replace(**dict(zip(("multiplier", "shift", "scale"), parts, strict=True)))
    fields = {
        "source": held.place(source),
        "out": held.place(out),
        "size": source.size,
        "flip": 0x80 if unsigned else 0,
        "zero_point": zero_point - (128 if unsigned else 0),
        "stage": held.place(stage_numbers(every, LANES, held, 1 << 31)),
    }
    return held.run(vector_requantize, numbers(REQUANTIZE_FIELDS, fields))
