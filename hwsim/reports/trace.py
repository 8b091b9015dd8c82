"""A timeline in Chrome's trace format, for Perfetto or chrome://tracing.

Source: "Trace Event Format", Google: complete events 'X' and counters 'C', times in microseconds.
"""

import json
from collections.abc import Sequence
from typing import Any

from hwsim.cost_models import Estimate


def trace(estimates: Sequence[Estimate]) -> str:
    """One process per target, one slice per layer, and a counter of live activations."""
    events = [event for number, found in enumerate(estimates, start=1) for event in _events(number, found)]
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, allow_nan=False)


def _events(process: int, found: Estimate) -> list[dict[str, Any]]:
    title = f"{found.target.name} {found.runtime}".strip()
    events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": process, "args": {"name": title}}]
    now = 0.0
    for index, (layer, live) in enumerate(zip(found.layers, found.network.live_bytes, strict=True)):
        duration = layer.latency_s * 1e6
        arguments = {
            "layer": layer.work.name,
            "macs": layer.work.macs,
            "cycles": layer.cost.cycles,
            "bound": layer.cost.bound,
            "utilization": layer.utilization,
            "energy_j": layer.energy_j,
        }
        common = {"pid": process, "tid": 1, "ts": now}
        events.append({**common, "ph": "X", "name": f"{index} {layer.work.op}", "dur": duration, "args": arguments})
        events.append({**common, "ph": "C", "name": "live activations", "args": {"bytes": live}})
        now += duration
    return events
