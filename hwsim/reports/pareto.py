"""Files of a sweep: the front as CSV, JSON and a picture with the uniform choices marked."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hwsim.solver import Sweep


def write_sweep(sweep: "Sweep", folder: Path) -> list[Path]:
    """Write front.csv, uniform.csv, front.json, front.svg and front.png into `folder`, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make folder {str(folder)!r}: {error.strerror}; name another") from None
    figure = _figure(sweep)
    writers: dict[str, Any] = {
        "front.csv": lambda path: sweep.points.to_csv(path, index=False),
        "uniform.csv": lambda path: sweep.uniform.to_csv(path, index=False),
        "front.json": lambda path: path.write_text(json.dumps(_plain(sweep.facts()), indent=2, allow_nan=False) + "\n"),
        "front.svg": lambda path: figure.savefig(path, format="svg", metadata={"Date": None}),
        "front.png": lambda path: figure.savefig(path, format="png", dpi=150),
    }
    for name, write in writers.items():
        temporary = folder / f".{name}.part"
        write(temporary)
        temporary.replace(folder / name)
    return [folder / name for name in writers]


def _plain(facts: Any) -> Any:
    """`facts` with keys as text, as JSON has them; infinite bounds become None."""
    if isinstance(facts, dict):
        return {str(key): _plain(value) for key, value in facts.items()}
    if isinstance(facts, list):
        return [_plain(value) for value in facts]
    return None if isinstance(facts, float) and not abs(facts) < float("inf") else facts


def _figure(sweep: "Sweep") -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    points, uniform = sweep.points, sweep.uniform
    proven = points[points["status"] == "optimal"]
    rest = points[points["status"] != "optimal"]
    axes.plot(points[sweep.over], points["degradation"], color="0.7", drawstyle="steps-post", zorder=1)
    axes.scatter(proven[sweep.over], proven["degradation"], s=18, label="optimal", zorder=2)
    if len(rest):
        axes.scatter(rest[sweep.over], rest["degradation"], s=18, marker="x", label="not proven", zorder=2)
    if len(uniform):
        axes.scatter(uniform[sweep.over], uniform["degradation"], s=45, marker="s", label="uniform", zorder=3)
        for choice, x, y in uniform[["choice", sweep.over, "degradation"]].itertuples(index=False):
            axes.annotate(str(choice), (x, y), xytext=(6, 4), textcoords="offset points")
    axes.set_xlabel(sweep.over)
    axes.set_ylabel("degradation")
    axes.legend()
    return figure
