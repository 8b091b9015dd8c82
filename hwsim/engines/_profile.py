"""What an engine is: a name, where its rules come from, and how it departs from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rule:
    """How one engine computes one operator on one dtype.

    Parameters
    ----------
    algorithm : the rounding of the output stage (a name in `kernels.requantize.ROUNDINGS`), or the operator's own
        algorithm
    scale : how the real multiplier is formed, a name in `quantizers.multiplier.SCALE_PRECISIONS`
    accumulator : 'exact' (int32, wrapping), or a machine's own mode of accumulation
    """

    algorithm: str
    scale: str = "float64"
    accumulator: str = "exact"

    def __str__(self) -> str:
        extra = [f"{self.scale} scale"] if self.scale != "float64" else []
        extra += [f"{self.accumulator} accumulator"] if self.accumulator != "exact" else []
        return ", ".join([self.algorithm, *extra])


@dataclass(frozen=True, slots=True)
class Engine:
    """Whose arithmetic: a small profile.

    An operator's file says which rule each engine uses. An engine's `lineage` names the rule sets it tries in
    order: a delegate
    that takes only some operators leaves the rest to the engine below it. `rules` overrides single operators.

    Parameters
    ----------
    name : as on the command line
    summary : one line
    lineage : rule sets, the first that has a rule for an operator and dtype counts
    rules : (operator, dtype) to rule, before the lineage
    takes : operators that the lineage holds for, None for all; those in `rules` besides
    reference : how `hwsim.verify` runs the real thing, a key of `verify.reference.RUNNERS`; None where nobody can
    package : the Python package that brings the real engine
    processor : which processor's code paths the rules follow
    tolerance : how far a float may be from the reference's, relative to the range of its tensor (0 included) in the
        same sample; 0 where every bit counts. Integers are always compared by equality.
    source : where the rules were read or measured
    """

    name: str
    summary: str
    lineage: tuple[str, ...]
    rules: Mapping[tuple[str, str], Rule] = field(default_factory=dict)
    takes: frozenset[str] | None = None
    reference: str | None = None
    package: str | None = None
    processor: str = "any"
    tolerance: float = 0.0
    source: str = ""
