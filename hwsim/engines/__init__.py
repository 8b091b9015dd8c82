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
    """The engine called `name`, or 'name:variant'; InputError with the nearest name where there is none."""
    if isinstance(name, Engine):
        return name
    base, colon, variant = name.partition(":")
    if base not in engines():
        raise InputError(unknown("engine", name, engines()))
    profile = engines()[base]
    if not colon:
        return profile
    if variant not in profile.variants:
        raise InputError(unknown(f"variant of engine {base!r}", variant, profile.variants))
    return profile.variant(variant)


def real_engines() -> dict[str, Engine]:
    """The engines by name that somebody else wrote and hwsim can run beside its simulation."""
    return {name: profile for name, profile in engines().items() if profile.reference == name}


callable_room(__name__, engines)
