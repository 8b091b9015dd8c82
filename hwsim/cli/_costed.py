"""Options of the commands that cost a network on targets."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim.errors import InputError

if TYPE_CHECKING:
    from hwsim.cost_models import Estimate, Network
    from hwsim.targets import Target

ModelOrTable = Annotated[
    Path, typer.Argument(help="a .tflite or .hwsim file, or a .csv table of layers", show_default=False)
]
TargetNames = Annotated[
    list[str] | None,
    typer.Option("--target", help="NAME, NAME@BOARD or a .toml file; several with commas; `hwsim targets` lists them"),
]
RuntimeName = Annotated[str | None, typer.Option("--runtime", help="the library on the target; `hwsim targets NAME`")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="another value for a target's number: clock_hz=80e6; may be repeated")
]


def network_at(path: Path) -> "Network":
    """The work of the model or table of layers at `path`."""
    import hwsim
    from hwsim.cost_models import network_of, read_layer_table

    return read_layer_table(path) if path.suffix.lower() == ".csv" else network_of(hwsim.load(path))


def estimates(
    model: Path,
    targets: Sequence[str] | None,
    runtime: str | None,
    settings: Sequence[str] | None,
    weights: str | None = None,
) -> "list[Estimate]":
    """`model` on each of the targets, as it is or with its weights in each of the formats."""
    import hwsim
    from hwsim.cost_models.formats import in_format

    names = _names(targets)
    if not names:
        raise InputError("--target is missing; `hwsim targets` lists them, for instance --target cortex-m4")
    network, values = network_at(model), dict(_setting(text) for text in settings or [])
    formats = [word for word in (weights or "").split(",") if word]
    networks = [in_format(network, word) for word in formats] or [network]
    return [hwsim.estimate(one, name, runtime, values) for name in names for one in networks]


def machines(targets: Sequence[str] | None) -> "list[Target]":
    """The targets that `targets` names."""
    from hwsim.targets import target

    return [target(name) for name in _names(targets)]


def _names(targets: Sequence[str] | None) -> list[str]:
    return [name for word in targets or [] for name in word.split(",") if name]


def _setting(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    try:
        return key, float(value)
    except ValueError:
        raise InputError(f"--set {text!r}: expected NUMBER=VALUE, for instance --set clock_hz=80e6") from None
