"""Integer networks at given widths, one after another: what two of them share is computed once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hwsim.graph import Affine, Graph
from hwsim.ptq.choose import Widths, choose, choose_activations, fit_weights, tensor_bits
from hwsim.ptq.lower import WEIGHTED, Coding, Weights, lower
from hwsim.ptq.observe import Seen
from hwsim.solver.choices import FULL, Choice

Refine = Callable[[Graph, Coding], Coding]
"""A post-training step on every layer by itself (AdaQuant, bias correction): better codes or biases."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """A float graph, and what was seen of it.

    Parameters
    ----------
    graph, seen : a float graph, and what `hwsim.ptq.observe` found
    ranges : how they are taken: 'min_max', 'percentile', 'mse' or 'entropy'
    refine : what is done to the codes; once for each width, with every layer at that width but pinned ones at 8
        bits, and each layer's result is taken wherever it has that width
    pinned : nodes that are never narrower than 8 bits
    fine : operators that read 16 bits, as the engine's profile says
    """

    graph: Graph
    seen: Mapping[int, Seen]
    ranges: str = "mse"
    refine: Refine | None = None
    pinned: frozenset[int] = frozenset()
    fine: tuple[str, ...] = ()
    _activations: dict[int, Mapping[int, Affine]] = field(default_factory=dict, repr=False)
    _weights: dict[tuple[int, int], Weights] = field(default_factory=dict, repr=False)
    _refined: dict[Choice, Coding] = field(default_factory=dict, repr=False)

    def plain(self, widths: Widths) -> Coding:
        """The formats that `hwsim.ptq.choose` gives at these widths."""
        layers, widths = widths.of(self.graph), replace(widths, fine=self.fine)
        if self.fine or any(activations < FULL.activations for _, activations in layers.values()):
            return choose(self.graph, self.seen, widths, weights_by=self.ranges, activations_by=self.ranges)
        bits = tensor_bits(self.graph, widths)
        return Coding(
            activations={i: self._at(width)[i] for i, width in bits.items()},
            weights={i: self.weights(i, width) for i, (width, _) in layers.items()},
        )

    def coding(self, widths: Widths) -> Coding:
        """The formats at these widths, every layer refined by itself; ranges of activations are not refined."""
        plain = self.plain(widths)
        if self.refine is None:
            return plain
        parts = {i: self._at_choice(Choice(*bits)) for i, bits in widths.of(self.graph).items()}
        return replace(
            plain,
            weights={i: part.weights[i] for i, part in parts.items()},
            biases={i: part.biases[i] for i, part in parts.items() if i in part.biases},
        )

    def quantized(self, widths: Widths) -> Graph:
        """The integer graph at these widths."""
        return lower(self.graph, self.coding(widths))

    def weights(self, index: int, bits: int) -> Weights:
        """The codes of node `index` at `bits`, not refined."""
        if (index, bits) not in self._weights:
            self._weights[index, bits] = fit_weights(self.graph, index, bits, self.ranges)
        return self._weights[index, bits]

    def _at(self, bits: int) -> Mapping[int, Affine]:
        """Every tensor's format at `bits`: a format depends on its own tensors' values alone."""
        if bits not in self._activations:
            every = dict.fromkeys(tensor_bits(self.graph, Widths()), bits)
            self._activations[bits] = choose_activations(self.graph, self.seen, every, self.ranges)
        return self._activations[bits]

    def _at_choice(self, choice: Choice) -> Coding:
        """The refined network with every layer that is not pinned at `choice`."""
        if choice not in self._refined:
            assert self.refine is not None
            layers = [i for i, node in enumerate(self.graph.nodes) if node.op in WEIGHTED]
            widths = widths_of({i: FULL if i in self.pinned else choice for i in layers})
            self._refined[choice] = self.refine(self.graph, self.plain(widths))
        return self._refined[choice]


def widths_of(choices: Mapping[int, Choice]) -> Widths:
    """The configuration that gives nodes these choices and everything else 8 bits."""
    layers = {i: (choice.weights, choice.activations) for i, choice in choices.items()}
    return Widths(FULL.weights, FULL.activations, ends=FULL.weights, layers=layers)
