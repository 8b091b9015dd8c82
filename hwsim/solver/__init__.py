"""Which choice for which layer: an integer program over tables of degradation and cost.

`hwsim.solve` makes such a table from a float network, calibration samples and a target's cost model, in steps that can
be taken alone: `tabulate`, then `solve_layers` for any number of budgets.
`solve_table` and `sweep_table` take a DataFrame with columns `layer`, `choice`, `degradation` and one for each cost,
wherever those numbers come from. Loaded on first use: pulp, scipy and pandas are heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.solver.mixed import Mixed as Mixed
    from hwsim.solver.mixed import solve_layers as solve_layers
    from hwsim.solver.network import Layers as Layers
    from hwsim.solver.network import tabulate as tabulate
    from hwsim.solver.pareto import Sweep as Sweep
    from hwsim.solver.pareto import sweep_table as sweep_table
    from hwsim.solver.request import solve_table as solve_table
    from hwsim.solver.solution import Solution as Solution

_HOMES = {
    "Layers": "hwsim.solver.network",
    "Mixed": "hwsim.solver.mixed",
    "Solution": "hwsim.solver.solution",
    "Sweep": "hwsim.solver.pareto",
    "solve_layers": "hwsim.solver.mixed",
    "solve_table": "hwsim.solver.request",
    "sweep_table": "hwsim.solver.pareto",
    "tabulate": "hwsim.solver.network",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim.solver' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
