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


class SystolicProfile(Profile):
    """A systolic array with its memories."""

    kind: Literal["systolic"]
    array: Array
    runtimes: Mapping[str, Runtime] = Field(default_factory=dict)
