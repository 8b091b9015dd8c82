"""int16 activations: the stored table, every code, what engines refuse, and the published one-operator networks."""

from hashlib import sha256

import numpy as np
import pytest

import hwsim
from hwsim.engines import real_engines
from hwsim.errors import UnsupportedError
from hwsim.ops._fixed import VectorLayers
from hwsim.ops._sigmoid import sigmoid_table
from hwsim.verify.reference import installed
from tests import oracle
from tests.build import single, tensor
from tests.random_graphs import MAKERS, dtypes, inputs_for, many

ENGINES = sorted(real_engines())
SEANET = [
    *(f"add{n}" for n in (0, 1, 5)),
    *(f"conv{n}" for n in (0, 1, 4, 7, 12)),
    *(f"leaky_relu{n}" for n in (0, 1, 12)),
    *("pad0", "pad4", "quantize0", "strided_slice0", "strided_slice3", "sub0", "sub3"),
    *("transpose_conv2", "transpose_conv4"),
]


def test_sigmoid_table_is_the_published_one():
    table = sigmoid_table()
    assert int(table.astype(np.int64).sum()) == 15670629
    assert sha256(table.astype("<u2").tobytes()).hexdigest() == (
        "c79a34d2c8c6e794fbb0207601538fe0169e968cd6d9d5ca65fff859dcd55183"
    )


@pytest.mark.parametrize("engine", ["tflite-micro", "litert-optimized"])
@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 2.0**-13, 0.00037, 0.01])
@pytest.mark.parametrize("op", ["logistic", "tanh"])
def test_every_eleventh_code_equals_the_oracle(op, scale, engine):
    codes = np.concatenate([np.arange(-32768, 32768, 11), [-1, 0, 1, 32767]]).astype(np.int16)[None]
    graph = single(op, [tensor("x", codes.shape, "int16", scale)], tensor("y", codes.shape, "int16", 2.0**-15))
    expected = oracle.evaluate(graph, [codes], engine)
    np.testing.assert_array_equal(hwsim.simulate(graph, codes, engine).outputs[0], expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_vector_kernels_only_move_what_is_not_bytes(engine):
    for op in sorted(MAKERS):
        for dtype in {"int16", "int16_int32", "int16_int8", "int8_int16", "int32_int8"} & {*dtypes(op)}:
            graph = many(op, dtype, 4, seed=3)
            try:
                compiled = hwsim.compile(graph, engine)
            except UnsupportedError:
                continue
            compiled.run(inputs_for(graph, 1))
            sessions = [session for idle in compiled._idle.values() for session in idle]
            layers = [step for session in sessions for step in session.steps if isinstance(step, VectorLayers)]
            assert {kind for step in layers for kind in step.kinds} <= {"copy", "fill", "move"}, (op, dtype)


def layer(op, dtype="int16", seed=0, **options):
    """A random layer with a bias, and other options."""
    while True:
        graph = MAKERS[op](np.random.default_rng(seed), dtype)
        if graph.nodes[0].inputs[-1] >= 0:
            graph.nodes[0].attributes.update(options)  # type: ignore[attr-defined]
            return graph
        seed += 1


def refused(graph, engine, text):
    with pytest.raises(UnsupportedError, match=rf"^{graph.nodes[0].op} 'y': {text}$"):
        hwsim.compile(graph, engine)


@pytest.mark.parametrize("op", ["conv2d", "fully_connected", "transpose_conv"])
def test_litert_needs_the_option_for_an_int32_bias(op):
    graph = layer(op, "int16_int32", quantized_bias_type="float32")
    text = "bias is int32, quantized_bias_type 'float32'; LiteRT reads the bias as int64: make them agree"
    refused(graph, "litert-reference", text)


def test_micro_depthwise_wants_an_int64_bias():
    graph = layer("depthwise_conv2d", "int16_int32")
    text = "has an int32 bias; TensorFlow Lite Micro wants int64 under int16 activations"
    refused(graph, "tflite-micro", text)


def test_micro_transpose_conv_wants_an_int64_bias():
    text = "bias is int32; TensorFlow Lite Micro reads it as int64"
    refused(layer("transpose_conv", "int16_int32"), "tflite-micro", text)


def test_zero_point_is_refused():
    x, y = tensor("x", (1, 4), "int16", 0.1, 3), tensor("y", (1, 4), "int16", 0.1)
    refused(single("relu", [x], y), "tflite-micro", "'x' is int16 with zero point 3; must be 0")


@pytest.mark.parametrize("op", ["add", "sub"])
def test_power_of_two_sums_are_refused(op):
    tensors = [tensor(name, (1, 4), "int16", 0.125) for name in "aby"]
    graph = single(op, tensors[:2], tensors[2], activation="none", pot_scale_int16=True)
    refused(graph, "litert-reference", "pot_scale_int16 is set; hwsim runs int16 with general scales only")


def recording(folder, name, kind, tensor):
    """One of the CSV files beside a network."""
    (file,) = folder.glob(f"{name}_{kind}_*.csv")
    return np.loadtxt(file, delimiter=",", dtype=np.int64).astype(tensor.dtype).reshape(tensor.shape)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SEANET)
def test_published_operator_gives_its_recorded_output(name, engine, shared_models):
    folder = shared_models("seanet")
    graph = hwsim.load(folder / f"{name}.tflite")
    inputs = [recording(folder, name, f"input{k}", graph.tensors[i]) for k, i in enumerate(graph.inputs)]
    expected = recording(folder, name, "golden", graph.tensors[graph.outputs[0]])
    np.testing.assert_array_equal(hwsim.simulate(graph, inputs, engine).outputs[0], expected)


@pytest.mark.engine
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SEANET)
def test_published_operator_equals_the_real_engine(name, engine, shared_models):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    folder = shared_models("seanet")
    graph = hwsim.load(folder / f"{name}.tflite")
    inputs = [recording(folder, name, f"input{k}", graph.tensors[i]) for k, i in enumerate(graph.inputs)]
    check = hwsim.verify(graph, inputs, engine=engine)
    assert check.exact, check.explanation
