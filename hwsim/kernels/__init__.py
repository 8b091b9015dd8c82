"""Numba kernels: arrays and plain numbers in, results into `out`, every width stated.

Numba promotes integers to 64 bits and NumPy wraps them at their own width, so every kernel widens at the
load and narrows through a named helper (`wrap_int32`); then the compiled and the uncompiled run agree, which the
tests check.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from time import time
from typing import Any
from uuid import uuid4

import numba

config: Any = numba.config

KEPT_FOLDERS, KEPT_SECONDS = 4, 24 * 3600
"""Folders of compiled kernels that stay, however old; and the age from which others are deleted."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function`, cached on disk, without the interpreter's lock; IEEE arithmetic, no contraction."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder())
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)(
            function
        )
    finally:
        config.CACHE_DIR = before
    _name_uniquely(compiled)
    return compiled


def _name_uniquely(compiled: Callable[..., Any]) -> None:
    """Give every compilation's file a name of its own.

    Numba numbers them in an index without a lock: of two processes that compile one kernel for different dtypes at the
    same time, one would find the other's code under its own entry.
    """
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        file._data_name = lambda number: f"{compiled.__name__}.{number}.{uuid4().hex}.nbc"


@cache
def cache_folder() -> Path:
    """Where compiled kernels lie: in the user's cache, under a name that changes with any kernel's source
    and with the instructions that kernels may use.

    Numba looks only at the file that a kernel stands in, and would keep one that calls a helper changed elsewhere.
    """
    from hwsim.kernels.vector_instructions import host

    sources = sorted(Path(__file__).parent.glob("*.py"))
    contents = [*(source.read_bytes() for source in sources), repr(host()).encode()]
    digest = sha256(b"".join(contents)).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for parent in (home / "hwsim", Path(tempfile.gettempdir()) / f"hwsim-{_user()}"):
        folder = parent / f"kernels-{digest}"
        try:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and _is_ours(parent) and _is_ours(folder):
            _prune(parent, folder)
            return folder
    return Path(tempfile.mkdtemp(prefix="hwsim-"))


def _prune(parent: Path, folder: Path) -> None:
    """Mark `folder` as used now, and delete the folders of kernels least recently used, if that was over a day ago.

    Another process may delete the same ones, or read one: a compiled kernel that is gone is compiled again.
    """
    with suppress(OSError):
        os.utime(folder)
        others = sorted(
            ((other.stat().st_mtime, other) for other in parent.glob("kernels-*") if other != folder), reverse=True
        )
        for used, other in others[KEPT_FOLDERS - 1 :]:
            if time() - used > KEPT_SECONDS:
                rmtree(other, ignore_errors=True)


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _is_ours(folder: Path) -> bool:
    """Whether nobody else could have put code there: compiled kernels are loaded without further question."""
    status = folder.stat()
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


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
