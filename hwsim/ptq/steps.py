"""The steps of post-training quantization by name: each takes what the ones before it made, and can be left out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.adaquant import AdaQuant
from hwsim.ptq.allocate import CHOICES, Solver, allocate, sensitivity
from hwsim.ptq.analytic import analytic_bias_correction
from hwsim.ptq.bias_tuning import Tuning, bias_tuning
from hwsim.ptq.blocks import joint_blocks
from hwsim.ptq.choose import Widths, choose, fit_weights
from hwsim.ptq.equalize import absorb, absorbs, equalize
from hwsim.ptq.layers import Layer
from hwsim.ptq.lower import WEIGHTED, Coding
from hwsim.ptq.moments import measure
from hwsim.ptq.normalize import bias_correction, para_normalization
from hwsim.ptq.observe import observe
from hwsim.ptq.pairs import pairs
from hwsim.ptq.split import split_outliers
from hwsim.ptq.walk import Visit, walk
from hwsim.ptq.zero_shot import Statistics
from hwsim.simulate import SampleBatch, compile

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
    reads : AdaQuant fits the formats that layers read too; else they stay as ranges made them
    tuning : of end-to-end steps
    seed : of every draw
    statistics : by layer name, what batch norm recorded, for the analytic bias correction
    choices : widths of weights that 'allocation' chooses among, 2 to 8
    solver : what chooses among them, for the step 'allocation'
    """

    widths: Widths = field(default_factory=Widths)
    engine: str = "dyadic"
    ranges: str = "mse"
    sequential: bool = True
    joint: bool = True
    reads: bool = True
    tuning: Tuning = field(default_factory=Tuning)
    seed: int = 0
    statistics: Statistics | None = None
    choices: tuple[int, ...] = CHOICES
    solver: Solver | None = None


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

    def rewritten(self, step: str, graph: Graph) -> "State":
        """With another graph; InputError where codes of the old one are known already."""
        if self.coding is not None:
            raise InputError(f"step {step!r} changes the float network; put it before 'ranges'")
        return replace(self, graph=graph)


Step = Callable[[State, SampleBatch, Settings, Progress], State]


def equalization(state: State, batch: SampleBatch, settings: Settings, progress: Progress) -> State:
    """Cross-layer equalization, then biases absorbed where that is exact."""
    graph = equalize(state.graph)
    pair_layers = [pair.first for pair in pairs(graph) if absorbs(graph, pair)]
    if pair_layers:
        values = compile(graph, "float").run_samples(batch.values, batch.samples, keep_tensors=True)
        for index in pair_layers:
            layer, given = Layer.of(graph, index), values[graph.nodes[index].inputs[0]]
            graph = absorb(graph, index, measure(layer, given, given, None, settings.seed))
    progress(1)
    return state.rewritten("equalization", graph)


def splitting(state: State, _batch: SampleBatch, _settings: Settings, progress: Progress) -> State:
    """Outlier channels made twice, their weights halved."""
    progress(1)
    return state.rewritten("splitting", split_outliers(state.graph))


def allocation(state: State, batch: SampleBatch, settings: Settings, progress: Progress) -> State:
    """Widths of weights by layer as the solver wants them; first and last layer keep theirs."""
    graph, coding = state.graph, state.known("allocation")
    if settings.solver is None:
        raise InputError("step 'allocation' needs widths to choose among or a budget; give `choices` or `budgets`")
    layers = {i: bits for i, (_, bits) in list(settings.widths.of(graph).items())[1:-1]}
    table = sensitivity(graph, coding, batch, settings.engine, layers, settings.choices, progress)
    chosen = allocate(settings.widths, graph, table, settings.solver).of(graph) if layers else {}
    weights = {i: fit_weights(graph, i, chosen[i][0], settings.ranges) for i in layers}
    return replace(state, coding=replace(coding, weights={**coding.weights, **weights}))


def analytic(state: State, _batch: SampleBatch, settings: Settings, progress: Progress) -> State:
    """Bias correction from batch norm's statistics alone."""
    if settings.statistics is None:
        raise InputError(
            "step 'analytic_bias_correction' needs `statistics`; 'bias_correction' takes them from samples"
        )
    progress(1)
    coding = analytic_bias_correction(state.graph, state.known("analytic_bias_correction"), settings.statistics)
    return replace(state, coding=coding)


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


def blockwise(state: State, batch: SampleBatch, settings: Settings, progress: Progress) -> State:
    """AdaQuant's parameters of whole blocks learned together."""
    coding = state.known("joint_blocks")
    found = joint_blocks(state.graph, coding, batch, settings.engine, seed=settings.seed, progress=progress)
    return replace(state, coding=found)


def _walking(name: str, visit: Visit, *, reads: bool = False) -> Step:
    def step(state: State, batch: SampleBatch, settings: Settings, progress: Progress) -> State:
        coding = walk(
            state.graph,
            state.known(name),
            batch,
            settings.engine,
            visit,
            sequential=settings.sequential,
            joint=settings.joint,
            reads=reads and settings.reads,
            seed=settings.seed,
            progress=progress,
        )
        return replace(state, coding=coding)

    return step


STEPS: dict[str, Step] = {
    "equalization": equalization,
    "splitting": splitting,
    "ranges": ranges,
    "allocation": allocation,
    "analytic_bias_correction": analytic,
    "bias_correction": _walking("bias_correction", bias_correction),
    "para_normalization": _walking("para_normalization", para_normalization),
    "adaquant": _walking("adaquant", AdaQuant(), reads=True),
    "adaround": _walking("adaround", AdaQuant(rounding_only=True)),
    "joint_blocks": blockwise,
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
    if step in ("equalization", "splitting", "analytic_bias_correction"):
        return 1
    return sum(node.op in WEIGHTED for node in graph.nodes)
