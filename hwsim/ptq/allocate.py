"""Bit allocation: how much worse the network answers with each layer alone at each width, and which widths to take.

The choice itself is a plug: any function of the table and a budget. `tabled(hwsim.solver.solve_table)` is one; where
none is given, `lagrangian` is used.

Source: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), section 3.2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
    bits : of its weights
    degradation : how much it alone adds to the divergence from the float network's answers
    size_bits : of its weights
    """

    layer: int
    bits: int
    degradation: float
    size_bits: int


Solver = Callable[[Sequence[Choice], int], dict[int, int]]
"""The table and a budget in bits to {layer: width}."""


def sensitivity(
    graph: Graph,
    coding: Coding,
    batch: SampleBatch,
    engine: str,
    layers: Sequence[int],
    progress: Callable[[int], None] | None = None,
) -> list[Choice]:
    """The table: every layer of `layers` at every width, all others at 8 bits."""
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
    for layer in layers:
        size = int(np.prod(graph.tensors[graph.nodes[layer].inputs[1]].shape))
        for bits in CHOICES:
            weights = {**fine.weights, layer: fit_weights(graph, layer, bits, "mse")}
            worse = 0.0 if bits == 8 else max(off(replace(fine, weights=weights)) - least, 0.0)
            table.append(Choice(layer, bits, worse, size * bits))
        if progress is not None:
            progress(1)
    return table


def allocate(widths: Widths, graph: Graph, table: Sequence[Choice], solver: Solver | None = None) -> Widths:
    """`widths` with the layers of `table` at the widths of least degradation, no more bits than they had in all."""
    had = widths.of(graph)
    sizes = {choice.layer: choice.size_bits // choice.bits for choice in table}
    budget = sum(size * had[layer][0] for layer, size in sizes.items())
    chosen = (solver or lagrangian)(table, budget)
    return replace(widths, layers={**widths.layers, **{i: (bits, had[i][1]) for i, bits in chosen.items()}})


def tabled(solve_table: Callable[..., Any]) -> Solver:
    """A function of a DataFrame and budgets, as the solver room has one, as a plug.

    solve_table : given columns layer, choice, degradation, size_bits and `budgets`, something with `choice`, {layer:
        choice}; empty where nothing keeps the budget, which is an InputError here
    """

    def solve(table: Sequence[Choice], budget: int) -> dict[int, int]:
        import pandas as pd

        rows = [(c.layer, c.bits, c.degradation, float(c.size_bits)) for c in table]
        frame = pd.DataFrame(rows, columns=["layer", "choice", "degradation", "size_bits"])
        chosen = solve_table(frame, budgets={"size_bits": float(budget)}).choice
        if not chosen:
            raise InputError(f"no widths of {len(frame)} choices keep {budget} bits of weights; allow more")
        return {int(layer): int(bits) for layer, bits in chosen.items()}

    return solve


def lagrangian(table: Sequence[Choice], budget: int) -> dict[int, int]:
    """The widths that minimize degradation plus a price for each bit, at the lowest price that keeps the budget."""
    layers = sorted({choice.layer for choice in table})
    if sum(min(c.size_bits for c in table if c.layer == layer) for layer in layers) > budget:
        return {layer: min(c.bits for c in table if c.layer == layer) for layer in layers}

    def at(price: float) -> list[Choice]:
        return [
            min((c for c in table if c.layer == i), key=lambda c: c.degradation + price * c.size_bits) for i in layers
        ]

    low, high = 0.0, 1.0
    while sum(c.size_bits for c in at(high)) > budget:
        high *= 4
    for _ in range(100):
        price = (low + high) / 2
        low, high = (price, high) if sum(c.size_bits for c in at(price)) > budget else (low, price)
    return {choice.layer: choice.bits for choice in at(high)}


def _divergence(real: Reals, got: Reals) -> float:
    p, q = (np.maximum(softmax(values), 1e-9) for values in (real, got))
    return float((p * np.log(p / q)).sum(-1).mean())
