"""A cluster of small cores around a shared scratchpad, with or without a convolution engine, as GAP8 and GAP9."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hwsim.targets._profile import Count, NotNegative, Positive, Profile, Runtime, Section


class Cores(Section):
    """The cores, together.

    Parameters
    ----------
    count : of cores
    macs_per_cycle : of convolutions and fully connected layers at 8 bits
    depthwise_macs_per_cycle : of depthwise convolutions, whose channels do not share a dot product
    elements_per_cycle : of other operators
    unpack_cycles_per_mac : of one core, where weights are narrower than 8 bits
    layer_cycles : to start a layer: its call, the first tile in and the last out
    """

    count: Count
    macs_per_cycle: Positive
    depthwise_macs_per_cycle: Positive
    elements_per_cycle: Positive
    unpack_cycles_per_mac: NotNegative
    layer_cycles: NotNegative


class Engine(Section):
    """A convolution engine that takes weights bit by bit, NE16.

    Parameters
    ----------
    patch : rows and columns of outputs computed together
    channels_in, channels_out : computed together
    bytes_per_cycle : to and from the scratchpad
    fifo_cycles : of its streams
    """

    patch: Count
    channels_in: Count
    channels_out: Count
    bytes_per_cycle: Positive
    fifo_cycles: NotNegative


class ClusterProfile(Profile):
    """A cluster; memories are 'l1', 'l2' and 'l3', each with its bandwidth towards the one before."""

    kind: Literal["cluster"]
    cores: Cores
    accelerator: Engine | None = None
    runtimes: Mapping[str, Runtime] = Field(default_factory=dict)
