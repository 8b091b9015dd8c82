"""Elementwise operators for the vector kernels: the arrays of addresses."""

import numpy as np

from hwsim.kernels.add import AddParams
from hwsim.kernels.requantize import OutputStage
from hwsim.kernels.vector_addition import ADD_ALGORITHMS
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._fixed import Array, Arrays, Fixed, Held, vector_layer
from hwsim.ops._vector_layer import fits, stage_numbers

LARGEST_PRODUCT = 255 * 255


def sum_fits(p: AddParams, out: Array) -> bool:
    """Whether the vector kernel's shifts and lengths do for this addition."""
    raised = p.left_shift == 20 and all(p.left_shift + shift >= 0 for shift in p.shifts) and p.shift <= 0
    return fits(out, out) and out[0].size >= LANES and (raised or (p.left_shift == 0 and p.shift >= 1))


def vector_addition(p: AddParams, algorithm: str, size: int, inputs: Arrays, outputs: Arrays) -> Fixed:
    """The first `size` elements of every sample; inputs and output are bytes of one shape.

    TFLite divides both scales by twice the larger one, so one of the inputs has multiplier 2^30 and shift 0, which is
    half of the left shift and needs no rounding: it becomes the second.

    algorithm : of `ADD_ALGORITHMS`, or 'sub' for TFLite's difference
    """
    held, out = Held(), outputs[0]
    unsigned = inputs[0].dtype == np.uint8
    plain = (p.multipliers[1], p.shifts[1]) == (1 << 30, 0) or algorithm == "xnnpack"
    if algorithm == "sub":
        algorithm = "first_less_second" if plain else "second_less_first"
    if not plain:
        p = p._replace(**{name: getattr(p, name)[::-1] for name in ("zero_points", "multipliers", "shifts")})
        inputs = inputs[::-1]
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


def vector_product(stage: OutputStage, zero_points: tuple[int, int], sources: Arrays, out: Array) -> Fixed | None:
    """The product of two tensors of codes through `stage`; None where there is no whole vector of bytes."""
    if out.size < LANES or any(source.itemsize > 1 for source in sources):
        return None
    held = Held()
    raised = 128 if out.dtype == np.uint8 else 0
    fields = {
        "first": held.place(sources[0]),
        "second": held.place(sources[1]),
        "out": held.place(out),
        "size": out.size,
        "flip": raised,
        "first_zero": zero_points[0] - raised,
        "second_zero": zero_points[1] - raised,
        "stage": held.place(stage_numbers(stage, np.zeros(LANES, np.int64), held, LARGEST_PRODUCT)),
    }
    return vector_layer("multiply", fields, held)


def vector_choice(smaller: bool, sources: Arrays, out: Array) -> Fixed:
    """The larger, or the smaller, of two codes."""
    held = Held()
    fields = {
        "first": held.place(sources[0]),
        "second": held.place(sources[1]),
        "out": held.place(out),
        "size": out.size,
        "flip": 0x80 if out.dtype == np.uint8 else 0,
        "smaller": int(smaller),
    }
    return vector_layer("choose", fields, held)
