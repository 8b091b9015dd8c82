"""Dynamic-range layers, float32 activations and int8 weights: against plain Python and against LiteRT, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.graph import Affine
from hwsim.verify.reference import installed
from tests.oracle_detection import f32
from tests.random_graphs import beside
from tests.random_hybrid import activations, hybrid

ENGINES = ("litert-reference", "litert-optimized", "xnnpack")
LAYERS = ("fully_connected", "fully_connected_asymmetric", "conv2d", "depthwise_conv2d")
LIMITS = {"none": (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6), "relu_n1_to_1": (-1, 1)}


def made(layer, g):
    return hybrid(layer.removesuffix("_asymmetric"), layer.endswith("_asymmetric"))(g)


def inputs_of(graph, g, samples):
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    return [activations(g, (samples * shape[0], *shape[1:])) for shape in shapes]


def half_away(value):
    return int(abs(value) + 0.5) * (1 if value > 0 else -1)


def codes(values, way):
    """int8 codes less their zero point, and the step, by hand in float32."""
    low, high = min(0.0, *values), max(0.0, *values)
    if way == "symmetric":
        reach = max(-low, high)
        if reach == 0:
            return [0] * len(values), 1.0
        return [half_away(f32(v * f32(127 / reach))) for v in values], f32(reach / 127)
    if low == high:
        return [0] * len(values), 1.0
    if way == "asymmetric":
        step = f32(f32(high - low) / 255)
        down, up = f32(low / step), f32(high / step)
        zero = f32(-128 - down) if f32(128 + abs(down)) < f32(127 + abs(up)) else f32(127 - up)
        zero = min(max(half_away(zero), -128), 127)
        found = [half_away(f32(zero + f32(v * f32(1 / step)))) for v in values]
    else:
        scale = f32(255 / f32(high - low))
        down, up = f32(low * scale), f32(high * scale)
        zero = f32(-128 - down) if f32(f32(-128 + down) + f32(127 + up)) > 0 else f32(127 - up)
        zero, step = round(min(max(zero, -128.0), 127.0)), f32(1 / scale)
        found = [round(f32(v * scale)) + zero for v in values]
    return [min(max(code, -128), 127) - zero for code in found], step


def scaled(total, step, scale, bias, order):
    """A sum as a real value. order : which product is rounded first"""
    if order == "fused":
        return f32(f32(total * step) * scale + bias)
    if order == "scales":
        return f32(f32(total * f32(step * scale)) + bias)
    one, other = (scale, step) if order == "weight" else (step, scale)
    return f32(f32(f32(total * one) * other) + bias)


def order_of(op, engine, channel, channels, groups):
    if engine == "xnnpack" and op != "depthwise_conv2d":
        return "fused"
    if op == "fully_connected":
        return "scales"
    if op == "conv2d":
        return "weight" if engine == "litert-reference" or groups > 1 else "scales"
    if engine == "litert-reference":
        return "scales"
    return "weight" if channel < channels - channels % 4 else "step"


def expected(graph, x, engine):
    """The output for one sample, by loops."""
    node, (_, w, b, *_), y = graph.nodes[0], graph.tensors, graph.tensors[-1]
    options, out = node.attributes, np.empty(y.shape, np.float32)
    low, high = LIMITS[options["activation"]]
    channels = y.shape[-1]
    scales = [float(s) for s in np.broadcast_to(w.format.scale, channels)]
    way = "xnnpack" if engine == "xnnpack" and node.op != "depthwise_conv2d" else "asymmetric"
    if node.op == "fully_connected":
        way = way if engine == "xnnpack" or options["asymmetric_quantize_inputs"] else "symmetric"
        for r, row in enumerate(x):
            found, step = codes(row.tolist(), way)
            for c in range(channels):
                total = sum(q * int(v) for q, v in zip(found, w.data[c], strict=True))
                bias = 0.0 if len(graph.tensors) < 4 else float(b.data[c])
                value = scaled(total, step, scales[c], bias, order_of(node.op, engine, c, channels, 1))
                out[r, c] = min(max(value, low), high)
        return out
    return _convolved(graph, x, engine, way, out, scales, (low, high))


def _convolved(graph, x, engine, way, out, scales, ends):
    node, (_, w, b, _) = graph.nodes[0], graph.tensors
    options, depthwise = node.attributes, node.op == "depthwise_conv2d"
    fh, fw = w.shape[1:3]
    strides, dilations = [[options[f"{what}_{side}"] for side in "hw"] for what in ("stride", "dilation")]
    pads = [0, 0]
    if options["padding"] == "same":
        spans = [(n - 1) * d + 1 for n, d in zip((fh, fw), dilations, strict=True)]
        pads = [
            max((o - 1) * s + p - n, 0) // 2
            for o, s, p, n in zip(out.shape[1:3], strides, spans, x.shape[1:3], strict=True)
        ]
    groups = 1 if depthwise else x.shape[3] // w.shape[3]
    pixels = way == "xnnpack" and (fh, fw, *strides, groups) == (1, 1, 1, 1, 1)
    for n, image in enumerate(x):
        found, step = codes(image.reshape(-1).tolist(), way)
        q = np.array(found).reshape(image.shape)
        for i, j, c in np.ndindex(*out.shape[1:]):
            if pixels:
                found, step = codes(image[i, j].tolist(), way)
                q[i, j] = found
            total = 0
            for ky, kx in np.ndindex(fh, fw):
                row, column = i * strides[0] + ky * dilations[0] - pads[0], j * strides[1] + kx * dilations[1] - pads[1]
                if not (0 <= row < x.shape[1] and 0 <= column < x.shape[2]):
                    continue
                if depthwise:
                    total += int(q[row, column, c // (out.shape[3] // x.shape[3])]) * int(w.data[0, ky, kx, c])
                    continue
                depth = w.shape[3]
                start = c // (out.shape[3] // groups) * depth
                total += sum(int(q[row, column, start + k]) * int(w.data[c, ky, kx, k]) for k in range(depth))
            order = order_of(node.op, engine, c, out.shape[3], groups)
            out[n, i, j, c] = min(max(scaled(total, step, scales[c], float(b.data[c]), order), ends[0]), ends[1])
    return out


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layer", LAYERS)
def test_layer_equals_the_oracle(layer, engine):
    for seed in range(8):
        g = np.random.default_rng(seed)
        graph = made(layer, g)
        inputs = inputs_of(graph, g, 1)
        got = hwsim.simulate(graph, inputs, engine).outputs[0]
        np.testing.assert_array_equal(got, expected(graph, inputs[0], engine), err_msg=f"seed {seed}")


@pytest.mark.engine
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layer", LAYERS)
def test_layer_equals_the_real_engine(layer, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    g = np.random.default_rng(17)
    graph = beside([made(layer, g) for _ in range(40)], f"40 {layer}")
    check = hwsim.verify(graph, inputs_of(graph, g, 3), engine=engine)
    assert check.exact, check.explanation
    assert check.compared == 40


def test_a_single_scale_is_refused():
    graph = made("conv2d", np.random.default_rng(1))
    weights = graph.tensors[1]
    one = replace(weights, format=Affine.per_tensor(0.1))
    graph = replace(graph, tensors=(graph.tensors[0], one, *graph.tensors[2:]))
    with pytest.raises(UnsupportedError, match=r"^conv2d 'y': weights have 1 scales .* with \d+, one per channel$"):
        hwsim.compile(graph, "litert-reference")
