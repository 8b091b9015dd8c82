"""A target's TOML file to a checked profile, with the source of every number."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hwsim.errors import InputError, unknown
from hwsim.targets._profile import Profile

FOLDER = Path(__file__).parent / "profiles"
SIZE_LIMIT_BYTES = 1 << 20
Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sourced:
    """A number of a target's file.

    Parameters
    ----------
    value : the number
    source : where it is from, in words
    free : the limits within which `hwsim fit` may change it; None where it is fixed
    """

    value: float
    source: str
    free: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A checked target.

    Parameters
    ----------
    profile : its numbers
    provenance : every number's value and source by dotted path ('memories.flash.wait_states')
    raw : the file's own tables
    path : the file
    """

    profile: Profile
    provenance: Mapping[str, Sourced]
    raw: Raw
    path: Path

    @property
    def name(self) -> str:
        """What users call it."""
        return self.profile.name

    def with_values(self, values: Mapping[str, float], source: str = "set by the user") -> "Target":
        """The target with other numbers at the dotted paths in `values`; InputError where there is no such number.

        A number that was set is not free any more, so that it may lie beyond the limits of a fit.
        """
        raw = _copy(self.raw)
        for path, value in values.items():
            if path not in self.provenance:
                raise InputError(f"{self.path.name}: {unknown('number', path, self.provenance)}")
            table, key = _parent(raw, path)
            table[key] = {"value": value, "source": source}
        return checked(raw, self.path)

    def on_board(self, board: str) -> "Target":
        """The target with the settings of one of its boards."""
        boards = self.profile.boards
        if board not in boards:
            raise InputError(f"{self.path.name}: {unknown('board', board, boards)}")
        sources = {path: self.provenance[f"boards.{board}.{path}"].source for path in boards[board]}
        target = self
        for path, value in boards[board].items():
            target = target.with_values({path: value}, sources[path])
        return target


def read(path: Path) -> Target:
    """The target in the file at `path`; InputError names the key, the value and the nearest valid key."""
    try:
        if path.stat().st_size > SIZE_LIMIT_BYTES:
            raise InputError(f"{path}: is larger than {SIZE_LIMIT_BYTES} bytes; no target is")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path.name}: is not TOML ({error})") from None
    return checked(raw, path)


def checked(raw: Raw, path: Path) -> Target:
    """The target that the tables `raw` describe."""
    schema = _schema(raw, path)
    try:
        profile = schema.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path.name}: {_first(error, schema)}") from None
    if profile.name != path.stem:
        raise InputError(f"{path.name}: name is {profile.name!r}; expected the file's own, {path.stem!r}")
    target = Target(profile, dict(_numbers(raw, path, profile.sources)), raw, path)
    for board, settings in profile.boards.items():
        for setting in settings:
            if setting not in target.provenance:
                raise InputError(f"{path.name}: boards.{board}: {unknown('number', setting, target.provenance)}")
    return target


def _schema(raw: Raw, path: Path) -> type[Profile]:
    kinds = sorted(file.stem for file in Path(__file__).parent.glob("[!_]*.py"))
    kind = raw.get("kind")
    if kind not in kinds:
        raise InputError(f"{path.name}: {unknown('kind', str(kind), kinds)}")
    module = import_module(f"hwsim.targets.{kind}")
    found: list[type[Profile]] = [
        v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Profile) and v is not Profile
    ]
    return found[0]


def _numbers(raw: Raw, path: Path, sources: Mapping[str, str], prefix: str = "") -> Iterator[tuple[str, Sourced]]:
    for key, value in raw.items():
        where = f"{prefix}{key}"
        if isinstance(value, dict) and "value" in value:
            yield where, _sourced(value, f"{path.name}: {where}", sources)
        elif isinstance(value, dict):
            yield from _numbers(value, path, sources, f"{where}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            raise InputError(
                f"{path.name}: {where} is {value!r} without a source; "
                f'write {key} = {{ value = {value!r}, source = "datasheet, page" }}'
            )


def _sourced(number: Raw, where: str, sources: Mapping[str, str]) -> Sourced:
    extra = set(number) - {"value", "source", "free"}
    if extra:
        raise InputError(f"{where}: {unknown('key', sorted(extra)[0], ('value', 'source', 'free'))}")
    source = number.get("source")
    if not isinstance(source, str) or not source.strip():
        raise InputError(f'{where} has no source; add source = "datasheet, page" beside its value')
    limits = number.get("free")
    value = float(number["value"])
    if limits is not None and not (isinstance(limits, list) and len(limits) == 2 and limits[0] <= value <= limits[1]):
        raise InputError(f"{where}: free is {limits!r}; expected [low, high] around the value {value!r}")
    return Sourced(value, sources.get(source, source), tuple(limits) if limits else None)


def _first(error: ValidationError, schema: type[Profile]) -> str:
    """The first complaint of pydantic's in one line, with the nearest valid key where a key is unknown."""
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    location = [str(part) for part in first["loc"]]
    where = ".".join(location)
    if first["type"] == "extra_forbidden":
        known = sorted(_fields(schema, location[:-1]))
        return f"{where.rpartition('.')[0] or 'top level'}: {unknown('key', location[-1], known)}"
    if first["type"] == "missing":
        return f"{where} is missing"
    given = first["input"]
    value = given.get("value", given) if isinstance(given, dict) else given
    return f"{where} is {value!r}; {first['msg'].removeprefix('Value error, ')}"


def _fields(schema: type[BaseModel], location: list[str]) -> list[str]:
    """The keys that the table at `location` may have."""
    for part in location:
        field = schema.model_fields.get(part)
        inner = _models(field.annotation) if field else [schema]
        if inner:
            schema = inner[0]
    return list(schema.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def _copy(raw: Raw) -> Raw:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in raw.items()}


def _parent(raw: Raw, path: str) -> tuple[Raw, str]:
    """The table that holds the number at the dotted `path`, and its key there; keys may hold dots themselves."""
    if path in raw:
        return raw, path
    for key, value in raw.items():
        if isinstance(value, dict) and path.startswith(f"{key}."):
            return _parent(value, path.removeprefix(f"{key}."))
    raise KeyError(path)
