"""`hwsim info`."""

import hwsim
from hwsim.cli._options import Json, Model
from hwsim.reports.terminal import out


def info(model: Model, json: Json = False) -> None:
    """Show a network's nodes, and which engines can run it."""
    from hwsim.reports.console import graph_facts, print_graph, print_json

    facts = graph_facts(hwsim.load(model))
    if json:
        print_json(facts)
    else:
        print_graph(out, facts)
