"""Tables on the terminal, and the same facts as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, isnan, prod
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hwsim.engines import Engine, engines
from hwsim.engines import engine as engine_called
from hwsim.errors import HwsimError
from hwsim.graph import Graph, NodeView
from hwsim.graph.graph import shorten
from hwsim.ops import _tables, operator
from hwsim.reports.sums import engine_overflows, sum_facts, summary, target_overflows
from hwsim.simulate import compile
from hwsim.simulate.known import known_views
from hwsim.simulate.sum_bounds import Accumulator, guaranteed
from hwsim.targets import Target

if TYPE_CHECKING:
    from hwsim.simulate import Run
    from hwsim.verify.check import Check

Facts = dict[str, Any]
LITERT_PACKAGE = "ai-edge-litert"
WHOLE = ("target", "engine")
"""Columns of names that users type: never broken."""


def print_json(facts: Mapping[str, Any]) -> None:
    """One strict JSON document on standard output; what JSON has no number for is 'NaN', 'Infinity' or '-Infinity'."""
    print(json_text(facts))  # noqa: T201


def json_text(facts: Mapping[str, Any]) -> str:
    """`facts` as one strict JSON document."""
    return json.dumps(_strict(facts), indent=2, allow_nan=False)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]], numbers: Iterable[str] = ()) -> Table:
    """A table; the columns in `numbers` are aligned to the right."""
    right, names = set(numbers), list(columns)
    drawn = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in names:
        side = "right" if column in right else "left"
        drawn.add_column(column, justify=side, overflow="fold", no_wrap=column in WHOLE)  # type: ignore[arg-type]
    for row in rows:
        drawn.add_row(*(_cell(column, str(value)) for column, value in zip(names, row, strict=True)))
    return drawn


def _cell(column: str, value: str) -> Text:
    """Names of tensors are cut to what the terminal leaves them: converters make them longer than any line."""
    return Text(value, no_wrap=True, overflow="ellipsis") if column in ("tensor", "name") else Text(value)


def graph_facts(graph: Graph, machines: Iterable[Target] = ()) -> Facts:
    """What `hwsim info` says of a graph, and of the accumulators of `machines`."""
    sums = guaranteed(graph)
    views = [NodeView(graph, node) for node in graph.nodes]
    nodes = [_node_facts(view) for view in views]
    constants = [tensor for tensor in graph.tensors if tensor.data is not None]
    return {
        "name": graph.name,
        "inputs": [_tensor_facts(graph, i) for i in graph.inputs],
        "outputs": [_tensor_facts(graph, i) for i in graph.outputs],
        "state": [_tensor_facts(graph, i) for i in graph.variables],
        "nodes": nodes,
        "macs": sum(node["macs"] for node in nodes),
        "constants": sum(prod(tensor.shape) for tensor in constants),
        "constant_bytes": sum(tensor.size_bytes for tensor in constants),
        "accumulators": [sum_facts(found) for found in sums],
        "sums": summary(sums),
        "overflows": [*_saturations(graph), *_too_narrow(sums, machines)],
        "engines": {name: unsupported(graph, profile) for name, profile in engines().items()},
    }


def unsupported(graph: Graph, engine: Engine) -> list[str]:
    """Why `engine` cannot run each node that it cannot run; where no node is to blame, why not the graph."""
    if graph.compressed and engine.package == LITERT_PACKAGE and engine.reference == engine.name:
        return [f"graph {graph.name!r}: has compressed weights, which TensorFlow Lite Micro reads and LiteRT does not"]
    try:
        compile(graph, engine)
    except HwsimError as error:
        reasons = [_refusal(view, engine) for view in known_views(graph)]
        return [reason for reason in reasons if reason] or [str(error)]
    return []


def print_graph(console: Console, facts: Facts) -> None:
    """`hwsim info` for people."""
    for kind in ("inputs", "outputs", "state"):
        for tensor in facts[kind]:
            _say(
                console,
                f"{kind.removesuffix('s')} {tensor['name']}: {tensor['dtype']} {tensor['shape']}, {tensor['format']}",
            )
    _say(
        console,
        f"{len(facts['nodes'])} nodes, {facts['macs']:,} MACs, "
        f"{facts['constants']:,} constants in {facts['constant_bytes']:,} bytes",
    )
    rows = [
        (i, n["op"], "x".join(map(str, n["shape"])), n["dtype"], f"{n['macs']:,}", shorten(n["name"]))
        for i, n in enumerate(facts["nodes"])
    ]
    console.print(table("nodes", ["#", "op", "output", "dtype", "MACs", "name"], rows, ["#", "MACs"]))
    for line in (facts["sums"], *facts["overflows"]):
        if line:
            _say(console, line)
    for name, reasons in facts["engines"].items():
        refusal = f"cannot run {len(reasons)} nodes, first {reasons[0]}" if reasons else "runs it"
        _say(console, f"{name}: {refusal}")


def print_engines(console: Console) -> None:
    """`hwsim engines` for people."""
    rows = [(e.name, e.summary + _variants(e), e.processor) for e in engines().values()]
    console.print(table("engines", ["name", "what", "processor"], rows))


def _variants(engine: Engine) -> str:
    """How the engine's other builds are called."""
    return f" [{', '.join(f'{engine.name}:{name}' for name in engine.variants)}]" if engine.variants else ""


def run_facts(graph: Graph, run: "Run") -> Facts:
    """What `hwsim run` says of a run."""
    outputs = []
    for index, value in zip(graph.outputs, run.outputs, strict=True):
        facts = _tensor_facts(graph, index)
        flat = value.reshape(value.shape[0], -1) if value.ndim > 1 else value.reshape(1, -1)
        outputs.append({**facts, "shape": list(value.shape), "first": flat[0, :12].tolist()})
    return {"engine": run.engine, "outputs": outputs, "state": sorted(run.state)}


def print_run(console: Console, facts: Facts) -> None:
    """`hwsim run` for people."""
    for output in facts["outputs"]:
        first, more = ", ".join(map(str, output["first"])), " ..." if len(output["first"]) == 12 else ""
        _say(console, f"output {output['name']}: {output['dtype']} {output['shape']}, {output['format']}")
        _say(console, f"  first sample: {first}{more}")
    if facts["state"]:
        _say(console, f"state after the last step: {', '.join(facts['state'])}")


def check_facts(check: "Check", machines: Iterable[Target] = ()) -> Facts:
    """What `hwsim verify` says of a comparison, and of the accumulators of `machines`."""
    first = check.first_difference
    return {
        "engine": check.engine,
        "against": check.against,
        "samples": check.samples,
        "exact": check.exact,
        "agrees": check.agrees,
        "tolerance": check.tolerance,
        "compared": check.compared,
        "first_difference": None
        if first is None
        else {
            name: _plain(getattr(first, name))
            for name in ("tensor", "op", "node", "index", "expected", "actual", "details")
        },
        "explanation": check.explanation,
        "accumulators": [sum_facts(found) for found in check.sums],
        "overflows": overflows(check, machines),
        "tensors": [{name: getattr(t, name) for name in t.__slots__} for t in check.tensors],
    }


def overflows(check: "Check", machines: Iterable[Target] = ()) -> list[str]:
    """Which layers' sums may leave, or left, the accumulator of the engine, or of one of `machines`."""
    return [*engine_overflows(check.sums, check.engine), *_too_narrow(check.sums, machines)]


def print_check(console: Console, check: "Check", machines: Iterable[Target] = ()) -> None:
    """`hwsim verify` for people: how wide sums got, the verdict, the tensors that differ, the reason."""
    elements = sum(t.elements for t in check.tensors)
    _say(
        console,
        f"{check.engine} simulated against {check.against}: "
        f"{check.compared} of {len(check.tensors)} tensors compared, {elements:,} elements, {check.samples} samples",
    )
    for line in (summary(check.sums), *overflows(check, machines)):
        if line:
            _say(console, line)
    if check.exact:
        _say(console, "exact: every element is equal", style="green")
        return
    if check.agrees:
        largest = max(t.largest for t in check.tensors)
        bound = f"within {check.tolerance:g} of the range of its tensor; the largest difference is {largest:.3g}"
        _say(console, f"agrees: every integer is equal, every float {bound}", style="green")
        return
    wrong = [t for t in check.tensors if t.differing]
    if not wrong:
        _say(console, check.explanation, style="yellow", highlight=False)
        return
    rows = [(shorten(t.tensor), t.op, t.elements, t.differing, f"{t.largest:g}", t.alone) for t in wrong]
    columns = ["tensor", "op", "elements", "differ", "largest", "by itself"]
    console.print(table(f"{len(wrong)} tensors differ", columns, rows, columns[2:]))
    _say(console, check.explanation, style="yellow", highlight=False)


def _say(console: Console, text: str, *, style: str | None = None, highlight: bool | None = None) -> None:
    """A line of prose, which only a terminal breaks: a program that reads it gets it whole."""
    console.print(text, style=style, highlight=highlight, markup=False, soft_wrap=True)


def _too_narrow(sums: Sequence[Accumulator], machines: Iterable[Target]) -> list[str]:
    return [line for machine in machines for line in target_overflows(sums, machine.profile)]


def _saturations(graph: Graph) -> list[str]:
    """Which layers' pairs of products may saturate under the engines that add them in 16 bits."""
    builds = (engine_called(f"{e.name}:{variant}") for e in engines().values() for variant in e.variants)
    pairing = [build for build in builds if any(rules.endswith("-pairs") for rules in build.lineage)]
    return [line for build in pairing for line in engine_overflows(guaranteed(graph, build), build.name)]


def _refusal(view: NodeView, engine: Engine) -> str | None:
    """Why `engine` cannot run this node, None where it can."""
    try:
        op = operator(view)
        rule = op.rule(engine, view)
        op.check(view)
        op.check_state(view)
        _tables.bind(op, view, rule)
    except HwsimError as error:
        return str(error)
    return None


def _tensor_facts(graph: Graph, index: int) -> Facts:
    tensor = graph.tensors[index]
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape), "format": str(tensor.format)}


def _node_facts(view: NodeView) -> Facts:
    try:
        macs = operator(view).macs(view)
    except HwsimError:
        macs = 0
    outputs = view.outputs
    shape, dtype = (list(outputs[0].shape), outputs[0].dtype) if outputs else ([], "")
    return {"op": view.node.op, "name": view.node.name, "shape": shape, "dtype": dtype, "macs": macs}


def _strict(value: Any) -> Any:
    """The same facts with words for floats that JSON cannot write."""
    if isinstance(value, Mapping):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
