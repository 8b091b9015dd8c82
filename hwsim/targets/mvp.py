"""A target whose products run on Silicon Labs' matrix vector processor (MVP) beside a Cortex-M33."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hwsim.targets._profile import Count, NotNegative, Positive, Profile, Runtime, Section


class Vector(Section):
    """The MVP: one instruction a cycle in up to eight nested loops, on pairs of int8 where channels come in pairs.

    Parameters
    ----------
    lanes : int8 values that one instruction takes as one complex number
    bus_bytes : loaded and stored in a cycle
    stall_cycles : waited by an instruction for the result of the one before
    start_cycles : to start a program
    longest_vector : elements that one program can walk through
    """

    lanes: Count
    bus_bytes: Positive
    stall_cycles: NotNegative
    start_cycles: NotNegative
    longest_vector: Count


class MvpKernel(Section):
    """One kernel of the library that drives the MVP.

    Parameters
    ----------
    call_cycles : of the processor, once a layer
    program_cycles : of the processor, to write one program
    tail_cycles : of the MVP, beside the innermost loop: bias, rescaling and store of an output
    output_cycles : of the processor, for each output
    """

    call_cycles: NotNegative
    program_cycles: NotNegative = 0.0
    tail_cycles: NotNegative = 0.0
    output_cycles: NotNegative = 0.0


class HostKernel(Section):
    """A kernel that runs on the processor alone.

    Parameters
    ----------
    call_cycles : once a layer
    element_cycles : for each element of the larger of input and output
    """

    call_cycles: NotNegative
    element_cycles: NotNegative


class MvpRuntime(Runtime):
    """A library that drives the MVP.

    Parameters
    ----------
    kernels : by name: conv2d; pixels and channels (depthwise, as its programs go); fully_connected; max_pool;
        mean_pixels and mean_channels (average pooling, likewise); add
    host : kernels of operators that the MVP does not take, by operator; 'other' for the rest
    serial : share of the shorter of the two that is not hidden where the processor writes programs while others run
    """

    kernels: Mapping[str, MvpKernel]
    host: Mapping[str, HostKernel]
    serial: NotNegative = Field(le=1)


class MvpProfile(Profile):
    """A Cortex-M33 with an MVP."""

    kind: Literal["mvp"]
    vector: Vector
    runtimes: Mapping[str, MvpRuntime]
