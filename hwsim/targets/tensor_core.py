"""A GPU whose matrix products run on tensor cores."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hwsim.targets._profile import Count, NotNegative, Positive, Profile, Runtime, Section


class Gpu(Section):
    """The processor.

    Parameters
    ----------
    multiprocessors : that run one tile of outputs at a time each
    macs_per_cycle : of one multiprocessor's tensor cores at 8 by 8 bits
    tile_rows, tile_cols : of a tile of outputs
    depth_bits : bits of operands that one instruction of a tensor core takes in depth
    lane_ops_per_cycle : of one multiprocessor on other work
    """

    multiprocessors: Count
    macs_per_cycle: Positive
    tile_rows: Count
    tile_cols: Count
    depth_bits: Positive
    lane_ops_per_cycle: Positive


class Kernels(Section):
    """How well a compiler's kernels use it.

    Parameters
    ----------
    utilization : of the tensor cores in a kernel's inner loop, at 8 bits
    fixed_share : of that time, does not shrink with narrower operands: instructions, addresses
    output_bytes : of an output as a kernel writes it
    """

    utilization: Positive
    fixed_share: NotNegative
    output_bytes: Positive


class GpuRuntime(Runtime):
    """A way to run layers.

    Parameters
    ----------
    scale : time of a layer over its time in a whole network
    """

    scale: Positive


class TensorCoreProfile(Profile):
    """A GPU with its memory, `dram`."""

    kind: Literal["tensor_core"]
    gpu: Gpu
    kernels: Kernels
    runtimes: Mapping[str, GpuRuntime] = Field(default_factory=dict)
