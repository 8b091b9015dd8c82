"""hwsim runs quantized neural networks in the exact integers of a named engine, and proves it.

The names below are loaded on first use, so that `import hwsim` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwsim._version import __version__

if TYPE_CHECKING:
    from hwsim import solver as solver
    from hwsim.cost_models import estimate as estimate
    from hwsim.cost_models.fit import fit as fit
    from hwsim.engines import engines as engines
    from hwsim.errors import HwsimError as HwsimError
    from hwsim.graph import Graph as Graph
    from hwsim.importers import load as load
    from hwsim.reports.page import report as report
    from hwsim.simulate import compile as compile
    from hwsim.simulate import simulate as simulate
    from hwsim.simulate.accumulators import accumulators as accumulators
    from hwsim.solver.mixed import solve as solve
    from hwsim.solver.quantize import quantize as quantize
    from hwsim.targets import targets as targets
    from hwsim.verify import verify as verify

_HOMES = {
    "Graph": "hwsim.graph",
    "HwsimError": "hwsim.errors",
    "accumulators": "hwsim.simulate.accumulators",
    "compile": "hwsim.simulate",
    "engines": "hwsim.engines",
    "estimate": "hwsim.cost_models",
    "fit": "hwsim.cost_models.fit",
    "load": "hwsim.importers",
    "quantize": "hwsim.solver.quantize",
    "report": "hwsim.reports.page",
    "simulate": "hwsim.simulate",
    "solve": "hwsim.solver.mixed",
    "targets": "hwsim.targets",
    "verify": "hwsim.verify",
}

_ROOMS = ("solver",)

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"hwsim.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
