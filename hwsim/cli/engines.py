"""`hwsim engines`."""

import hwsim
from hwsim.cli._options import Json
from hwsim.reports.terminal import out


def engines(json: Json = False) -> None:
    """List the engines whose arithmetic hwsim knows."""
    from hwsim.reports.console import print_engines, print_json

    if json:
        print_json(
            {
                e.name: {
                    "summary": e.summary,
                    "processor": e.processor,
                    "source": e.source,
                    "variants": [f"{e.name}:{variant}" for variant in e.variants],
                }
                for e in hwsim.engines().values()
            }
        )
    else:
        print_engines(out)
