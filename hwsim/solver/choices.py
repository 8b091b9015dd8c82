"""What each layer of a network may be: which widths its target runs, which layers have to choose alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from hwsim.cost_models.loops import loops_of
from hwsim.errors import InputError, unknown
from hwsim.graph import Graph
from hwsim.ptq.lower import WEIGHTED
from hwsim.ptq.ties import tied
from hwsim.targets import Profile
from hwsim.targets.cpu import CpuProfile

ELEMENTWISE = ("add", "sub", "mul", "maximum", "minimum")
"""Operators that read two tensors in one loop, code by code."""


@dataclass(frozen=True, slots=True, order=True)
class Choice:
    """Bits of a layer's weights and of what it reads, 2 to 8 each; 'w4a8' as text."""

    weights: int
    activations: int

    def __post_init__(self) -> None:
        if not (2 <= self.weights <= 8 and 2 <= self.activations <= 8):
            raise InputError(f"choice {self}: expected 2 to 8 bits each")

    def __str__(self) -> str:
        return f"w{self.weights}a{self.activations}"

    @classmethod
    def parse(cls, text: str) -> "Choice":
        """The choice that 'w4a8' stands for."""
        weights, _, activations = text.strip().removeprefix("w").partition("a")
        if not (text.strip().startswith("w") and weights.isdecimal() and activations.isdecimal()):
            raise InputError(f"choice {text!r}: expected weights and activations in bits, such as w4a8")
        return cls(int(weights), int(activations))


FULL = Choice(8, 8)
"""What degradations are counted from, and what a pinned layer has."""


def runnable(profile: Profile, runtime: str | None = None) -> tuple[Choice, ...]:
    """Every choice that a target's kernels run with `runtime` (default: its own), the widest first.

    A convolution engine that takes weights bit by bit (NE16) runs any width of weights; cores whose library has kernels
    that unpack weights run 4 and 2 bits of them; tensor cores multiply operands of one width; every other machine here
    multiplies bytes.
    """
    if profile.kind == "tensor_core":
        return FULL, Choice(4, 4)
    if getattr(profile, "accelerator", None) is not None:
        return tuple(Choice(bits, 8) for bits in range(8, 1, -1))
    if profile.kind == "cluster" or (isinstance(profile, CpuProfile) and _unpacks(profile, runtime)):
        return FULL, Choice(4, 8), Choice(2, 8)
    return (FULL,)


def _unpacks(profile: CpuProfile, runtime: str | None) -> bool:
    """Whether the runtime's loop table has a kernel for narrow weights; 2 bits are priced as 4."""
    name = runtime or profile.default_runtime
    if name not in profile.runtimes:
        raise InputError(unknown(f"runtime of {profile.name}", name, profile.runtimes))
    return any(kernel.endswith("_w4") for kernel in loops_of(profile.runtimes[name].loops, profile.core.isa))


def checked_choices(
    profile: Profile, given: Iterable[str | Choice] | None, runtime: str | None = None
) -> tuple[Choice, ...]:
    """The choices asked for, or all that the target runs; InputError for one that it does not run."""
    can = runnable(profile, runtime)
    if given is None:
        return can
    asked = tuple(dict.fromkeys(c if isinstance(c, Choice) else Choice.parse(c) for c in given))
    if not asked:
        raise InputError("choices is empty; give at least one, such as w8a8")
    for choice in asked:
        if choice not in can:
            raise InputError(f"target {profile.name!r} does not run {choice}; it runs {', '.join(map(str, can))}")
    return asked


def layers_of(graph: Graph) -> dict[str, int]:
    """Every layer with weights: its name in tables, such as '4_conv2d', and its node's index."""
    return {f"{i}_{node.op}": i for i, node in enumerate(graph.nodes) if node.op in WEIGHTED}


def layer_choices(graph: Graph, choices: Sequence[Choice], *, pin_ends: bool) -> dict[str, tuple[Choice, ...]]:
    """What each layer may be; with `pin_ends` the first and the last have 8 bits."""
    layers = list(layers_of(graph))
    if not layers:
        raise InputError(f"graph {graph.name!r} has no layers with weights; there is nothing to choose")
    ends = {layers[0], layers[-1]} if pin_ends else set()
    return {layer: (FULL,) if layer in ends else tuple(choices) for layer in layers}


def find_ties(graph: Graph, options: Mapping[str, Sequence[Choice]]) -> list[tuple[str, ...]]:
    """Layers that have to choose alike, because they read one number format.

    They read one tensor, tensors that an operator between them only moves (a concatenation, a pooling), or both sides
    of a residual addition. Where no layer chooses among widths of activations, nothing is tied.
    """
    if len({choice.activations for choices in options.values() for choice in choices}) < 2:
        return []
    root = _joined(graph, tied(graph))
    groups: dict[int, list[str]] = {}
    for layer, index in layers_of(graph).items():
        groups.setdefault(root[graph.nodes[index].inputs[0]], []).append(layer)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _joined(graph: Graph, same: Mapping[int, int]) -> dict[int, int]:
    """`same`, with the operands of each elementwise operator joined."""
    joined = dict(same)
    for node in graph.nodes:
        operands = [i for i in node.inputs if i in joined] if node.op in ELEMENTWISE else []
        for one, other in combinations(operands, 2):
            kept, gone = joined[one], joined[other]
            joined = {index: kept if root == gone else root for index, root in joined.items()}
    return joined
