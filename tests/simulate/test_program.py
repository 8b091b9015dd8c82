"""A program called in every way gives what its samples give one by one."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hwsim
from hwsim import demo
from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.simulate import program as program_module
from tests.build import codes, constant, single, tensor

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")

ENGINE = "tflite-micro"
COUNTS = (1, 2, 31, 32, 33, 100)
PATIENCE = 60
"""Seconds after which threads that wait for each other have failed."""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return demo.network()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return demo.images()[0][:100]


@pytest.fixture(scope="module")
def apart(graph, images) -> list[dict[str, np.ndarray]]:
    """Every tensor of every image, each run alone in a program of its own that overwrites nothing."""
    return [hwsim.simulate(graph, images[i : i + 1], ENGINE, keep_tensors=True).tensors for i in range(100)]


@pytest.fixture(scope="module")
def expected(graph, apart) -> np.ndarray:
    (output,) = graph.outputs
    return np.concatenate([tensors[graph.tensors[output].name] for tensors in apart])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_program_gives_what_samples_give_one_by_one(graph, images, expected, threads):
    program = hwsim.compile(graph, ENGINE, threads)
    for count in (*COUNTS, *reversed(COUNTS)):
        assert_array_equal(program(images[:count])[0], expected[:count], err_msg=f"{count} samples")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_program_keeps_the_same_tensors(graph, images, apart, threads):
    program = hwsim.compile(graph, ENGINE, threads)
    for count in (1, 33, 100):
        run = program.run(images[:count], keep_tensors=True)
        assert run.tensors.keys() == apart[0].keys()
        for name, value in run.tensors.items():
            assert_array_equal(value, np.concatenate([tensors[name] for tensors in apart[:count]]), err_msg=name)


def test_work_counts_elements_that_are_not_multiplied():
    graph = single("add", [tensor("a", (1, 100)), tensor("b", (1, 100))], tensor("y", (1, 100)), activation="none")
    assert hwsim.compile(graph, ENGINE).work == 100 * program_module.ELEMENT_WORK


def test_one_sample_in_any_form_gives_the_same(graph, images, expected):
    program, name = hwsim.compile(graph, ENGINE), graph.tensors[graph.inputs[0]].name
    one = images[:1]
    for _ in range(2):
        for form in (one, [one], (one,), {name: one}, np.asfortranarray(one)):
            (output,) = program(form)
            assert_array_equal(output, expected[:1])


def test_one_sample_of_another_dtype_or_shape_is_refused(graph, images):
    program = hwsim.compile(graph, ENGINE)
    program(images[:1])
    with pytest.raises(InputError, match="expected int8"):
        program(images[:1].astype(np.uint8))
    with pytest.raises(InputError, match="has shape"):
        program(images[:1, 1:])
    with pytest.raises(InputError, match="got 2 inputs"):
        program([images[:1], images[:1]])


def test_overwriting_changes_no_tensor(graph, images, apart):
    """Each tensor as the only output, so that the arena lays out what is before it anew."""
    for index in sorted(hwsim.compile(graph, ENGINE).computed()):
        part = Graph(graph.name, graph.tensors, graph.nodes, graph.inputs, (index,))
        (value,) = hwsim.simulate(part, images[:3], ENGINE).outputs
        name = graph.tensors[index].name
        assert_array_equal(value, np.concatenate([tensors[name] for tensors in apart[:3]]), err_msg=name)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("keep", [False, True])
def test_program_called_from_four_threads_at_once(graph, images, expected, threads, keep):
    program = hwsim.compile(graph, ENGINE, threads)

    def call(number: int) -> tuple[slice, np.ndarray]:
        part = slice(number % 7, number % 7 + COUNTS[number % 5])
        return part, program.run(images[part], keep_tensors=keep).outputs[0]

    with ThreadPoolExecutor(4) as pool:
        for part, output in pool.map(call, range(80), timeout=PATIENCE):
            assert_array_equal(output, expected[part])


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("keep", [False, True])
def test_results_are_not_the_programs_memory(graph, images, count, keep):
    program = hwsim.compile(graph, ENGINE, 2)

    def results(x: np.ndarray) -> list[np.ndarray]:
        run = program.run(x, keep_tensors=keep)
        return list(run.tensors.values()) if keep else run.outputs

    first = results(images[:count])
    before = [value.copy() for value in first]
    results(images[::-1][:count])
    for value, copy in zip(first, before, strict=True):
        assert_array_equal(value, copy)
        value[...] = 0
    for value, copy in zip(results(images[:count]), before, strict=True):
        assert_array_equal(value, copy)


def test_results_are_not_the_input_or_a_constant():
    x, fixed = np.array([[1, 2]], np.int8), constant("c", [[4, 5]])
    graph = Graph("g", (tensor("x", (1, 2)), fixed), (), (0,), (0, 1))
    program = hwsim.compile(graph, ENGINE)
    for value in program(x):
        value[...] = 0
    assert x.tolist() == [[1, 2]]
    assert [value.tolist() for value in program(x)] == [[[1, 2]], [[4, 5]]]


def test_inputs_are_only_read(graph, images):
    given = images[:33].copy()
    given.flags.writeable = False
    hwsim.compile(graph, ENGINE, 2).run(given, keep_tensors=True)
    assert_array_equal(given, images[:33])


@pytest.mark.parametrize("threads", [1, 3])
def test_inputs_need_not_be_contiguous(graph, images, expected, threads):
    program = hwsim.compile(graph, ENGINE, threads)
    assert_array_equal(program(images[::3])[0], expected[::3])
    assert_array_equal(program(np.asfortranarray(images[:40]))[0], expected[:40])


def test_run_samples_gives_outputs_by_index(graph, images, expected):
    program = hwsim.compile(graph, ENGINE)
    (start,), (end,) = graph.inputs, graph.outputs
    values = program.run_samples({start: images[:5, None]}, 5)
    assert {index: value.shape for index, value in values.items()} == {end: (5, *graph.tensors[end].shape)}
    assert_array_equal(values[end][:, 0], expected[:5])


@pytest.mark.parametrize("samples", [5, 40])
def test_run_samples_gives_every_tensor_where_asked(graph, images, apart, samples):
    program = hwsim.compile(graph, ENGINE)
    values = program.run_samples({graph.inputs[0]: images[:samples, None]}, samples, keep_tensors=True)
    assert values.keys() == program.computed() == {i for i, t in enumerate(graph.tensors) if t.data is None}
    for index, value in values.items():
        name = graph.tensors[index].name
        assert_array_equal(value[:, 0], np.concatenate([tensors[name] for tensors in apart[:samples]]), err_msg=name)


@pytest.mark.parametrize("threads", [1, 2])
def test_program_works_on_after_its_caller_fails(graph, images, expected, threads):
    program = hwsim.compile(graph, ENGINE, threads)

    def give_up(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program.run(images, progress=give_up)
    with ThreadPoolExecutor(1) as pool:
        assert_array_equal(pool.submit(program, images).result(PATIENCE)[0], expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_program_works_on_after_a_chunk_fails(graph, images, expected, threads):
    program = hwsim.compile(graph, ENGINE, threads)
    program(images)
    with pytest.raises(ValueError, match="could not broadcast"):
        program.run_samples({graph.inputs[0]: images[:, None, :20]}, 100)
    with ThreadPoolExecutor(1) as pool:
        assert_array_equal(pool.submit(program, images).result(PATIENCE)[0], expected)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_progress_counts_every_sample_once(threads, count):
    heard: list[int] = []
    graph = single("add", [tensor("a", (1, 2)), tensor("b", (1, 2))], tensor("y", (1, 2)), activation="none")
    x = codes(np.random.default_rng(6), (count, 2))
    run = hwsim.compile(graph, ENGINE, threads).run([x, x], progress=heard.append)
    assert sum(heard) == count == len(run.outputs[0])
    assert min(heard) > 0
