"""The terminal: results on standard output, everything else on standard error."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

out = Console(markup=False, emoji=False)
err = Console(stderr=True, markup=False, emoji=False)


def announce_compilation() -> None:
    """Say when kernels have to be compiled, once."""
    from hwsim.kernels import on_compilation

    on_compilation(say_compiling)


def say_compiling() -> None:
    """Say why nothing happens yet."""
    err.print("compiling kernels for this machine; the next run finds them on disk", style="dim", soft_wrap=True)


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that goes when it is done, and is not there in a pipe; call the value with what was done."""
    with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def loss_bar(what: str) -> Iterator[Callable[[float, float], None]]:
    """Such a bar for training; call the value with the share that is done, 0 to 1, and the loss, which it shows."""
    with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share, loss: progress.update(task, completed=share, description=f"{what}, loss {loss:.3f}")


@contextmanager
def native_output_to_stderr() -> Iterator[None]:
    """Send what C and C++ libraries print to standard error meanwhile: HiGHS prints lines that nobody asked for."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
