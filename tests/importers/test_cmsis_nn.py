"""Data sets in the form of CMSIS-NN's unit tests; none of its own is kept here."""

from contextlib import suppress

import numpy as np
import pytest
from typer.testing import CliRunner

import hwsim
from hwsim.cli import app
from hwsim.errors import HwsimError, InputError, ModelFormatError, UnsupportedError
from hwsim.importers.cmsis_nn import read_data_set
from hwsim.verify import verify_data_set
from tests.importers.data_sets import WRITERS, data_set, write
from tests.random_graphs import MAKERS, inputs_for

DTYPES = {
    "conv2d": ("int8", "int8_int4", "int16", "int16_int32"),
    "depthwise_conv2d": ("int8", "int8_int4", "int16"),
    "fully_connected": ("int8", "int8_int4", "int16"),
    "svdf": ("int8",),
    "transpose_conv": ("int8",),
}
NAMES = {"average_pool_2d": "avgpooling_9", "max_pool_2d": "maxpooling_9"}


def made(op, dtype, seed):
    """A random graph that a data set can hold: inputs of equal shape, one output dtype, beta of 1."""
    for attempt in range(99):
        graph = MAKERS[op](np.random.default_rng([seed, attempt]), dtype)
        shapes = {graph.tensors[i].shape for i in graph.inputs}
        whole = len(shapes) == 1 and (op not in ("add", "mul") or (len(graph.inputs) == 2))
        if whole and graph.nodes[0].attributes.get("beta", 1.0) == 1.0:
            return graph
    raise AssertionError(f"no such {op}")


CASES = [(op, dtype) for op in sorted(WRITERS) for dtype in DTYPES.get(op, ("int8", "int16"))]


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_a_data_set_gives_what_the_oracle_says(op, dtype, tmp_path):
    for seed in range(6):
        graph = made(op, dtype, seed)
        count = 2 if op == "svdf" else 1
        inputs = [x[: count * graph.tensors[i].shape[0]]
                  for x, i in zip(inputs_for(graph, 2, seed), graph.inputs, strict=True)]  # fmt: skip
        folder = tmp_path / str(seed) / NAMES.get(op, f"some_{op}_{seed}")
        expected = data_set(folder, graph, inputs)
        found = read_data_set(folder)
        assert found.graph.nodes[0].op == op
        got = hwsim.simulate(found.graph, list(found.inputs), "cmsis-nn").outputs[0]
        np.testing.assert_array_equal(got.reshape(-1), expected.reshape(-1), err_msg=f"seed {seed}")
        check = verify_data_set(folder)
        assert check.exact and check.against == folder.name


def moves(tmp_path, name, numbers, arrays):
    write(tmp_path / name, numbers, arrays)
    return verify_data_set(tmp_path / name)


def test_codes_that_are_moved_and_compared(tmp_path):
    x = np.arange(24, dtype=np.int8)
    first, second = x.reshape(1, 2, 3, 4), np.array([3, 9, 20, -1], np.int8)
    turned = {"input_tensor": x, "output": x.reshape(2, 3, 4).transpose(2, 0, 1)}
    assert moves(tmp_path, "transpose_1", {"in_dim": [2, 3, 4, 0], "perm": [2, 0, 1]}, turned).exact
    numbers = {f"input_{a}": n for a, n in zip("nhwc", (1, 2, 3, 4), strict=True)} | {"pad_value": -5}
    numbers |= {f"{side}_pad_{axis}": 0 for side in ("pre", "post") for axis in "nhwc"}
    numbers |= {"pre_pad_h": 1, "post_pad_w": 2}
    wide = np.pad(first, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=-5)
    assert moves(tmp_path, "pad_1", numbers, {"input_tensor": x, "output": wide}).exact
    sides = {f"{side}_1": n for side, n in zip(("batch", "height", "width", "channel"), first.shape, strict=True)}
    sides |= {"batch_2": 1, "height_2": 1, "width_2": 1, "channel_2": 4}
    for name, chosen in (("minimum", np.minimum), ("maximum", np.maximum)):
        arrays = {"input_tensor_1": first, "input_tensor_2": second, "output": chosen(first, second)}
        assert moves(tmp_path, f"{name}_1", sides, arrays).exact
        assert not moves(tmp_path, f"{name}_2", sides, {**arrays, "output": first}).exact


def test_products_of_matrices(tmp_path):
    g = np.random.default_rng(0)
    a, b = g.integers(-9, 9, (1, 2, 3, 4)).astype(np.int8), g.integers(-9, 9, (1, 1, 5, 4)).astype(np.int8)
    sums = (a.astype(int) + 3) @ (b.astype(int) - 2).swapaxes(2, 3)
    numbers = {f"{s}_{n}": v for s, shape in (("lhs", a.shape), ("rhs", b.shape))
               for n, v in zip(("batch", "height", "rows", "cols"), shape, strict=True)}  # fmt: skip
    numbers |= {"adj_x": 0, "adj_y": 1, "lhs_offset": 3, "rhs_offset": -2, "output_offset": 1, "activation_min": -30,
                "activation_max": 127, "output_multiplier": 1 << 30, "output_shift": 0}  # fmt: skip
    halves = np.floor(sums / 2 + 0.5) + 1
    arrays = {"lhs_input_tensor": a, "rhs_input_tensor": b, "output": np.clip(halves, -30, 127).astype(np.int8)}
    assert moves(tmp_path, "batch_matmul_1", numbers, arrays).exact


def test_the_command_takes_the_folder(tmp_path):
    folder, runner = tmp_path / "softmax", CliRunner()
    graph = made("softmax", "int8", 2)
    expected = data_set(folder, graph, [x[: graph.tensors[0].shape[0]] for x in inputs_for(graph, 1)])
    found = runner.invoke(app, ["verify", str(folder)])
    assert found.exit_code == 0, found.output
    assert "cmsis-nn simulated against softmax" in found.output
    config = (folder / "config_data.h").read_text()
    write(folder, {}, {"output_ref": expected ^ 1})
    (folder / "config_data.h").write_text(config)
    assert runner.invoke(app, ["verify", str(folder), "--engine", "tflite-micro"]).exit_code == 1
    refused = runner.invoke(app, ["verify", str(folder), "--against", "tflite-micro"]).exception
    assert isinstance(refused, InputError) and "give --engine only" in str(refused)


def test_what_does_not_fit_is_named(tmp_path):
    numbers = {"num_rows": 2, "row_size": 3, "input_mult": 1 << 30, "input_left_shift": 3}
    arrays = {"input": np.zeros(6, np.int8), "output_ref": np.zeros(6, np.int8)}
    folder = tmp_path / "softmax"
    for change, message in (
        ({"row_size": 4}, r"'input' has 6 values; expected \[2, 4\]$"),
        ({"input_mult": 5}, r"input_multiplier is 5; expected 0 or 2\^30 to 2\^31 - 1, so normalized$"),
        ({"input_left_shift": 40}, r"input_shift is 40; expected -31 to 30$"),
    ):
        write(folder, numbers | change, arrays)
        with pytest.raises(HwsimError, match=message):
            verify_data_set(folder)
    del numbers["input_mult"]
    write(folder, numbers, arrays)
    with pytest.raises(ModelFormatError, match=r"does not define INPUT_MULT$"):
        verify_data_set(folder)
    with pytest.raises(InputError, match=r"no such folder; expected one with C headers"):
        read_data_set(tmp_path / "none")
    with pytest.raises(InputError, match=r"has 0 \.h files; expected 1 to 64$"):
        read_data_set(tmp_path)
    with pytest.raises(UnsupportedError, match=r"unknown operator of a data set 'conv'; did you mean 'conv2d'\?$"):
        read_data_set(folder, "conv")


@pytest.mark.parametrize("text", [
    "int main() { return 0; }", "const int8_t x[] = {1, 2", "const float x[1] = {1.5};", "const int8_t x[1] = {900};",
    "const int8_t x[1] = {a};", "/* never closed", "const int8_t " + "x" * 10**6 + " = {1};", "\x00\xff" * 99,
    "const int8_t x[1] = {" + "9" * 10**5 + "};", "#define A {1,", "=" * 10**5,
])  # fmt: skip
def test_hostile_headers_are_refused(text, tmp_path):
    (tmp_path / "config_data.h").write_text(text, encoding="latin-1")
    with pytest.raises(HwsimError):
        read_data_set(tmp_path)


def test_a_random_part_of_a_header_is_an_error_or_a_data_set(tmp_path):
    graph = made("conv2d", "int8", 1)
    folder = tmp_path / "conv_1"
    data_set(folder, graph, [x[: graph.tensors[0].shape[0]] for x in inputs_for(graph, 1)])
    generator = np.random.default_rng(0)
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for _ in range(15):
            at, size = generator.integers(len(whole)), generator.integers(1, 40)
            file.write_bytes(whole[:at] + generator.bytes(int(size)) + whole[at + size :])
            with suppress(HwsimError):
                verify_data_set(folder)
        file.write_bytes(whole)
    assert verify_data_set(folder).exact
