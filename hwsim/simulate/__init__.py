"""Run a graph on arrays with an engine's arithmetic."""

from hwsim._rooms import callable_room
from hwsim.simulate.inputs import Inputs, SampleBatch
from hwsim.simulate.program import BoundNode, Program, Run, compile, simulate, value_of
from hwsim.simulate.state import State, starting_state

__all__ = [
    "BoundNode",
    "Inputs",
    "Program",
    "Run",
    "SampleBatch",
    "State",
    "compile",
    "simulate",
    "starting_state",
    "value_of",
]

callable_room(__name__, simulate)
