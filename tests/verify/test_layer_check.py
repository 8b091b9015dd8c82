import re
from typing import Any

import numpy as np
import pytest

from hwsim.errors import InputError, UnsupportedError
from hwsim.verify import verify_layer
from hwsim.verify.explain import NOTES
from tests import naive

SUMS = np.arange(-900, 900, dtype=np.int32).reshape(-1, 3)


def stage(rounding: str, **arrays: Any) -> dict[str, Any]:
    """Accumulators, and what `rounding` makes of them."""
    output = naive.output_stage(SUMS, rounding, [1 / 16], 3, -128, 127)
    return {"accumulator": SUMS, "output": output, "scale": 1 / 16, "zero_point": 3, **arrays}


@pytest.mark.parametrize(
    ("engine", "op", "rounding"),
    [
        ("litert-reference", "conv2d", "double_rounding"),
        ("litert-reference", "fully_connected", "float64"),
        ("litert-optimized", "conv2d", "double_half_up"),
        ("tflite-micro", "fully_connected", "double_rounding"),
        ("xnnpack", "depthwise_conv2d", "float32"),
    ],
)
def test_output_stage_of_an_engine(engine, op, rounding):
    check = verify_layer(stage(rounding, op=op), engine=engine)
    assert (check.exact, check.engine, check.samples, check.compared) == (True, engine, 600, 1)
    other = "single_rounding"
    assert verify_layer(stage(other, op=op), engine=engine).reasons["output"].used.algorithm == rounding


def test_output_stage_is_a_convolutions_where_nothing_is_said():
    assert verify_layer(stage("double_rounding")).exact
    assert not verify_layer(stage("float64")).exact


def test_output_stage_that_differs_is_explained():
    check = verify_layer(stage("single_rounding"))
    differing = np.argwhere(stage("double_rounding")["output"] != stage("single_rounding")["output"])
    (record,), first = check.tensors, check.first_difference
    assert (record.differing, record.alone, record.elements, record.largest) == (
        len(differing),
        len(differing),
        1800,
        1,
    )
    index = tuple(differing[0].tolist())
    multiplier, shift = naive.quantize_multiplier(1 / 16)
    numbers = {"accumulator": SUMS[index], "multiplier": multiplier, "shift": shift, "scale": 1 / 16, "zero_point": 3}
    assert (first.index, first.details) == (index, numbers)
    assert check.explanation == (
        f"first difference: {first}\noutput stage, 1 node: simulated with double_rounding; single_rounding "
        f"({NOTES['single_rounding']}) makes all elements equal"
    )


def test_output_stage_of_unsigned_codes_and_limits():
    output = naive.output_stage(SUMS, "double_rounding", [1 / 4, 1 / 8, 1 / 16], 100, 0, 255, np.uint8)
    whole = {"accumulator": SUMS.astype(float), "output": output, "scale": [1 / 4, 1 / 8, 1 / 16], "zero_point": 100}
    assert verify_layer(whole).exact
    assert not verify_layer(whole | {"maximum": 200}).exact
    assert verify_layer(whole | {"maximum": 200, "minimum": 90, "output": np.clip(output, 90, 200).astype(int)}).exact


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weights": 1}, "layer: unknown key of an output stage 'weights'; expected one of accumulator, maximum, "
         "minimum, op, output, scale, zero_point"),
        ({"zeropoint": 1}, "layer: unknown key of an output stage 'zeropoint'; did you mean 'zero_point'?"),
        ({"accumulator": SUMS / 7},
         "layer: 'accumulator' is float64 and has values that int32 does not; expected int32"),
        ({"output": SUMS[1:]},
         "layer: 'output' has shape [599, 3]; expected [..., channels] as 'accumulator', [600, 3]"),
        ({"accumulator": 1, "output": 1},
         "layer: 'output' has shape []; expected [..., channels] as 'accumulator', []"),
        ({"scale": [1, 2]}, "layer: 'scale' has 2 values; expected 1 or 3, one per output channel"),
        ({"scale": 2.0**30}, "scale is 1.07374e+09; expected 0 to 2^30 - 1"),
        ({"scale": -1}, "layer: 'scale' is -1; expected a number above 0 that float64 can hold"),
        ({"minimum": 5, "maximum": 4}, "layer: 'minimum' is 5; expected at most 'maximum', 4"),
        ({"op": "add"}, "layer: unknown op 'add'; expected one of conv2d, depthwise_conv2d, fully_connected"),
        ({"zero_point": 1 << 40},
         "layer: 'zero_point' is 1099511627776; expected one integer in [-2147483647, 2147483647]"),
    ],
)  # fmt: skip
def test_output_stage_that_does_not_fit(arrays, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        verify_layer(stage("float64", **arrays))


def test_output_stage_that_the_engine_does_not_have():
    message = "conv2d 'output': engine 'tflite-micro' cannot run it on uint8; it runs int16, int8"
    with pytest.raises(UnsupportedError, match=f"^{re.escape(message)}$"):
        verify_layer(stage("float64", output=np.zeros((600, 3), np.uint8)), engine="tflite-micro")
