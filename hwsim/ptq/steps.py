"""The steps of post-training quantization by name: each takes what the ones before it made, and can be left out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.adaquant import AdaQuant
from hwsim.ptq.bias_tuning import Tuning, bias_tuning
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.lower import WEIGHTED, Coding
from hwsim.ptq.normalize import bias_correction, para_normalization
from hwsim.ptq.observe import observe
from hwsim.ptq.walk import Visit, walk
from hwsim.simulate import SampleBatch

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user decides.

    Parameters
    ----------
    widths : bits of every layer
    engine : under which the network is made and judged
    ranges : how ranges are taken: 'min_max', 'percentile', 'mse' or 'entropy'
    sequential : a layer is fitted to what the integer network gives it, not to the float network's values
    joint : a layer whose output is only added makes up for the other operand's error
    tuning : of end-to-end steps
    seed : of every draw
    """

    widths: Widths = field(default_factory=Widths)
    engine: str = "dyadic"
    ranges: str = "mse"
    sequential: bool = True
    joint: bool = True
    tuning: Tuning = field(default_factory=Tuning)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What a step hands on.

    Parameters
    ----------
    graph : the float network, which a step may have rewritten to an equal one
    coding : number formats and codes; None before ranges are known
    """

    graph: Graph
    coding: Coding | None = None

    def known(self, step: str) -> Coding:
        """The coding; InputError where no step made one."""
        if self.coding is None:
            raise InputError(f"step {step!r} needs ranges; put 'ranges' before it")
        return self.coding


Step = Callable[[State, SampleBatch, Settings, Progress], State]


def ranges(state: State, batch: SampleBatch, settings: Settings, progress: Progress) -> State:
    """Number formats from what was seen of every tensor, weights rounded to the nearest code."""
    seen = observe(state.graph, batch, seed=settings.seed, progress=progress)
    by = settings.ranges
    return replace(state, coding=choose(state.graph, seen, settings.widths, weights_by=by, activations_by=by))


def tune(state: State, batch: SampleBatch, settings: Settings, progress: Progress) -> State:
    """Biases, gains and scales learned end to end."""
    coding = state.known("bias_tuning")
    tuning, seed = settings.tuning, settings.seed
    return replace(state, coding=bias_tuning(state.graph, coding, batch, tuning, seed=seed, progress=progress))


def _walking(name: str, visit: Visit) -> Step:
    def step(state: State, batch: SampleBatch, settings: Settings, progress: Progress) -> State:
        coding = walk(
            state.graph,
            state.known(name),
            batch,
            settings.engine,
            visit,
            sequential=settings.sequential,
            joint=settings.joint,
            seed=settings.seed,
            progress=progress,
        )
        return replace(state, coding=coding)

    return step


STEPS: Mapping[str, Step] = {
    "ranges": ranges,
    "bias_correction": _walking("bias_correction", bias_correction),
    "para_normalization": _walking("para_normalization", para_normalization),
    "adaquant": _walking("adaquant", AdaQuant()),
    "adaround": _walking("adaround", AdaQuant(rounding_only=True)),
    "bias_tuning": tune,
}

PIPELINES: Mapping[str, tuple[str, ...]] = {
    "minmse": ("ranges",),
    "light": ("ranges", "para_normalization"),
    "advanced": ("ranges", "adaquant", "bias_tuning"),
}


def work(step: str, graph: Graph, batch: SampleBatch, settings: Settings) -> int:
    """How many times the step will report progress, each by 1 or more."""
    if step == "bias_tuning":
        return settings.tuning.steps
    if step == "ranges":
        return batch.samples
    return sum(node.op in WEIGHTED for node in graph.nodes)
