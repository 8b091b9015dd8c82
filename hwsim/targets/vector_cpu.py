"""A target whose work is done by application cores with vector units, caches and DRAM: Cortex-A and their like."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hwsim.targets._profile import Count, NotNegative, Positive, Profile, Runtime, Section


class VectorCore(Section):
    """One of the cores.

    Parameters
    ----------
    float_macs_per_cycle : multiply-accumulates of 32-bit floats that its vector unit can start in a cycle
    int8_macs_per_cycle : those of 8-bit integers into 32-bit sums, with the widening instructions that they take
    cores : of the chip
    threads : that a network runs on
    cache_bytes : of the last cache before DRAM
    """

    float_macs_per_cycle: Positive
    int8_macs_per_cycle: Positive
    cores: Count
    threads: Count
    cache_bytes: Positive


class VectorRuntime(Runtime):
    """A library of kernels.

    Parameters
    ----------
    bits : of weights and activations: 32 for floats, 8 for integers
    tile : output channels that the inner loop of a matrix product computes together
    conv2d, pointwise, depthwise, fully_connected : share of the vector unit's peak that the inner loop reaches
    output_cycles : beside the inner loop, for each output of a layer with weights
    element_cycles : for each output of other layers
    layer_cycles : to start a layer
    serial : share of a layer's work that more threads do not shorten
    """

    bits: Count
    tile: Count
    conv2d: Positive
    pointwise: Positive
    depthwise: Positive
    fully_connected: Positive
    output_cycles: NotNegative
    element_cycles: NotNegative
    layer_cycles: NotNegative
    serial: NotNegative = Field(le=1)


class VectorCpuProfile(Profile):
    """Application cores with their caches and `memories.dram`."""

    kind: Literal["vector_cpu"]
    core: VectorCore
    runtimes: Mapping[str, VectorRuntime]
