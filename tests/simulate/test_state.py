"""State: where a run starts, what it leaves, and consecutive steps against independent samples."""

import re
from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import CapacityError, InputError, UnsupportedError
from hwsim.graph import Graph, Node, Tensor
from hwsim.graph.probes import probe_inputs
from hwsim.importers.tflite import read
from hwsim.importers.tflite_writer import to_tflite
from hwsim.verify import compare
from hwsim.verify.reference import installed
from tests.build import tensor
from tests.random_graphs import many

ENGINE = "tflite-micro"


def delay(initial=(7, -7)):
    """What came a step before, at first `initial`."""
    x, y = tensor("x", (1, 2)), tensor("y", (1, 2))
    first = None if initial is None else np.array([initial], np.int8)
    held = Tensor("held", (1, 2), "int8", tensor("x", (1, 2), "int8", 0.1, 5).format, is_variable=True, initial=first)
    nodes = Node("read_variable", "y", (1,), (2,)), Node("assign_variable", "set", (1, 0), ())
    return Graph("delay", (x, held, y), nodes, (0,), (2,))


X = np.array([[1, 2], [3, 4], [5, 6]], np.int8)


def test_independent_samples_start_reset():
    run = hwsim.simulate(delay(), X, ENGINE)
    assert run.outputs[0].tolist() == [[7, -7]] * 3
    assert run.state == {}


def test_consecutive_steps_go_on():
    run = hwsim.simulate(delay(), X, ENGINE, stateful=True)
    assert run.outputs[0].tolist() == [[7, -7], [1, 2], [3, 4]]
    assert {name: value.tolist() for name, value in run.state.items()} == {"held": [[5, 6]]}


def test_a_variable_without_a_first_value_starts_at_the_zero_point():
    assert hwsim.simulate(delay(None), X[:1], ENGINE).outputs[0].tolist() == [[5, 5]]


def test_a_run_goes_on_from_the_state_of_another():
    call = hwsim.compile(delay(), ENGINE)
    whole, first = call.run(X, stateful=True), call.run(X[:2], stateful=True)
    rest = call.run(X[2:], stateful=True, state=first.state)
    np.testing.assert_array_equal(np.concatenate([first.outputs[0], rest.outputs[0]]), whole.outputs[0])
    assert rest.state["held"].tolist() == whole.state["held"].tolist()


def test_one_sample_leaves_its_state_and_a_program_keeps_none():
    call = hwsim.compile(delay(), ENGINE)
    assert call.run(X[:1]).state["held"].tolist() == [[1, 2]]
    assert call(X[:1])[0].tolist() == [[7, -7]]


def test_every_independent_sample_starts_from_the_given_state():
    run = hwsim.simulate(delay(), X, ENGINE, state={"held": np.array([[9, 8]], np.int8)})
    assert run.outputs[0].tolist() == [[9, 8]] * 3


def test_kept_tensors_have_the_state_after_every_step():
    run = hwsim.simulate(delay(), X, ENGINE, stateful=True, keep_tensors=True)
    np.testing.assert_array_equal(run.tensors["held"], X)


def test_progress_hears_every_step():
    heard = []
    hwsim.simulate(delay(), X, ENGINE, stateful=True, progress=heard.append)
    assert heard == [1, 1, 1]


def test_threads_and_chunks_change_nothing():
    graph = many("unidirectional_sequence_lstm", "int8", 1)
    x = np.random.default_rng(0).integers(-128, 128, (90, *graph.tensors[0].shape[1:]), dtype=np.int8)
    alone = [hwsim.simulate(graph, x[k : k + 3], ENGINE).outputs[0] for k in range(0, 90, 3)]
    np.testing.assert_array_equal(hwsim.simulate(graph, x, ENGINE, threads=2).outputs[0], np.concatenate(alone))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"hold": X[:1]}, "unknown state 'hold'; did you mean 'held'?"),
        ({"held": X}, "state 'held' is int8 [3, 2]; expected int8 [1, 2]"),
        ({"held": X[:1].astype(int)}, "state 'held' is int64 [1, 2]; expected int8 [1, 2]"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        hwsim.simulate(delay(), X, ENGINE, state=state)


def test_a_network_without_state_takes_none():
    graph = many("reshape", "int8", 1)
    with pytest.raises(InputError, match=r"^state 'v': the model keeps no state$"):
        hwsim.simulate(graph, probe_inputs(graph, 1), ENGINE, state={"v": X})


def test_overwriting_what_is_no_variable_is_refused():
    graph = replace(delay(), tensors=(delay().tensors[0], replace(delay().tensors[1], is_variable=False, data=X[:1]),
                                      delay().tensors[2]))  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"^assign_variable 'set': 'held' is overwritten; expected a variable"):
        hwsim.compile(graph, ENGINE)


def test_files_keep_variables_and_their_first_values(tmp_path):
    delay().save(tmp_path / "delay.hwsim")
    for graph in (hwsim.load(tmp_path / "delay.hwsim"), read(to_tflite(delay()), "delay.tflite")):
        assert [node.op for node in graph.nodes] == ["read_variable", "assign_variable"]
        held = graph.tensors[1]
        assert (held.is_variable, held.dtype, held.initial.tolist()) == (True, "int8", [[7, -7]])
        assert hwsim.simulate(graph, X, ENGINE, stateful=True).outputs[0].tolist() == [[7, -7], [1, 2], [3, 4]]


def test_too_many_steps_to_compare_are_refused(monkeypatch):
    monkeypatch.setattr(compare, "STEPS_BYTES", 10)
    recorded = {"y": X}
    message = r"^3 consecutive steps need 18 bytes to compare; the limit is 10: hand in fewer$"
    with pytest.raises(CapacityError, match=message):
        hwsim.verify(delay(), X, engine=ENGINE, against=recorded, stateful=True)


def test_verify_compares_state_with_a_recording():
    recorded = {"y": np.array([[7, -7], [1, 2], [3, 4]]), "held": X}
    assert hwsim.verify(delay(), X, engine=ENGINE, against=recorded, stateful=True).exact
    recorded["held"] = X + (X == 4)
    check = hwsim.verify(delay(), X, engine=ENGINE, against=recorded, stateful=True)
    assert [(t.tensor, t.differing, t.alone) for t in check.tensors] == [("y", 0, 0), ("held", 1, 1)]
    assert check.first_difference.index == (1, 1)


@pytest.mark.engine
@pytest.mark.parametrize("engine", ["litert-reference", "litert-optimized", "xnnpack", "tflite-micro"])
@pytest.mark.parametrize("stateful", [True, False])
def test_a_written_delay_equals_the_real_engine(engine, stateful):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip("needs the real engines: pip install 'hwsim[verify]'")
    check = hwsim.verify(delay(), X, engine=engine, stateful=stateful)
    assert check.exact and check.compared == 2, check.explanation
