"""Targets: which machine. One target, one TOML file in `profiles/`; `hwsim.targets()` lists them."""

from functools import cache
from pathlib import Path

from hwsim._rooms import callable_room
from hwsim.errors import InputError, unknown
from hwsim.targets._loader import FOLDER, Sourced, Target, checked, read
from hwsim.targets._profile import Profile

NETWORKS = Path(__file__).parent / "networks"
MEASUREMENTS = Path(__file__).parent / "measurements"
"""Tables of layers of public networks, which measurements name."""

__all__ = ["MEASUREMENTS", "NETWORKS", "Profile", "Sourced", "Target", "checked", "read", "target", "targets"]


@cache
def _shipped(name: str) -> Target:
    return read(FOLDER / f"{name}.toml")


def names() -> list[str]:
    """The names of the targets that hwsim brings."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def targets() -> dict[str, Target]:
    """Every target that hwsim brings, by name."""
    return {name: _shipped(name) for name in names()}


def target(name: str | Path | Target) -> Target:
    """A target by its name or its TOML file; InputError with the nearest name where there is none.

    `NAME@BOARD` is the target with that board's settings.
    """
    if isinstance(name, Target):
        return name
    if isinstance(name, Path) or name.endswith(".toml"):
        return read(Path(name))
    base, _, board = name.partition("@")
    if base not in names():
        raise InputError(f"{unknown('target', base, names())}; or give the path of a .toml file")
    return _shipped(base).on_board(board) if board else _shipped(base)


callable_room(__name__, targets)
