"""Where tensors lie while a graph runs: one block of memory, shared by tensors that are never alive together.

Greedy by size, largest first and of equal ones the last first, each at the lowest place that is free while it is
alive: TFLM's planner does the same (tensorflow/tflite-micro memory_planner/greedy_memory_planner.cc), so the size is
what such a target needs as well, beside the scratch buffers of its kernels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.graph import Graph


@dataclass(frozen=True, slots=True)
class Placement:
    """A tensor's bytes in the arena, alive from the node that writes it to its last reader, both included."""

    offset: int
    size_bytes: int
    first: int
    last: int

    def meets(self, other: "Placement") -> bool:
        """Whether both are alive at some time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Arena:
    """Placements by tensor index, and the bytes they take together."""

    places: Mapping[int, Placement]
    size_bytes: int


def plan(graph: Graph, *, samples: int = 1, alignment: int = 16, keep: bool = False) -> Arena:
    """Place every computed tensor and input.

    Parameters
    ----------
    samples : how many samples each tensor holds
    alignment : of every offset, a power of two
    keep : nothing is overwritten
    """
    spans = _spans(graph, keep)
    sizes = {index: -(-graph.tensors[index].size_bytes * samples // alignment) * alignment for index in spans}
    placed: dict[int, Placement] = {}
    for index in sorted(spans, key=lambda i: (-sizes[i], -i)):
        place = Placement(0, sizes[index], *spans[index])
        neighbors = sorted((p for p in placed.values() if p.meets(place)), key=lambda p: p.offset)
        placed[index] = Placement(_gap(neighbors, sizes[index]), sizes[index], *spans[index])
    return Arena(placed, max((p.offset + p.size_bytes for p in placed.values()), default=0))


def _gap(neighbors: list[Placement], size: int) -> int:
    """The lowest offset with `size` free bytes between the placements, which are in order."""
    free = 0
    for place in neighbors:
        if place.offset - free >= size:
            return free
        free = max(free, place.offset + place.size_bytes)
    return free


def _spans(graph: Graph, keep: bool) -> dict[int, tuple[int, int]]:
    """First and last position at which each input and computed tensor is alive."""
    end = len(graph.nodes)
    first = dict.fromkeys(graph.inputs, -1)
    last = dict.fromkeys(graph.inputs, 0)
    for position, node in enumerate(graph.nodes):
        for index in node.outputs:
            first[index] = last[index] = position
        for index in node.inputs:
            if index in first:
                last[index] = position
    last.update((index, end) for index in graph.outputs if index in last)
    return {index: (-1, end) if keep else (first[index], last[index]) for index in first}
