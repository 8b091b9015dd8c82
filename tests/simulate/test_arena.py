from itertools import combinations, pairwise

import numpy as np
import pytest

import hwsim
from hwsim import demo
from hwsim.graph import Graph, Node, Tensor
from hwsim.ops import operators
from hwsim.simulate.arena import Arena, plan
from tests.build import GENERATOR_SEED
from tests.random_graphs import beside, many


def graph_of(sizes: list[int], nodes: list[tuple[tuple[int, ...], int]], outputs: tuple[int, ...]) -> Graph:
    """Tensors of so many bytes; tensor 0 is the input, a node is (inputs, output)."""
    tensors = tuple(Tensor(f"t{i}", (1, size), "int8") for i, size in enumerate(sizes))
    made = tuple(Node("any", f"n{o}", inputs, (o,)) for inputs, o in nodes)
    return Graph("g", tensors, made, (0,), outputs)


def chain(*sizes: int) -> Graph:
    """Each tensor is computed from the one before."""
    links = [((i,), i + 1) for i in range(len(sizes) - 1)]
    return graph_of(list(sizes), links, (len(sizes) - 1,))


def random_graph(seed: int) -> Graph:
    """Nodes that each read up to three of the tensors before; some tensors are never read, some are read late."""
    g = np.random.default_rng([GENERATOR_SEED, seed])
    count = int(g.integers(2, 20))
    sizes = [int(v) for v in g.integers(0, 200, count)]
    nodes = [(tuple(int(v) for v in g.integers(0, o, g.integers(1, 4))), o) for o in range(1, count)]
    outputs = tuple(int(v) for v in sorted({*g.integers(0, count, g.integers(1, 4))}))
    return graph_of(sizes, nodes, outputs)


def alive(graph: Graph) -> list[set[int]]:
    """Tensors whose bytes are needed: before the first node, while each node runs, and after the last."""
    readers = [set(node.inputs) for node in graph.nodes]
    computed = [set(graph.inputs), *(set(node.outputs) for node in graph.nodes), set()]
    needed: set[int] = set(graph.outputs)
    moments = [needed & set.union(*computed)]
    for position in reversed(range(len(graph.nodes))):
        needed = needed | readers[position]
        before = set.union(*computed[: position + 1])
        moments.append((needed & before) | computed[position + 1])
        needed = needed - computed[position + 1]
    moments.append(set(graph.inputs))
    return moments[::-1]


def overlapping(arena: Arena, together: set[int]) -> list[tuple[int, int]]:
    """Pairs that share a byte."""
    spans = {i: range(arena.places[i].offset, arena.places[i].offset + arena.places[i].size_bytes) for i in together}
    pairs = combinations(sorted(together), 2)
    return [(a, b) for a, b in pairs if max(spans[a].start, spans[b].start) < min(spans[a].stop, spans[b].stop)]


def bytes_needed(graph: Graph, alignment: int) -> int:
    """No arena can be smaller."""
    aligned = [-(-t.size_bytes // alignment) * alignment for t in graph.tensors]
    return max(sum(aligned[i] for i in moment) for moment in alive(graph))


def agree(graph: Graph, samples: int, alignment: int) -> None:
    arena = plan(graph, samples=samples, alignment=alignment)
    assert set(arena.places) == {*graph.inputs, *(i for node in graph.nodes for i in node.outputs)}
    assert [overlapping(arena, moment) for moment in alive(graph)] == [[]] * (len(graph.nodes) + 2)
    for index, place in arena.places.items():
        assert place.offset % alignment == 0
        assert place.offset + place.size_bytes <= arena.size_bytes
        assert place.size_bytes >= graph.tensors[index].size_bytes * samples
    if samples == 1:
        assert arena.size_bytes >= bytes_needed(graph, alignment)


@pytest.mark.parametrize(("samples", "alignment"), [(1, 1), (1, 16), (3, 64)])
def test_tensors_alive_together_do_not_overlap(samples, alignment):
    for seed in range(100):
        agree(random_graph(seed), samples, alignment)


@pytest.mark.parametrize("op", sorted(name for name, op in operators().items() if op.sources))
def test_tensors_of_operators_side_by_side_do_not_overlap(op):
    graph = many(op, "int8", 6)
    agree(graph, 1, 16)
    agree(beside([graph, graph], "twice"), 2, 64)


def test_kept_tensors_never_overlap():
    for seed in range(50):
        graph = random_graph(seed)
        arena = plan(graph, alignment=1, keep=True)
        assert overlapping(arena, set(arena.places)) == []
        assert arena.size_bytes == sum(graph.tensors[i].size_bytes for i in arena.places)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((5, 7), 12), ((10, 10, 10, 10), 20), ((3, 100, 50, 100, 1), 150), ((64, 128, 32, 16, 8), 192), ((9,), 9)],
)
def test_a_chain_takes_its_largest_neighbors(sizes, expected):
    arena = plan(chain(*sizes), alignment=1)
    assert arena.size_bytes == expected == max((a + b for a, b in pairwise(sizes)), default=sizes[0])


def tflm_bytes(graph: Graph, alignment: int) -> int:
    """What TFLM's planner needs: largest first, of equal ones the last first, each at its lowest gap.

    Source: tflite-micro memory_planner/greedy_memory_planner.cc, CalculateOffsetsIfNeeded, which fills its list from
    the tail before it sorts.
    """
    moments = alive(graph)
    sizes = [-(-t.size_bytes // alignment) * alignment for t in graph.tensors]
    placed: dict[int, int] = {}
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], -i)):
        meets = [i for i in placed if any({i, index} <= moment for moment in moments)]
        offset = 0
        for other in sorted(meets, key=lambda i: placed[i]):
            if placed[other] - offset >= sizes[index]:
                break
            offset = max(offset, placed[other] + sizes[other])
        placed[index] = offset
    return max(placed[i] + sizes[i] for i in placed)


def test_size_is_that_of_tflms_greedy_planner():
    for seed in range(300):
        g = np.random.default_rng(seed)
        count = int(g.integers(3, 15))
        nodes = [(tuple(int(v) for v in g.integers(max(0, o - 3), o, 2)), o) for o in range(1, count)]
        graph = graph_of([int(v) for v in g.integers(1, 64, count)], nodes, (count - 1,))
        assert plan(graph, alignment=16).size_bytes == tflm_bytes(graph, 16), f"seed {seed}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ad01_int8.tflite", 768),
        ("kws_ref_model.tflite", 16000),
        ("pretrainedResnet_quant.tflite", 49152),
        ("vww_96_int8.tflite", 73728),
    ],
)
def test_size_is_what_tflm_says(shared_models, name, expected):
    """Source: "Arena allocation head" of `print_allocations` in the package tflite-micro 0.dev20261023182759."""
    assert hwsim.compile(hwsim.load(shared_models(name)), "tflite-micro").arena_bytes == expected


def test_greedy_is_not_always_best():
    """The second 5 lies above the 7, and 3 does not fit below: 15 bytes, where 12 would do."""
    arena = plan(chain(5, 3, 5, 7), alignment=1)
    assert [arena.places[i].offset for i in range(4)] == [0, 12, 7, 0]
    assert arena.size_bytes == tflm_bytes(chain(5, 3, 5, 7), 1) == 15


@pytest.mark.parametrize(("alignment", "expected"), [(1, 8), (4, 12), (16, 32), (64, 128)])
def test_every_tensor_takes_whole_units_of_the_alignment(alignment, expected):
    assert plan(chain(3, 5), alignment=alignment).size_bytes == expected


def test_samples_are_counted_before_alignment():
    assert plan(chain(3, 5), samples=4, alignment=16).size_bytes == 16 + 32


def test_outputs_survive_to_the_end():
    graph = graph_of([4, 4, 4, 4, 4], [((0,), 1), ((1,), 2), ((2,), 3), ((3,), 4)], (0, 1, 4))
    arena = plan(graph, alignment=1)
    assert overlapping(arena, {0, 1, 4}) == []
    assert overlapping(arena, {0, 1, 2, 3}) == []
    assert arena.size_bytes == 16


def test_an_input_that_nothing_reads_does_not_hurt_the_others():
    tensors = tuple(Tensor(f"t{i}", (1, 8), "int8") for i in range(3))
    graph = Graph("g", tensors, (Node("any", "n", (1,), (2,)),), (0, 1), (2,))
    assert overlapping(plan(graph), {0, 1}) == []


def test_tensors_without_bytes_take_none():
    graph = chain(5, 0, 7, 0)
    arena = plan(graph, alignment=16)
    assert [arena.places[i].size_bytes for i in range(4)] == [16, 0, 16, 0]
    assert arena.size_bytes == 16
    assert plan(chain(0)).size_bytes == 0


def test_constants_have_no_place():
    tensors = (Tensor("c", (1,), "int8", None, np.zeros(1, np.int8)), Tensor("y", (1,), "int8"))
    graph = Graph("g", tensors, (Node("any", "n", (0,), (1,)),), (), (1,))
    assert set(plan(graph).places) == {1}


def test_demo_network_takes_what_is_alive_at_once():
    graph = demo.network()
    expected = bytes_needed(graph, 16)
    for engine in ("tflite-micro", "xnnpack"):
        assert hwsim.compile(graph, engine).arena_bytes == expected
