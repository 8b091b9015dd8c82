"""Bit allocation: how much worse the network answers with each layer alone at each width, and which widths to take.

The choice itself is a plug: any function of the table; `hwsim.solver.allocation.Allocator` is one.

Source: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), section 3.2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.bias_tuning import logits, softmax
from hwsim.ptq.choose import Widths, fit_weights
from hwsim.ptq.lower import Coding, lower
from hwsim.ptq.walk import decode, input_codes
from hwsim.simulate import SampleBatch, compile

Reals = NDArray[np.float32]
CHOICES = (2, 3, 4, 5, 6, 8)
SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """One width for the weights of one layer.

    Parameters
    ----------
    layer : the node's index
    bits, activations : of its weights, and of what it reads
    degradation : how much it alone adds to the divergence from the float network's answers
    size_bits : of its weights
    """

    layer: int
    bits: int
    activations: int
    degradation: float
    size_bits: int


Solver = Callable[[Graph, Sequence[Choice], int], dict[int, int]]
"""The float graph, the table, and the bits that uniform widths take of these layers' weights, to {layer: width}."""


def sensitivity(
    graph: Graph,
    coding: Coding,
    batch: SampleBatch,
    engine: str,
    layers: Mapping[int, int],
    widths: Sequence[int] = CHOICES,
    progress: Callable[[int], None] | None = None,
) -> list[Choice]:
    """The table: every layer at every width, the weights of all others in 8 bits.

    Parameters
    ----------
    layers : by node index, the bits of what the layer reads, as they are in `coding`
    widths : of weights, 2 to 8 bits
    """
    count = min(batch.samples, SAMPLES)
    given = {i: value[:count] for i, value in batch.values.items()}
    ends, classifies = logits(graph)
    real = compile(graph, "float").run_samples(given, count, keep_tensors=True)[ends[0]].astype(np.float32)
    fine = replace(coding, weights={**coding.weights, **{i: fit_weights(graph, i, 8, "mse") for i in layers}})
    codes = input_codes(coding, {i: given[i] for i in graph.inputs}).values()

    def off(candidate: Coding) -> float:
        integers = lower(graph, candidate)
        end = next(i for i, t in enumerate(integers.tensors) if t.name == graph.tensors[ends[0]].name)
        inputs = dict(zip(integers.inputs, codes, strict=True))
        got = compile(integers, engine).run_samples(inputs, count, keep_tensors=True)[end]
        answers = decode(got, coding.activations[ends[0]])
        return _divergence(real, answers) if classifies else float(((real - answers) ** 2).mean())

    least = off(fine)
    table = []
    for layer, activations in layers.items():
        size = int(np.prod(graph.tensors[graph.nodes[layer].inputs[1]].shape))
        for bits in widths:
            weights = {**fine.weights, layer: fit_weights(graph, layer, bits, "mse")}
            worse = 0.0 if bits == 8 else max(off(replace(fine, weights=weights)) - least, 0.0)
            table.append(Choice(layer, bits, activations, worse, size * bits))
        if progress is not None:
            progress(1)
    return table


def allocate(widths: Widths, graph: Graph, table: Sequence[Choice], solver: Solver) -> Widths:
    """`widths` with the layers of `table` as the solver wants them."""
    had = widths.of(graph)
    sizes = {choice.layer: choice.size_bits // choice.bits for choice in table}
    chosen = solver(graph, table, sum(size * had[layer][0] for layer, size in sizes.items()))
    return replace(widths, layers={**widths.layers, **{i: (bits, had[i][1]) for i, bits in chosen.items()}})


def checked_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Widths of weights to choose among, each once, in order; InputError where they do not do."""
    found = tuple(sorted(set(widths)))
    if not found or not all(isinstance(bits, int) and 2 <= bits <= 8 for bits in found):
        raise InputError(f"widths are {', '.join(map(str, widths)) or 'none'}; expected whole bits from 2 to 8")
    return found


def _divergence(real: Reals, got: Reals) -> float:
    p, q = (np.maximum(softmax(values), 1e-9) for values in (real, got))
    return float((p * np.log(p / q)).sum(-1).mean())
