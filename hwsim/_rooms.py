"""Rooms that share their name with a public function: `hwsim.engines()` calls, `hwsim.engines.engine` looks inside.

Python binds a submodule to its package's attribute on first import, which would hide the function. A callable module
is both, whichever was imported first.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def callable_room(module: str, function: Callable[..., Any]) -> None:
    """Make the imported `module` callable as `function`."""
    kind = type("Room", (ModuleType,), {"__call__": staticmethod(function), "__doc__": function.__doc__})
    sys.modules[module].__class__ = kind
