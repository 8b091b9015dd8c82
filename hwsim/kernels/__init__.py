"""Numba kernels: arrays and plain numbers in, results into `out`, every width stated.

Numba promotes integers to 64 bits and NumPy wraps them at their own width, so every kernel widens at the load
and narrows through a named helper (`wrap_int32`); then the compiled and the uncompiled run agree, which the tests check.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def kernel(function: _F) -> _F:
    """Compile `function`, cached on disk, without the interpreter's lock; IEEE arithmetic, no contraction."""
    return numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)(function)  # type: ignore[no-any-return]


def on_compilation(callback: Callable[[], None]) -> None:
    """Call `callback` once, when a kernel is first compiled rather than read from the cache on disk."""
    from numba.core import event

    class Listener(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:  # noqa: ARG002
            if not self.said:
                Listener.said = True
                callback()

        def on_end(self, event: Any) -> None:
            """Nothing to do."""

    event.register("numba:compile", Listener())
