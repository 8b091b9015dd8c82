"""Engines: whose arithmetic. One file, one profile; `hwsim.engines()` lists them."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from hwsim._rooms import callable_room
from hwsim.engines._profile import Engine, Rule
from hwsim.errors import InputError, unknown

__all__ = ["Engine", "Rule", "engine", "engines", "real_engines"]


@cache
def engines() -> dict[str, Engine]:
    """Every engine by name."""
    names = sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))
    found: list[Engine] = [import_module(f"{__name__}.{name}").ENGINE for name in names]
    return {profile.name: profile for profile in found}


def engine(name: str | Engine) -> Engine:
    """The engine called `name`; InputError with the nearest name where there is none."""
    if isinstance(name, Engine):
        return name
    if name not in engines():
        raise InputError(unknown("engine", name, engines()))
    return engines()[name]


def real_engines() -> dict[str, Engine]:
    """The engines that `hwsim.verify` can run for real."""
    return {name: profile for name, profile in engines().items() if profile.reference is not None}


callable_room(__name__, engines)
