"""Steps of post-training quantization in order, with a record of what each bought, and a checkpoint after each."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hwsim.engines import engine as engine_called
from hwsim.errors import InputError, unknown
from hwsim.graph import Affine, Graph
from hwsim.ptq.allocate import CHOICES, Solver, checked_widths
from hwsim.ptq.bias_tuning import Tuning
from hwsim.ptq.calibration import calibration_batch, check_alike, check_float
from hwsim.ptq.checkpoint import Checkpoint
from hwsim.ptq.choose import Widths
from hwsim.ptq.history import Entry, Labelled, accuracy, float_accuracy, layer_errors
from hwsim.ptq.lower import Coding, lower
from hwsim.ptq.spell_out import spelled_out
from hwsim.ptq.steps import PIPELINES, STEPS, Settings, State, work
from hwsim.ptq.zero_shot import Statistics
from hwsim.quantizers.uniform import METHODS
from hwsim.simulate import Inputs

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Given what is done and how much of it, a context that gives what is to be called with every part done."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """An integer network and how it came about.

    Parameters
    ----------
    graph : in integers
    real : the float network that it was made from, as the steps rewrote it
    coding : every number format and code
    history : one entry for each step
    float_accuracy : None without labels
    """

    graph: Graph
    real: Graph
    coding: Coding
    history: tuple[Entry, ...]
    float_accuracy: float | None = None

    @property
    def weight_bits(self) -> dict[str, int]:
        """Bits of each layer's weights, by its name."""
        return {
            self.real.nodes[i].name: (w.format.bits or 8) if isinstance(w.format, Affine) else 8
            for i, w in self.coding.weights.items()
        }


def quantize_with_history(
    graph: Graph,
    calibration: Inputs,
    *,
    weights: int = 8,
    activations: int = 8,
    engine: str = "dyadic",
    pipeline: str = "light",
    steps: Sequence[str] | None = None,
    widths: Widths | None = None,
    ranges: str = "mse",
    labelled: tuple[Inputs, ArrayLike] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    sequential: bool = True,
    joint: bool = True,
    reads: bool = True,
    tuning: Tuning | None = None,
    seed: int = 0,
    statistics: Statistics | None = None,
    choices: Sequence[int] = CHOICES,
    solver: Solver | None = None,
    bar: Bar | None = None,
) -> Quantized:
    """Quantize a float network from samples of its input.

    Parameters
    ----------
    calibration : samples as for `simulate`; a few hundred do
    weights, activations : bits, 2 to 8; first and last layer have 8 (`widths` decides more)
    engine : whose integers
    pipeline : 'minmse' (ranges alone), 'light' (no backward pass) or 'advanced'; the last two allocate bits where a
        solver is given
    steps : names of steps in order, instead of a pipeline's
    ranges : 'min_max', 'percentile', 'mse' or 'entropy'
    labelled : samples and their classes, to record accuracy after each step; nothing is learned from them
    checkpoint : a file to go on from if it exists, and to write after each step
    sequential, joint, reads, tuning, seed, statistics, choices, solver : see `Settings`
    bar : for a progress bar

    Raises
    ------
    InputError : for data that do not fit the network, unknown names, or widths out of range
    UnsupportedError : where the network has operators that cannot be quantized
    """
    widths, tuning = widths or Widths(weights, activations), tuning or Tuning()
    widths = replace(widths, fine=engine_called(engine).fine)
    among = checked_widths(choices)
    settings = Settings(widths, engine, ranges, sequential, joint, reads, tuning, seed, statistics, among, solver)
    names = _checked(settings, pipeline, steps)
    check_float(graph)
    graph = spelled_out(graph, engine_called(engine))
    batch = calibration_batch(graph, calibration)
    judge = None
    if labelled is not None:
        data = calibration_batch(graph, labelled[0], "labelled data")
        check_alike(graph, batch, data)
        judge = Labelled.of(graph, data, np.asarray(labelled[1]))
    saved = Checkpoint.of(None if checkpoint is None else Path(checkpoint), graph, batch, settings, names)
    state, history = saved.resume(State(graph))
    for name in names[len(history) :]:
        start = perf_counter()
        with (bar or _no_bar)(name, work(name, state.graph, batch, settings)) as progress:
            state = STEPS[name](state, batch, settings, progress)
        seconds = perf_counter() - start
        history.append(_entry(name, seconds, state, engine, batch, judge))
        saved.write(state, history)
    coding = state.known("the integer network")
    real = None if judge is None else float_accuracy(graph, judge)
    return Quantized(lower(state.graph, coding), state.graph, coding, tuple(history), real)


def _no_bar(_what: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _count: None)


def _checked(settings: Settings, pipeline: str, steps: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the steps, known to go together."""
    if settings.ranges not in METHODS:
        raise InputError(unknown("ranges", settings.ranges, METHODS))
    if steps is None and pipeline not in PIPELINES:
        raise InputError(unknown("pipeline", pipeline, PIPELINES))
    names = tuple(PIPELINES[pipeline] if steps is None else steps)
    if steps is None and settings.solver is not None and len(names) > 1:
        names = (names[0], "allocation", *names[1:])
    for name in names:
        if name not in STEPS:
            raise InputError(unknown("step", name, STEPS))
    if settings.solver is not None and "allocation" not in names:
        raise InputError(
            f"steps {', '.join(names)} choose no widths; add 'allocation', or leave out widths and budgets"
        )
    if "analytic_bias_correction" in names and {"equalization", "splitting"} & set(names):
        raise InputError(
            "batch norm's statistics do not hold after 'equalization' or 'splitting'; use 'bias_correction'"
        )
    return names


def _entry(name: str, seconds: float, state: State, engine: str, batch: Any, judge: Labelled | None) -> Entry:
    if state.coding is None:
        return Entry(name, seconds, {}, None)
    errors = layer_errors(state.graph, state.coding, engine, batch)
    right = None if judge is None else accuracy(state.graph, state.coding, engine, judge)
    return Entry(name, seconds, errors, right)
