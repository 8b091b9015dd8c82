"""A target whose products run on a systolic array."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hwsim.targets._profile import Count, NotNegative, Positive, Profile, Runtime, Section


class Array(Section):
    """The array.

    Parameters
    ----------
    rows, cols : processing elements, one multiply-accumulate each
    dataflow : 'os', 'ws' or 'is': outputs, weights or inputs stay
    mac_bits : the width of both operands that an element multiplies in one cycle
    vector_lanes : elements of other operators in a cycle
    layer_cycles : to start a layer
    """

    rows: Count
    cols: Count
    dataflow: Literal["os", "ws", "is"]
    mac_bits: Positive
    vector_lanes: Positive
    layer_cycles: NotNegative


class Datapath(Section):
    """Units beside the array that form products in another way; a step is what one of them does in a cycle.

    Parameters
    ----------
    steps_per_cycle : of all of them together
    step_pj : energy of one, but for its table
    table_pj_per_byte : of a read or write of a table of 8 KiB; of others by the square root of their size
    table_bytes : the largest table that one of them holds
    """

    steps_per_cycle: Positive
    step_pj: NotNegative
    table_pj_per_byte: NotNegative = 0.0
    table_bytes: NotNegative = 0.0


class SystolicProfile(Profile):
    """A systolic array with its memories, and datapaths of other kinds by name ('lut', 'bit_serial', ...)."""

    kind: Literal["systolic"]
    array: Array
    datapaths: Mapping[str, Datapath] = Field(default_factory=dict)
    runtimes: Mapping[str, Runtime] = Field(default_factory=dict)

    @property
    def keeps_vectors(self) -> bool:
        """As of every target, or where there are units for them."""
        return super().keeps_vectors or "product" in self.datapaths
