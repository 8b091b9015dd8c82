"""A coprocessor whose weights and inputs come from a host over a link, as the Edge TPU's do."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hwsim.targets._profile import Count, NotNegative, Positive, Profile, Runtime, Section


class Array(Section):
    """The coprocessor's compute units.

    Parameters
    ----------
    rows, cols : multiply-accumulates of one cycle: taps by filters
    activation_bytes_per_cycle : in and out of the units
    layer_cycles : to start a layer
    """

    rows: Count
    cols: Count
    activation_bytes_per_cycle: Positive
    layer_cycles: NotNegative


class Host(Section):
    """The computer that it is plugged into.

    Parameters
    ----------
    start_s : to start a run
    link_bytes_per_s : inputs, outputs and weights that are not cached
    element_s : for one element of an operator that the host runs
    """

    start_s: NotNegative
    link_bytes_per_s: Positive
    element_s: NotNegative


class EdgeTpuProfile(Profile):
    """A coprocessor with its host; `memories.sram.size_bytes` is what weights are cached in."""

    kind: Literal["edge_tpu"]
    array: Array
    host: Host
    runtimes: Mapping[str, Runtime] = Field(default_factory=dict)
