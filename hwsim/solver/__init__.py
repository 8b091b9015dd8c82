"""Which choice for which layer: an integer program over tables of degradation and cost.

`solve_table` and `sweep_table` take a DataFrame with columns `layer`, `choice`, `degradation` and one for each cost,
wherever those numbers come from. Loaded on first use: pulp, scipy and pandas are heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.solver.pareto import Sweep as Sweep
    from hwsim.solver.pareto import sweep_table as sweep_table
    from hwsim.solver.request import solve_table as solve_table
    from hwsim.solver.solution import Solution as Solution

_HOMES = {
    "Solution": "hwsim.solver.solution",
    "Sweep": "hwsim.solver.pareto",
    "solve_table": "hwsim.solver.request",
    "sweep_table": "hwsim.solver.pareto",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim.solver' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
