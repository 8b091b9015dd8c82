"""Targets on the terminal, and as JSON."""

from collections.abc import Mapping

from rich.console import Console

from hwsim.reports.console import Facts, table
from hwsim.targets import Target


def target_facts(target: Target) -> Facts:
    """What `hwsim targets NAME --json` says."""
    profile = target.profile
    return {
        "name": target.name,
        "summary": profile.summary,
        "kind": profile.kind,
        "engine": profile.engine,
        "engine_assumed": profile.engine_assumed,
        "runtimes": sorted(getattr(profile, "runtimes", {})),
        "default_runtime": profile.default_runtime,
        "boards": sorted(profile.boards),
        "numbers": {
            path: {"value": n.value, "source": n.source, "free": n.free} for path, n in target.provenance.items()
        },
    }


def print_targets(console: Console, targets: Mapping[str, Target]) -> None:
    """One line per target."""
    rows = [
        (name, t.profile.kind, f"{t.profile.clock_hz / 1e6:g} MHz", t.profile.engine, t.profile.summary)
        for name, t in targets.items()
    ]
    console.print(table("", ("target", "kind", "clock", "engine", "summary"), rows, ("clock",)))


def print_target(console: Console, target: Target) -> None:
    """A target with every number and its source."""
    facts = target_facts(target)
    console.print(f"{target.name}: {facts['summary']}", highlight=False)
    assumed = " (assumed: its own is not public or not modeled)" if facts["engine_assumed"] else ""
    console.print(f"kind {facts['kind']}, arithmetic of {facts['engine']}{assumed}", highlight=False)
    for what in ("runtimes", "boards"):
        if facts[what]:
            console.print(f"{what}: {', '.join(facts[what])}", highlight=False)
    rows = [(path, f"{n.value:g}", n.source) for path, n in target.provenance.items()]
    console.print(table("numbers", ("number", "value", "source"), rows, ("value",)))
