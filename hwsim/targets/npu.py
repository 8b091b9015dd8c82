"""A neural processor that walks over blocks of its output, as Arm's Ethos-U does."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hwsim.targets._profile import Count, NotNegative, Positive, Profile, Runtime, Section


class OutputCycles(Section):
    """Cycles of the output stage per element, by what it does."""

    add: Positive
    mul: Positive
    max_pool: Positive
    lookup: Positive
    other: Positive


class Npu(Section):
    """The processor.

    Parameters
    ----------
    macs_per_cycle : of 8 by 8 bits
    unit_height, unit_width, unit_depth : outputs computed together
    max_height, max_width, max_depth : of a block of outputs
    buffer_banks : of 1024 bytes, for inputs, accumulators and outputs of a block
    input_granule, accumulator_granule, elementwise_granule : banks are handed out in multiples of these
    buffer_start_cycles : before a block's first byte arrives from SRAM or is written
    output_cycles : of the output stage
    weight_compression : bytes of encoded weights over bytes of weights
    """

    macs_per_cycle: Count
    unit_height: Count
    unit_width: Count
    unit_depth: Count
    max_height: Count
    max_width: Count
    max_depth: Count
    buffer_banks: Count
    input_granule: Count
    accumulator_granule: Count
    elementwise_granule: Count
    buffer_start_cycles: NotNegative
    output_cycles: OutputCycles
    weight_compression: Positive


class NpuProfile(Profile):
    """A neural processor with SRAM for activations and flash for weights."""

    kind: Literal["npu"]
    npu: Npu
    runtimes: Mapping[str, Runtime] = Field(default_factory=dict)
