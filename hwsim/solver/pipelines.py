"""Post-training pipelines for networks of mixed widths: each layer refined alone to be measured, then all together."""

from hwsim.errors import InputError, unknown
from hwsim.graph import Graph
from hwsim.ptq.choose import Widths
from hwsim.ptq.lower import Coding
from hwsim.ptq.pipeline import quantize_with_history
from hwsim.ptq.steps import PIPELINES, STEPS, Settings, State
from hwsim.simulate import Inputs, SampleBatch
from hwsim.solver.candidates import Refine
from hwsim.solver.mixed import Quantizer

WHOLE = ("ranges", "bias_tuning")
"""Steps that are not done layer by layer."""


def refiner(pipeline: str, graph: Graph, calibration: Inputs, engine: str) -> Refine | None:
    """The steps of a pipeline that fit one layer, no layer making up for another; None where it has none.

    Raises InputError for an unknown pipeline.
    """
    if pipeline not in PIPELINES:
        raise InputError(unknown("pipeline", pipeline, PIPELINES))
    names = [name for name in PIPELINES[pipeline] if name not in WHOLE]
    batch, settings = (
        SampleBatch.of(graph, calibration),
        Settings(engine=engine, sequential=False, joint=False, reads=False),
    )

    def refine(network: Graph, coding: Coding) -> Coding:
        state = State(network, coding)
        for name in names:
            state = STEPS[name](state, batch, settings, lambda _count: None)
        return state.known(names[-1])

    return refine if names else None


def quantizer(pipeline: str, calibration: Inputs, engine: str) -> Quantizer:
    """The whole pipeline at given widths."""

    def made(graph: Graph, widths: Widths) -> Graph:
        return quantize_with_history(graph, calibration, widths=widths, engine=engine, pipeline=pipeline).graph

    return made
