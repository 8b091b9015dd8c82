"""What a verification found: per tensor, and the first differing element."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwsim.graph.graph import shorten
from hwsim.simulate.sum_bounds import Accumulator
from hwsim.verify.explain import Explanation, summarize

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Difference:
    """The first element, in execution order, at which two results differ.

    Parameters
    ----------
    tensor, op, node : where
    index : (row, *position)
    expected, actual : the reference's value and the simulation's
    details : accumulator, multiplier, shift, scale, zero_point, where the operator has them
    """

    tensor: str
    op: str
    node: str
    index: tuple[int, ...]
    expected: int | float
    actual: int | float
    details: Mapping[str, int | float]

    def __str__(self) -> str:
        at = ", ".join(map(str, self.index))
        numbers = [f"{k} {v:.9g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.details.items()]
        where = f"{self.op} {shorten(self.node)!r}, element [{at}]"
        return "; ".join([f"{where}: expected {self.expected}, simulated {self.actual}", ", ".join(numbers)]).rstrip(
            "; "
        )


@dataclass(frozen=True, slots=True)
class TensorCheck:
    """How one tensor compares: elements, how many differ, by how much at most, and how many differ by the node's own
    fault.

    `differing` counts what is beyond the engine's tolerance; `largest` is the largest difference, counted or not.
    `alone` counts differences when the node is fed the reference's own inputs.
    """

    tensor: str
    op: str
    dtype: str
    elements: int = 0
    differing: int = 0
    largest: float = 0.0
    alone: int = 0
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What a verification found.

    Parameters
    ----------
    engine : whose arithmetic was simulated
    against : what it was compared with, with its version
    samples : how many inputs
    tensors : one record per tensor, in execution order
    first_difference : the first differing element, or None
    reasons : for each node that differs by its own arithmetic, what explains it
    tolerance : how far floats may be apart, relative to the range of their tensor in one sample
    sums : of every layer with constant weights, what is guaranteed and, where they were followed, what was simulated
    """

    engine: str
    against: str
    samples: int
    tensors: tuple[TensorCheck, ...]
    first_difference: Difference | None
    reasons: Mapping[str, Explanation]
    tolerance: float = 0.0
    sums: tuple[Accumulator, ...] = ()

    @property
    def compared(self) -> int:
        """How many tensors were compared."""
        return sum(not record.missing for record in self.tensors)

    @property
    def agrees(self) -> bool:
        """Whether every element is equal, or a float within the tolerance, and at least one tensor was compared."""
        return self.compared > 0 and not any(record.differing for record in self.tensors)

    @property
    def exact(self) -> bool:
        """Whether every element of every compared tensor is equal, and at least one tensor was compared."""
        return self.agrees and not any(record.largest for record in self.tensors)

    @property
    def explanation(self) -> str:
        """The first difference and its reason in words; empty where every compared element is equal."""
        if not self.compared:
            return f"nothing was compared: {self.against} gives no tensor that a node computes"
        if self.first_difference is None:
            return ""
        return "\n".join([f"first difference: {self.first_difference}", *summarize(self.reasons)])

    @property
    def table(self) -> "pd.DataFrame":
        """One row per tensor: tensor, op, dtype, elements, differing, largest, alone, missing."""
        import pandas as pd

        names = TensorCheck.__slots__
        return pd.DataFrame([[getattr(record, name) for name in names] for record in self.tensors], columns=list(names))
