"""Operators whose domain is 8 bits: every code, or every pair of codes."""

import numpy as np
import pytest

import hwsim
from hwsim.engines import real_engines
from hwsim.graph import Tensor
from hwsim.kernels import requantize
from hwsim.quantizers.multiplier import quantize_multiplier
from tests import naive, oracle
from tests.build import single, tensor

EVERY_CODE = np.arange(256).astype(np.int8).reshape(1, 256)
ENGINES = sorted(real_engines())
compiled = pytest.mark.skipif(
    not hasattr(requantize.requantize, "signatures"), reason="65,536 pairs need compiled kernels"
)


def agree(graph, inputs, engine):
    expected = oracle.evaluate(graph, inputs, engine)
    np.testing.assert_array_equal(hwsim.simulate(graph, inputs, engine).outputs[0], expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0, 1.5, 0.326, 3.7, 1 / 300])
def test_requantize_every_code(engine, ratio):
    x, y = tensor("x", (1, 256), "int8", ratio, -7), tensor("y", (1, 256), "int8", 1.0, 13)
    agree(single("quantize", [x], y), [EVERY_CODE], engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_dequantize_every_code(engine, zero_point):
    x, y = tensor("x", (1, 256), "int8", 0.0237, zero_point), Tensor("y", (1, 256), "float32")
    agree(single("dequantize", [x], y), [EVERY_CODE], engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scale", [0.001, 0.05, 0.7])
def test_softmax_every_difference(engine, scale):
    rows = np.stack([np.full(256, 127, np.int8), EVERY_CODE[0]], axis=1).reshape(1, 256, 2)
    x, y = tensor("x", rows.shape, "int8", scale, 0), tensor("y", rows.shape, "int8", 1 / 256, -128)
    agree(single("softmax", [x], y, beta=1.0), [rows], engine)


@compiled
@pytest.mark.parametrize(("engine", "dtype"), [(e, d) for e in [*ENGINES[:2], "xnnpack"] for d in ("int8", "uint8")])
def test_add_every_pair(engine, dtype):
    every = EVERY_CODE[0].astype(dtype)
    first, second = (np.ascontiguousarray(part).reshape(1, -1) for part in np.meshgrid(every, every))
    tensors = [tensor(name, first.shape, dtype, scale, 3) for name, scale in (("a", 0.5), ("b", 0.37), ("y", 0.75))]
    agree(single("add", tensors[:2], tensors[2], activation="none"), [first, second], engine)


@pytest.mark.parametrize("rule", ["double_rounding", "double_half_up", "single_rounding", "float32", "float64"])
def test_every_small_accumulator_at_ties(rule):
    acc = np.arange(-2048, 2048, dtype=np.int32).reshape(-1, 1)
    for real in (0.5, 0.25, 0.75, 0.0625, 0.3):
        scale = np.array([real])
        multiplier, shift = quantize_multiplier(scale)
        stage = requantize.OutputStage(requantize.ROUNDINGS[rule], multiplier, shift, scale, 0, -128, 127)
        out = np.empty(acc.shape, np.int8)
        requantize.requantize_rows(acc, stage, out)
        np.testing.assert_array_equal(out, naive.output_stage(acc, rule, [real], 0, -128, 127))
