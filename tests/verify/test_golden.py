import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, unknown
from hwsim.graph import Graph, Tensor
from hwsim.importers import arrays
from hwsim.importers.arrays import read_arrays
from tests.build import constant, single, tensor
from tests.test_simulate import ROWS, layers, two_layers

ENGINE = "tflite-micro"
RECORDED = {name: value.astype(np.int8) for name, value in layers(ROWS).items()}


def changed(**arrays: Any) -> dict[str, Any]:
    return {**RECORDED, **arrays}


def raises(message: str) -> Any:
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "golden.npz", **RECORDED)
    return tmp_path / "golden.npz"


@pytest.mark.parametrize("names", [("x", "y"), ("input", "output"), ("input_0", "output_0"), ("x", "output_0")])
def test_recording_by_tensor_name_or_alias(names):
    against = dict(zip(names, (RECORDED["x"], RECORDED["y"]), strict=True))
    check = hwsim.verify(two_layers(), engine=ENGINE, against=against)
    assert (check.exact, check.compared, check.samples) == (True, 1, 7)


def test_alias_counts_inputs_and_outputs():
    graph = single("add", [tensor("a", (1, 2)), tensor("b", (1, 2))], tensor("y", (1, 2)), activation="none")
    a, b = np.array([[1, 2]], np.int8), np.array([[3, 4]], np.int8)
    check = hwsim.verify(graph, engine=ENGINE, against={"input_1": b, "input_0": a, "output": a + b})
    assert check.exact


def test_tensor_of_that_name_comes_before_alias():
    graph = two_layers()
    renamed = [Tensor("output" if t.name == "h" else t.name, t.shape, t.dtype, t.format, t.data) for t in graph.tensors]
    graph = Graph("g", tuple(renamed), graph.nodes, graph.inputs, graph.outputs)
    check = hwsim.verify(graph, ROWS, engine=ENGINE, against={"output": RECORDED["h"]})
    assert [(t.tensor, t.missing) for t in check.tensors] == [("output", ""), ("y", "not given by the reference")]
    assert check.exact


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ({"y": RECORDED["y"]}, "the recording has no input 'x', and no input was given"),
        (changed(yy=RECORDED["y"]), "unknown tensor 'yy'; did you mean 'y'?"),
        (changed(output=RECORDED["y"]), "the recording has 'y' twice, once as 'output'"),
        (changed(outptu=RECORDED["y"]), "unknown tensor 'outptu'; did you mean 'output'?"),
        (changed(y=RECORDED["y"][:6]), "recorded 'y' has shape [6, 1]; expected 7 times [1, 1]"),
        (changed(y=RECORDED["h"]), "recorded 'y' has shape [7, 2]; expected 7 times [1, 1]"),
        (changed(y=np.int8(0)), "recorded 'y' has shape []; expected 7 times [1, 1]"),
        (changed(x=RECORDED["x"].astype(float)), "input 'x' is float64; expected int8"),
        (changed(y=np.full((7, 1), 128)), "recorded 'y' is int64 and has values that int8 does not; expected int8"),
        (changed(y=np.full((7, 1), 0.5)), "recorded 'y' is float64 and has values that int8 does not; expected int8"),
        (changed(y=np.full(7, np.nan)), "recorded 'y' is float64 and has values that int8 does not; expected int8"),
        (changed(y=np.full((7, 1), "1")), "recorded 'y' is <U1 and has values that int8 does not; expected int8"),
        (changed(y=np.full((7, 1), 1j)), "recorded 'y' is complex128 and has values that int8 does not; expected int8"),
    ],
)  # fmt: skip
def test_recording_that_does_not_fit(against, message):
    with raises(message):
        hwsim.verify(two_layers(), engine=ENGINE, against=against)


@pytest.mark.parametrize("dtype", ["int64", "float64", "int16", ">i4"])
def test_recording_in_a_wider_dtype(dtype):
    against = {name: value.astype(dtype) for name, value in RECORDED.items() if name != "x"}
    assert hwsim.verify(two_layers(), ROWS, engine=ENGINE, against=against).exact
    against["h"][3, 1] -= 1
    check = hwsim.verify(two_layers(), ROWS, engine=ENGINE, against=against)
    assert ([t.alone for t in check.tensors], check.first_difference.index) == ([1, 0], (3, 1))


def test_recording_as_flat_dump():
    check = hwsim.verify(two_layers(), engine=ENGINE, against=changed(h=RECORDED["h"].ravel(), y=RECORDED["y"].ravel()))
    assert (check.exact, check.compared) == (True, 2)


def test_recorded_constants_are_passed_over():
    check = hwsim.verify(two_layers(), engine=ENGINE, against=changed(w=np.zeros((2, 3), np.int8)))
    assert (check.exact, check.compared) == (True, 2)


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_recording_of_rows_that_do_not_fill_the_declared_batch(rows):
    against = {name: value[:rows] for name, value in RECORDED.items()}
    assert hwsim.verify(two_layers(batch=3), engine=ENGINE, against=against).exact
    against["y"] = against["y"] ^ 1
    assert hwsim.verify(two_layers(batch=3), engine=ENGINE, against=against).first_difference.index == (0, 0)


def test_input_shared_by_all_samples_may_be_recorded_once():
    graph = single("add", [tensor("a", (1, 2)), tensor("b", (1, 2))], tensor("y", (1, 2)), activation="none")
    a, b = np.array([[1, 2], [5, 6]], np.int8), np.array([[3, 4]], np.int8)
    assert hwsim.verify(graph, engine=ENGINE, against={"a": a, "b": b, "y": a + b}).exact


def test_partial_recording_compares_what_there_is():
    check = hwsim.verify(two_layers(), ROWS, engine=ENGINE, against={"h": RECORDED["h"]})
    assert (check.exact, check.compared) == (True, 1)
    assert [t.missing for t in check.tensors] == ["", "not given by the reference"]


def test_partial_recording_of_the_end_blames_the_end():
    check = hwsim.verify(two_layers(), ROWS, engine=ENGINE, against={"y": RECORDED["y"] ^ 1})
    first = check.first_difference
    assert (first.tensor, first.details["accumulator"]) == ("y", int(layers(ROWS)["h"][0] @ [2, 1]))
    assert check.tensors[1].alone == 7


def test_difference_in_the_middle_does_not_blame_what_follows():
    hidden = np.clip(RECORDED["h"].astype(int) + 1, -128, 127)
    follows = np.clip(hidden @ [[2], [1]], -128, 127)
    check = hwsim.verify(two_layers(), engine=ENGINE, against={"x": ROWS, "h": hidden, "y": follows})
    middle, end = check.tensors
    assert check.first_difference.tensor == "h"
    assert middle.alone == middle.differing > 0
    assert end.differing > end.alone == 0


def test_recording_of_inputs_alone_proves_nothing():
    check = hwsim.verify(two_layers(), engine=ENGINE, against={"x": ROWS})
    assert (check.exact, check.compared, check.first_difference) == (False, 0, None)
    assert check.explanation == "nothing was compared: recorded arrays gives no tensor that a node computes"


def test_graph_without_inputs():
    graph = single("reshape", [constant("c", [[4, 5]])], Tensor("y", (2, 1), "int32"), new_shape=(2, 1))
    assert hwsim.verify(graph, [], engine=ENGINE, against={"y": [[4], [5]]}).exact
    assert not hwsim.verify(graph, engine=ENGINE, against={"y": [[4], [6]]}).exact


def test_real_engine_needs_an_input():
    with raises("graph 'two layers': no input was given; a real engine needs one"):
        hwsim.verify(two_layers(), engine=ENGINE)


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ("xnpack", "unknown engine or .npz file 'xnpack'; did you mean 'xnnpack'?"),
        ("golden.npy", unknown("engine or .npz file", "golden.npy", hwsim.engines())),
        (Path("golden.npy"), "golden.npy: expected a .npz file with recorded tensors"),
        ("none/golden.npz", "none/golden.npz: no such file; expected a .npy or .npz file"),
    ],
)  # fmt: skip
def test_against_that_is_no_recording(against, message):
    with raises(message):
        hwsim.verify(two_layers(), ROWS, engine=ENGINE, against=against)


def test_npz_file_with_its_inputs(npz):
    check = hwsim.verify(two_layers(), engine=ENGINE, against=str(npz))
    assert (check.exact, check.against, check.compared) == (True, "golden.npz", 2)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"not a zip"])
def test_npz_that_is_no_zip(tmp_path, content):
    file = tmp_path / "golden.npz"
    file.write_bytes(content)
    with raises(f"{file}: not a readable .npy or .npz file (File is not a zip file)"):
        read_arrays(file)


def test_npz_cut_short(npz):
    npz.write_bytes(npz.read_bytes()[:-20])
    with raises(f"{npz}: not a readable .npy or .npz file (File is not a zip file)"):
        hwsim.verify(two_layers(), engine=ENGINE, against=npz)


class Harmful:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("executed"),))


def test_npz_is_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("golden.npz", y=np.array([Harmful()], object))
    with raises(
        "golden.npz: not a readable .npy or .npz file (Object arrays cannot be loaded when allow_pickle=False)"
    ):
        read_arrays("golden.npz")
    Path("golden.npy").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(InputError, match=r"^golden\.npy: not a readable \.npy or \.npz file \(.*\)$"):
        read_arrays("golden.npy")
    assert not Path("executed").exists()


def test_npz_member_that_is_no_array(npz):
    with zipfile.ZipFile(npz, "a") as archive:
        archive.writestr("readme.txt", "hello")
    with raises(f"{npz}: not a readable .npy or .npz file ('readme.txt' in it is no array)"):
        read_arrays(npz)


def test_npz_that_unpacks_to_too_much(npz, monkeypatch):
    monkeypatch.setattr(arrays, "LARGEST_BYTES", 100)
    with pytest.raises(InputError, match=rf"^{re.escape(str(npz))}: unpacks to \d+ bytes; the limit is 100$"):
        read_arrays(npz)


def test_damaged_npz_gives_arrays_or_input_error(npz):
    generator, whole, refused = np.random.default_rng(0), npz.read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] = generator.integers(256)
        npz.write_bytes(damaged)
        try:
            read_arrays(npz)
        except InputError as error:
            assert str(error).startswith(f"{npz}: ")
            refused += 1
    assert refused > 100


def test_npy_is_one_array_called_input(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    (loaded,) = read_arrays(tmp_path / "x.npy").items()
    assert loaded[0] == "input"
    np.testing.assert_array_equal(loaded[1], ROWS)
