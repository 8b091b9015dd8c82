"""What an engine is: a name, where its rules come from, and how it departs from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


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
    variants : the same engine otherwise built or configured: by what "name:variant" says, the fields that differ
    fine : operators that read 16-bit codes in a network that is quantized for this engine
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
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fine: tuple[str, ...] = ()

    def variant(self, name: str) -> "Engine":
        """The engine with the fields of one of its variants."""
        return replace(self, name=f"{self.name}:{name}", variants={}, reference=None, **self.variants[name])


BYTES = ("int8", "uint8")
LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected")
MOVES = frozenset(
    (
        "arg_max", "depth_to_space", "dequantize", "expand_dims", "gather", "max_pool_2d", "maximum", "minimum",
        "mirror_pad", "pack", "pad", "pad_v2", "reshape", "resize_nearest_neighbor", "slice", "space_to_depth", "split",
        "split_v", "squeeze", "strided_slice", "transpose", "unpack",
    )
)  # fmt: skip
"""Operators that move or compare codes, which every engine does alike."""

ATEN = frozenset(("add", "average_pool_2d", "cast", "concatenation", "lookup", "mean", "mul", "quantize", "relu"))
"""What PyTorch's quantized engines compute beside layers and moves."""


def on_bytes(operators: Iterable[str], rule: Rule) -> dict[tuple[str, str], Rule]:
    """`rule` for these operators on int8 and uint8."""
    return {(operator, dtype): rule for operator in operators for dtype in BYTES}


def requantizing(rule: Rule) -> dict[tuple[str, str], Rule]:
    """`rule` for QUANTIZE from codes of one scale to codes of another."""
    return {("quantize", f"{source}>{target}"): rule for source in BYTES for target in BYTES}


def multiplying(rule: Rule) -> dict[tuple[str, str], Rule]:
    """`rule` for BATCH_MATMUL of codes, whichever of the matrices are constant."""
    return {("batch_matmul", f"{dtype}>{dtype}"): rule for dtype in BYTES}
