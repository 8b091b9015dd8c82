"""Integers of a stated width, held in int64."""

from hwsim.kernels import kernel


@kernel
def wrap_int32(value):
    """`value` modulo 2^32, in [-2^31, 2^31)."""
    return ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


@kernel
def wrap_int16(value):
    """`value` modulo 2^16, in [-2^15, 2^15)."""
    return ((value & 0xFFFF) ^ 0x8000) - 0x8000


@kernel
def clamp(value, low, high):
    """`value` limited to [low, high]."""
    return min(max(value, low), high)
