"""`hwsim info`."""

import hwsim
from hwsim.cli._costed import TargetNames, machines
from hwsim.cli._options import Json, Model
from hwsim.reports.terminal import out


def info(model: Model, target: TargetNames = None, json: Json = False) -> None:
    """Show a network's nodes, how wide their sums can get, and which engines can run it."""
    from hwsim.reports.console import graph_facts, print_graph, print_json

    facts = graph_facts(hwsim.load(model), machines(target))
    if json:
        print_json(facts)
    else:
        print_graph(out, facts)
