import re
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hwsim
from hwsim.engines import Engine
from hwsim.errors import CapacityError, HwsimError, InputError, ShapeError, UnsupportedError, unknown
from hwsim.graph import Graph, Node, Tensor
from hwsim.graph.graph import DTYPES
from hwsim.ops import operators
from tests.build import GENERATOR_SEED, codes, constant, single, tensor
from tests.random_graphs import conv2d

FULLY_CONNECTED = {"activation": "none", "weights_format": "default", "keep_num_dims": False}
FIRST, BIAS, SECOND = np.array([[1, -2, 3], [0, 1, 1]]), np.array([5, -7]), np.array([[2, 1]])
ROWS = codes(np.random.default_rng(GENERATOR_SEED), (7, 3)) // 16  # few sums reach a limit


def two_layers(batch: int = 1, output_scale: float = 1.0) -> Graph:
    """Two fully connected layers with every scale 1, so that the clamped sums are the codes."""
    tensors = (
        tensor("x", (batch, 3), scale=1.0),
        tensor("w", (2, 3), scale=1.0, data=FIRST),
        tensor("b", (2,), "int32", 1.0, data=BIAS),
        tensor("h", (batch, 2), scale=1.0),
        tensor("v", (1, 2), scale=1.0, data=SECOND),
        tensor("y", (batch, 1), scale=output_scale),
    )
    first = Node("fully_connected", "first", (0, 1, 2), (3,), FULLY_CONNECTED)
    second = Node("fully_connected", "second", (3, 4, -1), (5,), FULLY_CONNECTED)
    return Graph("two layers", tensors, (first, second), (0,), (5,))


def layers(rows: np.ndarray) -> dict[str, np.ndarray]:
    hidden = np.clip(rows.astype(int) @ FIRST.T + BIAS, -128, 127)
    return {"x": rows, "h": hidden, "y": np.clip(hidden @ SECOND.T, -128, 127)}


def sum_of(left: tuple[int, ...] = (1, 2), right: tuple[int, ...] = (1, 2)) -> Graph:
    output = np.broadcast_shapes(left, right)
    return single("add", [tensor("left", left), tensor("right", right)], tensor("y", output), activation="none")


def raises(kind: type[HwsimError], message: str):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.fixture
def room():
    """The module whose constants a test may change; `hwsim.simulate`, being callable, hides it."""
    return sys.modules["hwsim.simulate.program"]


def test_simulate_takes_array_list_or_dict():
    for x in (ROWS, [ROWS], (ROWS,), {"x": ROWS}):
        run = hwsim.simulate(two_layers(), x, "tflite-micro")
        assert_array_equal(run.outputs[0], layers(ROWS)["y"])
        assert (run.outputs[0].dtype, run.tensors, run.engine) == (np.int8, {}, "tflite-micro")


def test_simulate_matches_inputs_by_name():
    zeros, ones = np.zeros((1, 2), np.int8), np.ones((1, 2), np.int8)
    graph = single("concatenation", [tensor("a", (1, 2)), tensor("b", (1, 2))], tensor("y", (1, 4)), axis=1)
    outputs = hwsim.simulate(graph, {"b": ones, "a": zeros}, "tflite-micro").outputs
    assert outputs[0].tolist() == [[0, 0, 1, 1]]


ROW = np.zeros((1, 2), np.int8)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({"left": ROW, "wright": ROW}, "unknown input 'wright'; did you mean 'right'?"),
        ({"left": ROW, "c": ROW}, "unknown input 'c'; expected one of left, right"),
        ({"left": ROW}, "input 'right' is missing; the model has left, right"),
        ([ROW], "got 1 inputs; the model has 2: left, right"),
        ([], "got 0 inputs; the model has 2: left, right"),
        (ROW, "got one array; the model has 2 inputs: left, right"),
        ([ROW, ROW.astype(int)], "input 'right' is int64; expected int8"),
        ([ROW, ROW.astype(">i2")], "input 'right' is >i2; expected int8"),
        ([ROW, np.zeros((1, 3), np.int8)], "input 'right' has shape [1, 3]; expected [batch, 2]"),
        ([ROW, ROW[0]], "input 'right' has shape [2]; expected [batch, 2]"),
        ([ROW, np.int8(0)], "input 'right' has shape []; expected [batch, 2]"),
        ([ROW, ROW[:0]], "input 'right' has shape [0, 2]; expected at least one row"),
        ([np.zeros((2, 2), np.int8), np.zeros((7, 2), np.int8)], "input 'left' has 2 samples; other inputs have 7"),
    ],
)
def test_simulate_refuses_input(x, message):
    with raises(InputError, message):
        hwsim.simulate(sum_of(), x, "tflite-micro")


@pytest.mark.parametrize("left", [7, 2])
def test_simulate_refuses_rows_that_differ_within_a_sample(left):
    x = [np.zeros((left, 2), np.int8), np.zeros((left + 1, 2), np.int8)]
    with raises(InputError, f"input 'left' has {left} rows; other inputs have {left + 1}"):
        hwsim.simulate(sum_of((3, 2), (3, 2)), x, "tflite-micro")


def test_simulate_refuses_array_for_scalar():
    tensors = (tensor("x", (1, 2)), Tensor("s", (), "int32"))
    graph = Graph("scalar", tensors, (), (0, 1), (0,))
    with raises(InputError, "input 's' has shape [1]; expected a scalar"):
        hwsim.simulate(graph, [ROW, np.zeros(1, np.int32)], "tflite-micro")
    assert hwsim.simulate(graph, [ROW, np.int32(0)], "tflite-micro").outputs[0].tolist() == [[0, 0]]


def test_simulate_batch_equals_single_runs():
    graph = conv2d(np.random.default_rng(GENERATOR_SEED), "int8")
    x = codes(np.random.default_rng(1), (7, *graph.tensors[0].shape[1:]))
    (together,) = hwsim.simulate(graph, x, "xnnpack").outputs
    apart = [hwsim.simulate(graph, x[i : i + 1], "xnnpack").outputs[0] for i in range(7)]
    assert_array_equal(together, np.concatenate(apart))


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 7])
def test_simulate_fills_declared_batch_and_cuts_it_off(rows):
    run = hwsim.simulate(two_layers(batch=3), ROWS[:rows], "tflite-micro", keep_tensors=True)
    for name, expected in layers(ROWS[:rows]).items():
        assert_array_equal(run.tensors[name], expected)


def test_simulate_shares_one_sample_among_all():
    x = codes(np.random.default_rng(2), (7, 2))
    one = np.array([[30, -100]], np.int8)
    (shared,) = hwsim.simulate(sum_of(), [x, one], "tflite-micro").outputs
    (repeated,) = hwsim.simulate(sum_of(), [x, one.repeat(7, axis=0)], "tflite-micro").outputs
    assert_array_equal(shared, repeated)


def test_simulate_shares_input_of_other_declared_batch():
    x, table = codes(np.random.default_rng(3), (4, 2)), codes(np.random.default_rng(4), (5, 2))
    run = hwsim.simulate(sum_of((1, 2), (5, 2)), [x, table], "tflite-micro", keep_tensors=True)
    apart = [hwsim.simulate(sum_of((1, 2), (5, 2)), [row[None], table], "tflite-micro").outputs[0] for row in x]
    assert_array_equal(run.outputs[0], np.concatenate(apart))
    assert_array_equal(run.tensors["right"], np.tile(table, (4, 1)))


def test_simulate_keeps_every_tensor_when_asked():
    tensors = hwsim.simulate(two_layers(), ROWS, "litert-reference", keep_tensors=True).tensors
    assert tensors.keys() == {"x", "h", "y"}
    for name, expected in layers(ROWS).items():
        assert_array_equal(tensors[name], expected)
        assert tensors[name].dtype == np.int8


def test_simulate_threads_change_nothing():
    graph = conv2d(np.random.default_rng(GENERATOR_SEED), "int8")
    x = codes(np.random.default_rng(5), (9, *graph.tensors[0].shape[1:]))
    one, two = (hwsim.simulate(graph, x, "tflite-micro", threads=n, keep_tensors=True) for n in (1, 2))
    assert one.tensors.keys() == two.tensors.keys()
    for name, value in one.tensors.items():
        assert_array_equal(two.tensors[name], value)


def test_simulate_threads_below_one():
    with raises(InputError, "threads is 0; expected at least 1"):
        hwsim.simulate(two_layers(), ROWS, "tflite-micro", threads=0)


@pytest.mark.parametrize(("chunk", "counts"), [(1, [1] * 7), (64, [2, 2, 2, 1]), (1000, [7])])
def test_simulate_chunks_change_nothing_and_report_progress(monkeypatch, room, chunk, counts):
    monkeypatch.setattr(room, "CHUNK_BYTES", chunk)
    heard = []
    run = hwsim.simulate(two_layers(), ROWS, "tflite-micro", keep_tensors=True, progress=heard.append)
    assert heard == counts
    for name, expected in layers(ROWS).items():
        assert_array_equal(run.tensors[name], expected)


def test_program_counts_bytes_alive_at_once():
    assert hwsim.compile(two_layers(), "tflite-micro").arena_bytes == 16 + 16  # 3 and 2, by the 16 bytes of TFLM


def test_program_gives_the_same_again():
    call = hwsim.compile(two_layers(), "tflite-micro", threads=2)
    for rows in (ROWS, ROWS[:2], ROWS):
        assert_array_equal(call(rows)[0], layers(rows)["y"])


def test_compile_refuses_absurd_tensor_before_allocating():
    widths = constant("widths", [[0, 0], [0, 2**50]], "int64")
    graph = single("pad", [tensor("x", (1, 2)), widths], tensor("y", (1, 2**50 + 2)))
    needed = 16 + 2**50 + 16
    with raises(CapacityError, f"graph 'one pad' needs {needed} bytes for one sample; the limit is {4 << 30}"):
        hwsim.simulate(graph, ROW, "tflite-micro")


def test_compile_names_unsupported_operator():
    graph = single("CUSTOM:Magic", [tensor("x", (1, 2))], tensor("y", (1, 2)))
    with raises(UnsupportedError, "CUSTOM:Magic 'y': hwsim has no operator 'CUSTOM:Magic'"):
        hwsim.compile(graph, "tflite-micro")


def test_compile_names_unsupported_dtype():
    graph = single("max_pool_2d", [tensor("x", (1, 2, 2, 1), "int32")], tensor("y", (1, 1, 1, 1), "int32"))
    runs = ", ".join(sorted(operators()["max_pool_2d"].rules["tflite-micro"]))
    with raises(UnsupportedError, f"max_pool_2d 'y': engine 'tflite-micro' cannot run it on int32; it runs {runs}"):
        hwsim.compile(graph, "tflite-micro")


def test_compile_names_operator_that_engine_lacks():
    bare = Engine("bare", "an engine without operators", ("bare",))
    with raises(UnsupportedError, "add 'y': engine 'bare' cannot run it on int8; it does not have this operator"):
        hwsim.compile(sum_of(), bare)


def test_compile_refuses_text():
    graph = single("CUSTOM", [Tensor("x", (1,), "string")], Tensor("y", (1,), "string"))
    with raises(UnsupportedError, f"tensor 'x' is string; hwsim computes on {', '.join(DTYPES)}"):
        hwsim.compile(graph, "tflite-micro")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("xnpack", "unknown engine 'xnpack'; did you mean 'xnnpack'?"),
        ("", unknown("engine", "", hwsim.engines())),
    ],
)
def test_compile_unknown_engine(name, message):
    with raises(InputError, message):
        hwsim.compile(two_layers(), name)


def test_compile_declared_shape_that_inputs_do_not_give():
    graph = single("reshape", [tensor("x", (1, 2))], tensor("y", (2, 2)), new_shape=(2, 1))
    with raises(ShapeError, "reshape 'y': output 'y' is declared [2, 2]; its inputs give [2, 1]"):
        hwsim.compile(graph, "tflite-micro")


def test_compile_multiplier_beyond_shift_30():
    expected = (
        f"fully_connected 'second': shift[0] is 41; must be in [-31, 30]: the output scale {2.0**-40!r} "
        "is too small for its inputs"
    )
    with raises(UnsupportedError, expected):
        hwsim.compile(two_layers(output_scale=2.0**-40), "tflite-micro")


def test_compile_multiplier_at_shift_30():
    (output,) = hwsim.compile(two_layers(output_scale=2.0**-29), "tflite-micro")(np.array([[1, 1, 1]], np.int8))
    assert output.tolist() == [[127]]


def test_simulate_tensor_without_elements():
    graph = single("dequantize", [tensor("x", (1, 0))], Tensor("y", (1, 0), "float32"))
    assert hwsim.simulate(graph, np.zeros((2, 0), np.int8), "tflite-micro").outputs[0].shape == (2, 0)


def test_simulate_output_that_is_an_input_or_a_constant():
    graph = Graph("g", (tensor("x", (1, 2)), constant("c", [[4, 5]])), (), (0,), (1, 0))
    fixed, same = hwsim.simulate(graph, np.array([[1, 2], [3, 4]], np.int8), "tflite-micro").outputs
    assert fixed.tolist() == [[4, 5], [4, 5]]
    assert same.tolist() == [[1, 2], [3, 4]]


def test_simulate_without_inputs():
    graph = single("reshape", [constant("c", [[4, 5]])], Tensor("y", (2, 1), "int32"), new_shape=(2, 1))
    assert hwsim.simulate(graph, [], "tflite-micro").outputs[0].tolist() == [[4], [5]]
