"""Everything that hwsim raises on purpose.

HwsimError
├── ModelFormatError     bytes that are not a well-formed model
├── GraphError           a well-formed model that contradicts itself
│   └── ShapeError       shapes that do not fit together
├── UnsupportedError     something an engine, or hwsim, cannot execute
├── InputError           arrays, names or options that the user handed in
├── CapacityError        a run that would need more memory than allowed
└── ReferenceEngineError a real engine that is missing, refused or crashed

Every message names the thing, the value, what was expected, and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_NAMES = 8


class HwsimError(Exception):
    """Base of every error that hwsim raises on purpose."""


class ModelFormatError(HwsimError):
    """The bytes are not a well-formed model file."""


class GraphError(HwsimError):
    """A graph contradicts itself."""


class ShapeError(GraphError):
    """Shapes do not fit together."""


class UnsupportedError(HwsimError):
    """An engine, or hwsim itself, cannot execute this."""


class InputError(HwsimError):
    """What the user handed in does not fit the model or the command."""


class CapacityError(HwsimError):
    """A run would need more memory than it may take."""


class ReferenceEngineError(HwsimError):
    """A real engine is not installed, refused the model, or crashed on it."""


def unknown(kind: str, value: str, known: Iterable[str]) -> str:
    """One line saying that `value` is no known `kind`, with the nearest known one, else with the first few."""
    names = sorted(known)
    near = get_close_matches(value, names, n=1)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names[:MOST_NAMES])}{more}"
    return f"unknown {kind} {value!r}; {hint}"
