"""A target whose work is done by instructions of a processor core: microcontrollers, RISC-V and Xtensa cores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from hwsim.targets._profile import NotNegative, Positive, Profile, Runtime, Section

LOOPS = Path(__file__).parent / "loops"
LARGEST_TABLE = 256


def _table(numbers: Any) -> Any:
    if not isinstance(numbers, Mapping):
        raise ValueError("expected a table of numbers")
    return numbers


Latencies = Annotated[Mapping[str, NotNegative], BeforeValidator(_table)]
"""Cycles by class of instruction: alu, shift, multiply, load, store, branch and whatever else the loops count."""


class Core(Section):
    """The core.

    Parameters
    ----------
    isa : whose loop tables it runs: 'thumb', 'armv7m', 'dsp', 'mve', 'rv32im', ...
    latency : cycles that one instruction of each class takes, where nothing is waited for
    issue : instructions that start together, on average; 1 on a single-issue core
    fetch_misses : share of instructions that wait for the memory of code, `memories.flash`, in spite of its cache
    cache_bytes : of the cache between the core and the memory of weights; 0 for none
    line_bytes : read from that memory at once
    macs_per_cycle : multiply-accumulates of 8 bits at the very most
    """

    isa: str
    latency: Latencies
    issue: Positive = 1.0
    fetch_misses: NotNegative = 0.0
    cache_bytes: NotNegative = 0.0
    line_bytes: Positive = 4.0
    macs_per_cycle: Positive = 1.0


class CpuRuntime(Runtime):
    """A library of kernels: the instructions of its loops are those of `loops`, times a factor per kind of kernel.

    Parameters
    ----------
    loops : the library whose loop table hwsim has for the core's isa: 'cmsis-nn', ...; with the isa it names a file
    overall : instructions of all kernels, relative to those of `loops`
    conv2d, pointwise, depthwise, fully_connected, other : of one kind, relative to that; a pointwise convolution has a
        1x1 kernel, other are all kernels without weights
    layer_cycles : to start a layer: interpreter, preparation of operands
    own_kernels : 1 where weights of less than 8 bits take the quickest of `cost_models.narrow`; 0 where the library's
        kernel of 4 bits does what has no table
    skips_dead_channels : 1 where filters whose weights are all zero are left out, 0 where they are computed
    """

    loops: str
    overall: Positive = 1.0
    conv2d: Positive = 1.0
    pointwise: Positive = 1.0
    depthwise: Positive = 1.0
    fully_connected: Positive = 1.0
    other: Positive = 1.0
    layer_cycles: NotNegative = 0.0
    own_kernels: Annotated[NotNegative, Field(le=1)] = 0.0
    skips_dead_channels: Annotated[NotNegative, Field(le=1)] = 0.0


class CpuProfile(Profile):
    """A processor core with its memories.

    `memories.flash.wait_states` are cycles that a line of `core.line_bytes` of weights waits beyond the first;
    those of `memories.sram` that a load or a store of activations waits.
    """

    kind: Literal["cpu"]
    core: Core
    runtimes: Mapping[str, CpuRuntime]

    def keeps_table(self, entries: int) -> bool:
        """Every table of codes, where the instruction set has kernels for formats."""
        return self.keeps_vectors and entries <= LARGEST_TABLE

    @property
    def keeps_vectors(self) -> bool:
        """Whether `loops/formats-ISA.csv` is there."""
        return (LOOPS / f"formats-{self.core.isa}.csv").exists()
