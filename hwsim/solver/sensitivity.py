"""What each choice does to each layer alone, all others at 8 bits; kept on disk under what it depends on."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hwsim.errors import InputError
from hwsim.solver.candidates import Candidates, widths_of
from hwsim.solver.choices import FULL, Choice, layers_of
from hwsim.solver.measures import Judge
from hwsim.solver.store import Store

Options = Mapping[str, Sequence[Choice]]
Table = dict[tuple[str, Choice], float]
"""A degradation for each layer and choice."""

Progress = Callable[[int], None]


def measured(
    candidates: Candidates,
    judge: Judge,
    options: Options,
    ties: Sequence[Sequence[str]] = (),
    store: Store | None = None,
    progress: Progress | None = None,
) -> Table:
    """How much the judge's measure grows when one layer leaves 8 bits.

    Parameters
    ----------
    options : what each layer may be
    ties : layers that choose alike are measured together; the first of them has the number, the others have 0
    store : where numbers of earlier runs are kept, for this network, samples, measure and engine
    progress : called with 1 for each layer and choice

    A number may be negative: on so many samples, answers became better by chance.
    """
    known = {} if store is None else store.read()
    places = layers_of(candidates.graph)
    groups = {tie[0]: tuple(tie) for tie in ties}
    followers = {layer for tie in ties for layer in tie[1:]}
    found: Table = {}
    for layer, choices in options.items():
        group = groups.get(layer, (layer,))
        for choice in choices:
            found[layer, choice] = 0.0
            if choice != FULL and layer not in followers:
                config = {places[member]: choice for member in group}
                found[layer, choice] = _value(candidates, judge, config, known) - _value(candidates, judge, {}, known)
            if progress is not None:
                progress(1)
        if store is not None:
            store.write(known)
    return found


def _value(candidates: Candidates, judge: Judge, config: Mapping[int, Choice], known: dict[str, float]) -> float:
    """The measure of the network with `config`, everything else at 8 bits; looked up where it is known."""
    name = " ".join(f"{index}:{choice}" for index, choice in sorted(config.items()))
    if name not in known:
        known[name] = judge.degradation(candidates.quantized(widths_of(config)))
    return known[name]


def hessian(candidates: Candidates, traces: Mapping[str, float], options: Options) -> Table:
    """HAWQ-V2's: the average Hessian trace of a layer's weights times their squared error (arXiv 1911.03852).

    Parameters
    ----------
    traces : by layer name; from Hutchinson's estimator, or published
    """
    found: Table = {}
    for layer, choices in options.items():
        if layer not in traces:
            raise InputError(f"traces has no {layer!r}; it needs one of each layer: {', '.join(options)}")
        for choice in choices:
            found[layer, choice] = float(traces[layer]) * _squared_error(candidates, layer, choice.weights)
    return found


def _squared_error(candidates: Candidates, layer: str, bits: int) -> float:
    index = layers_of(candidates.graph)[layer]
    data = candidates.graph.tensors[candidates.graph.nodes[index].inputs[1]].data
    weights = candidates.weights(index, bits)
    assert data is not None
    form = weights.format
    along = [-1 if axis == form.axis else 1 for axis in range(data.ndim)]
    scale = form.scale.astype(np.float64).reshape(along)
    return float(((data - scale * weights.codes.astype(np.float64)) ** 2).sum())
