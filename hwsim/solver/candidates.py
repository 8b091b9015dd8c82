"""Integer networks at given widths, one after another: what two of them share is computed once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwsim.graph import Affine, Graph
from hwsim.ptq.choose import Widths, choose_activations, fit_weights, tensor_bits
from hwsim.ptq.lower import Coding, Weights, lower
from hwsim.ptq.observe import Seen
from hwsim.solver.choices import FULL, Choice


@dataclass(frozen=True, slots=True)
class Candidates:
    """A float graph, and what was seen of it.

    Parameters
    ----------
    graph, seen : a float graph, and what `hwsim.ptq.observe` found
    ranges : how they are taken: 'min_max', 'percentile', 'mse' or 'entropy'
    """

    graph: Graph
    seen: Mapping[int, Seen]
    ranges: str = "mse"
    _activations: dict[int, Mapping[int, Affine]] = field(default_factory=dict, repr=False)
    _weights: dict[tuple[int, int], Weights] = field(default_factory=dict, repr=False)

    def coding(self, widths: Widths) -> Coding:
        """The formats that `hwsim.ptq.choose` gives at these widths."""
        bits = tensor_bits(self.graph, widths)
        return Coding(
            activations={i: self._at(width)[i] for i, width in bits.items()},
            weights={i: self.weights(i, width) for i, (width, _) in widths.of(self.graph).items()},
        )

    def quantized(self, widths: Widths) -> Graph:
        """The integer graph at these widths, without further steps."""
        return lower(self.graph, self.coding(widths))

    def weights(self, index: int, bits: int) -> Weights:
        """The codes of node `index` at `bits`."""
        if (index, bits) not in self._weights:
            self._weights[index, bits] = fit_weights(self.graph, index, bits, self.ranges)
        return self._weights[index, bits]

    def _at(self, bits: int) -> Mapping[int, Affine]:
        """Every tensor's format at `bits`: a format depends on its own tensors' values alone."""
        if bits not in self._activations:
            every = dict.fromkeys(tensor_bits(self.graph, Widths()), bits)
            self._activations[bits] = choose_activations(self.graph, self.seen, every, self.ranges)
        return self._activations[bits]


def widths_of(choices: Mapping[int, Choice]) -> Widths:
    """The configuration that gives nodes these choices and everything else 8 bits."""
    layers = {i: (choice.weights, choice.activations) for i, choice in choices.items()}
    return Widths(FULL.weights, FULL.activations, ends=FULL.weights, layers=layers)
