"""CMSIS-NN, which runs on no PC: TFLM's integers but where its source says otherwise; plain Python is the oracle."""

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import ReferenceEngineError, UnsupportedError
from hwsim.graph import Affine, NodeView
from hwsim.graph.probes import probe_inputs
from hwsim.ops import operator
from tests import oracle
from tests.naive import activation_range, single_rounding
from tests.naive.rounding import clamp, quantize_multiplier, type_range
from tests.oracle_more import steps
from tests.random_graphs import MAKERS, many

ONCE = "cmsis-nn-single-rounding"


def pair(tensor):
    return float(tensor.format.scale[0]), int(tensor.format.zero_point[0])


def runs(graph, engine):
    try:
        hwsim.compile(graph, engine)
    except UnsupportedError:
        return False
    return True


@pytest.mark.parametrize("op", sorted(set(MAKERS) - {"unidirectional_sequence_lstm"}))
def test_rounding_twice_is_tflite_micro(op):
    graph = many(op, "int8", 3)
    assert runs(graph, "cmsis-nn") == runs(graph, "tflite-micro")
    if runs(graph, "cmsis-nn"):
        view = NodeView(graph, graph.nodes[0])
        rules = [operator(view).rule(hwsim.engines()[name], view) for name in ("cmsis-nn", "tflite-micro")]
        assert rules[0] == rules[1]


def loud(graph):
    """The same network with hidden weights so coarse that their sums leave 16 bits."""
    tensors = list(graph.tensors)
    for position in range(5, 9):
        index = graph.nodes[0].inputs[position]
        tensors[index] = replace(tensors[index], format=Affine.per_tensor(3.0))
    return replace(graph, tensors=tuple(tensors))


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_lstm_saturates_sums_and_not_their_parts(dtype):
    differ = 0
    for seed in range(12):
        graph = loud(MAKERS["unidirectional_sequence_lstm"](np.random.default_rng(seed), dtype))
        batch = graph.tensors[graph.inputs[0]].shape[0]
        (x,) = probe_inputs(graph, 2, seed)
        got = hwsim.simulate(graph, x, "cmsis-nn", stateful=True).outputs[0]
        expected = steps(graph, [[x[k : k + batch]] for k in range(0, len(x), batch)], "cmsis-nn")
        np.testing.assert_array_equal(got, np.concatenate(expected))
        differ += int((got != hwsim.simulate(graph, x, "tflite-micro", stateful=True).outputs[0]).sum())
    assert differ > 0


def finish(total, real, output, activation="none"):
    (scale, zero_point), dtype = pair(output), output.dtype
    value = single_rounding(total, *quantize_multiplier(real)) + zero_point
    return clamp(value, *activation_range(activation, scale, zero_point, dtype))


def layer(graph, x):
    """FULLY_CONNECTED."""
    tensors = [graph.tensors[i] if i >= 0 else None for i in graph.nodes[0].inputs]
    output, zero = graph.tensors[-1], pair(tensors[0])[1]
    scales = [float(s) for s in tensors[1].format.scale] * (1 if tensors[1].format.scale.size > 1 else output.shape[-1])
    codes = []
    for channel, row in enumerate(tensors[1].data.tolist()):
        total = sum(w * (int(v) - zero) for w, v in zip(row, x[0], strict=True))
        total += int(tensors[2].data[channel]) if tensors[2] is not None else 0
        real = pair(tensors[0])[0] * scales[channel] / pair(output)[0]
        codes.append(finish(total, real, output, graph.nodes[0].attributes["activation"]))
    return np.array([codes], output.dtype)


def test_fully_connected_rounds_once():
    differ = 0
    for seed in range(20):
        graph = MAKERS["fully_connected"](np.random.default_rng(seed), "int8")
        (x,) = probe_inputs(graph, 1, seed)
        got = hwsim.simulate(graph, x, ONCE).outputs[0]
        np.testing.assert_array_equal(got, np.concatenate([layer(graph, row[None]) for row in x]))
        differ += int((got != hwsim.simulate(graph, x, "cmsis-nn").outputs[0]).sum())
    assert differ > 0


@pytest.mark.parametrize("op", ["conv2d", "depthwise_conv2d"])
def test_convolutions_round_once(op, monkeypatch):
    monkeypatch.setitem(oracle.ACCUMULATING, ONCE, {"int8": ("single_rounding", "float64")})
    for seed in range(6):
        graph = MAKERS[op](np.random.default_rng(seed), "int8")
        (x,) = probe_inputs(graph, 1, seed)
        got = hwsim.simulate(graph, x, ONCE).outputs[0]
        expected = [oracle.evaluate(graph, [row[None]], ONCE) for row in x]
        np.testing.assert_array_equal(got, np.concatenate(expected))


@pytest.mark.parametrize("op", ["add", "mul"])
def test_elementwise_rounds_once(op):
    differ = 0
    for seed in range(20):
        graph = MAKERS[op](np.random.default_rng(seed), "int8")
        (a, za), (b, zb), (y, _) = (pair(t) for t in graph.tensors)
        inputs = [x[:1] for x in probe_inputs(graph, 1, seed)]
        given = dict(zip(graph.inputs, inputs, strict=True))
        first, second = (given.get(i, graph.tensors[i].data) for i in (0, 1))
        shape = graph.tensors[2].shape
        pairs = zip(np.broadcast_to(first, shape).flat, np.broadcast_to(second, shape).flat, strict=True)
        activation, codes = graph.nodes[0].attributes["activation"], []
        for p, q in pairs:
            p, q = int(p) - za, int(q) - zb
            if op == "mul":
                codes.append(finish(p * q, a * b / y, graph.tensors[2], activation))
            else:
                most = 2 * max(a, b)
                raised = [single_rounding(v << 20, *quantize_multiplier(s / most)) for v, s in ((p, a), (q, b))]
                codes.append(finish(sum(raised), most / (2**20 * y), graph.tensors[2], activation))
        got = hwsim.simulate(graph, inputs, ONCE).outputs[0]
        np.testing.assert_array_equal(got.reshape(-1), np.array(codes, got.dtype))
        differ += int((got != hwsim.simulate(graph, inputs, "cmsis-nn").outputs[0]).sum())
    assert differ > 0 or op == "add"  # the 20 bits that its inputs are raised by leave ties alone


def test_requantization_rounds_once():
    graph = next(g for s in range(20) if (g := MAKERS["quantize"](np.random.default_rng(s), "int8")).tensors[0].format)
    x = np.resize(np.arange(-128, 128, dtype=np.int8), (40, *graph.tensors[0].shape[1:]))
    (source, zero), (target, out_zero) = (pair(t) for t in graph.tensors)
    onward = quantize_multiplier(source / target)
    codes = [clamp(single_rounding(int(v) - zero, *onward) + out_zero, *type_range("int8")) for v in x.flat]
    got = hwsim.simulate(graph, x, ONCE).outputs[0]
    np.testing.assert_array_equal(got, np.array(codes, np.int8).reshape(x.shape))


def test_svdf_rounds_once():
    for seed in range(6):
        graph = MAKERS["svdf"](np.random.default_rng(seed), "int8")
        (x,) = probe_inputs(graph, 3, seed)
        got = hwsim.simulate(graph, x, ONCE, stateful=True).outputs[0]
        np.testing.assert_array_equal(got, np.concatenate(steps(graph, [[row[None]] for row in x], ONCE)))


def test_an_int8_state_of_svdf_wraps_and_has_no_zero_point():
    differ = 0
    for seed in range(12):
        graph = MAKERS["svdf"](np.random.default_rng(seed), "int8_state")
        (x,) = probe_inputs(graph, 3, seed)
        got = hwsim.simulate(graph, x, "cmsis-nn", stateful=True).outputs[0]
        np.testing.assert_array_equal(got, np.concatenate(steps(graph, [[row[None]] for row in x], "cmsis-nn")))
        differ += int((got != hwsim.simulate(graph, x, "tflite-micro", stateful=True).outputs[0]).sum())
    assert differ > 0


def unbiased(op, dtype, seed=0):
    """A layer of int16 activations without its bias, and its input."""
    graph = MAKERS[op](np.random.default_rng(seed), dtype)
    node = graph.nodes[0]
    graph = replace(graph, nodes=(replace(node, inputs=(*node.inputs[:2], -1)),))
    return graph, probe_inputs(graph, 2, seed)[0]


@pytest.mark.parametrize(("op", "bias_type"), [("conv2d", "int32"), ("fully_connected", "int64")])
def test_int16_layers_without_a_bias_have_sums_of_one_width(op, bias_type):
    """Whatever TFLM's option says, which its own kernels ask."""
    differ = 0
    for seed in range(8):
        graph, x = unbiased(op, "int16", seed)
        node = graph.nodes[0]
        named = [
            replace(graph, nodes=(replace(node, attributes={**node.attributes, "quantized_bias_type": kind}),))
            for kind in ("int32", "int64")
        ]
        both = [hwsim.simulate(g, x, "cmsis-nn").outputs[0] for g in named]
        micro = [hwsim.simulate(g, x, "tflite-micro").outputs[0] for g in named]
        np.testing.assert_array_equal(both[0], both[1])
        np.testing.assert_array_equal(both[0], micro[("int32", "int64").index(bias_type)])
        differ += int((micro[0] != micro[1]).sum())
    assert differ > 0


def test_an_int32_bias_of_an_int16_fully_connected_layer_is_refused():
    graph = next(g for s in range(9) if (g := MAKERS["fully_connected"](np.random.default_rng(s), "int16_int32"))
                 and g.nodes[0].inputs[2] >= 0)  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"bias is int32; CMSIS-NN reads it as int64$"):
        hwsim.compile(graph, "cmsis-nn")


@pytest.mark.parametrize("op", ["logistic", "sub", "mean", "relu", "unidirectional_sequence_lstm"])
def test_what_would_round_otherwise_is_refused(op):
    message = rf"^{op} 'y0': hwsim does not know how engine '{ONCE}' rounds this operator$"
    with pytest.raises(UnsupportedError, match=message):
        hwsim.compile(many(op, "int8", 1), ONCE)


def test_nobody_can_run_the_real_one():
    message = (
        "^engine 'cmsis-nn' is only simulated: nothing here runs a .tflite file as it does. Compare with its simul"
    )
    graph = many("add", "int8", 1)
    with pytest.raises(ReferenceEngineError, match=message):
        hwsim.verify(graph, probe_inputs(graph, 1), engine="cmsis-nn")
