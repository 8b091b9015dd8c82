"""The values of a JSON header, each checked for its kind; TypeError where it is another, for the boundary to report."""

from collections.abc import Iterable, Iterator
from typing import Any

from hwsim.graph.graph import Attribute


def records(values: Iterable[object]) -> Iterator[dict[str, Any]]:
    """The values, each of which must be a JSON object."""
    for value in values:
        if not isinstance(value, dict):
            raise TypeError(f"expected a record, found {type(value).__name__}")
        yield value


def integers(values: object) -> tuple[int, ...]:
    """A JSON list of integers as a tuple."""
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise TypeError(f"expected a list of integers, found {type(values).__name__}")
    return tuple(values)


def text(value: object) -> str:
    """A JSON text."""
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {type(value).__name__}")
    return value


def option(value: object) -> Attribute:
    """An operator's option: lists are tuples."""
    if isinstance(value, (bool, int, float, str)):
        return value
    return integers(value)
