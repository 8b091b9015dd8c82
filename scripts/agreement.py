"""Write docs/agreement.md: how many elements differ from the real engines, network by network and operator by operator.

    python scripts/agreement.py FOLDER_WITH_TFLITE_FILES [--images cifar10_test.npz]

Every row is run when the script runs. The networks are public: mlcommons/tiny (training/*/trained_models),
google-coral/test_data, tensorflow/tflite-micro. Those that hwsim cannot run yet are listed with the reason.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import hwsim
from hwsim.engines import real_engines
from hwsim.errors import HwsimError, UnsupportedError
from hwsim.graph import Graph
from hwsim.graph.probes import probe_inputs
from hwsim.reports.markdown import table
from hwsim.verify.reference import ReferenceSession, installed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.random_graphs import MAKERS, dtypes, inputs_for, many  # noqa: E402

SAMPLES, NODES = 20, 40
MARKER, END = "<!-- agreement: written by scripts/agreement.py -->", "<!-- end -->"


def main() -> None:
    """Run everything, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="a folder with .tflite files")
    parser.add_argument("--images", type=Path, help="npz with x (n, 32, 32, 3) uint8 and y (n,): CIFAR-10 test images")
    options = parser.parse_args()
    networks = list(network_rows(options.models))
    operators = list(operator_rows())
    accuracy = list(accuracy_rows(options.models, options.images)) if options.images else []
    (ROOT / "docs" / "agreement.md").write_text(page(networks, operators, accuracy))
    write_readme(networks)


def network_rows(folder: Path) -> Iterator[list[object]]:
    """Network, engine, tensors, elements, differing; or the reason why it did not run."""
    for file in sorted(folder.glob("*.tflite")):
        graph = hwsim.load(file)
        yield from rows_for(file.stem, graph, probe_inputs(graph, SAMPLES))


def operator_rows() -> Iterator[list[object]]:
    """The same for random graphs of one operator."""
    for op in sorted(MAKERS):
        for dtype in sorted({"int8", "uint8"} & {*dtypes(op)}):
            graph = many(op, dtype, NODES, seed=7)
            yield from rows_for(f"{op} {dtype}", graph, inputs_for(graph, 3))


def rows_for(name: str, graph: Graph, inputs: list[np.ndarray]) -> Iterator[list[object]]:
    """One row for each engine."""
    for engine in real_engines():
        try:
            check = hwsim.verify(graph, inputs, engine=engine)
        except UnsupportedError as error:
            yield [name, engine, "not run", "", str(error)]
            continue
        except HwsimError as error:
            yield [name, engine, "failed", "", str(error)]
            continue
        elements = sum(record.elements for record in check.tensors)
        differing = sum(record.differing for record in check.tensors)
        print(name, engine, check.compared, differing, flush=True)
        yield [name, engine, f"{check.compared} of {len(check.tensors)}", f"{elements:,}", differing]


def accuracy_rows(folder: Path, images: Path) -> Iterator[list[object]]:
    """Accuracy of the MLPerf Tiny ResNet, and images on which the prediction differs from the real engine's."""
    graph = hwsim.load(folder / "pretrainedResnet_quant.tflite")
    with np.load(images) as data:
        x, y = (data["x"].astype(np.int16) - 128).astype(np.int8), data["y"]
    for name, profile in real_engines().items():
        ours = hwsim.simulate(graph, x, name).outputs[0].argmax(axis=1)
        real = ReferenceSession(graph, profile).tensors({graph.inputs[0]: x[:, None]})[graph.outputs[0]]
        theirs = real.reshape(len(x), -1).argmax(axis=1)
        yield [
            name,
            f"{100 * (ours == y).mean():.2f} %",
            f"{100 * (theirs == y).mean():.2f} %",
            int((ours != theirs).sum()),
        ]


def page(networks: list[list[object]], operators: list[list[object]], accuracy: list[list[object]]) -> str:
    """The page."""
    versions = sorted({f"{e.package} {installed(e)}" for e in real_engines().values() if e.package})
    columns = ["what", "engine", "tensors", "elements", "differing"]
    ran = [row for row in networks + operators if isinstance(row[4], int)]
    skipped = [[row[0], row[1], row[4]] for row in networks + operators if not isinstance(row[4], int)]
    total, wrong = sum(int(str(row[3]).replace(",", "")) for row in ran), sum(int(str(row[4])) for row in ran)
    parts = [
        "# Agreement with real engines",
        f"Written by `scripts/agreement.py`; engines: {', '.join(versions)}. Every intermediate tensor is compared, on "
        f"{SAMPLES} random inputs and on all-minimum, all-maximum and zero-point inputs. "
        f"In all {total:,} elements, {wrong:,} differ.",
        "## Networks",
        table(columns, [row for row in networks if isinstance(row[4], int)]),
        f"## Operators, {NODES} random graphs a row",
        table(columns, [row for row in operators if isinstance(row[4], int)]),
        "## MLPerf Tiny ResNet on 846 CIFAR-10 test images" if accuracy else "",
        table(["engine", "hwsim", "real engine", "predictions that differ"], accuracy) if accuracy else "",
        "Every operator and dtype one by one, with more random models: [conformance.md](conformance.md).",
        "## Not run",
        table(["what", "engine", "reason"], skipped),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_readme(networks: list[list[object]]) -> None:
    """The README's short table: differing of all elements, network by engine, for networks that some engine runs."""
    engines, cells = list(real_engines()), {}
    for name, engine, _, elements, differing in networks:
        cells[name, engine] = f"{differing} of {elements}" if isinstance(differing, int) else "no kernel"
    names = dict.fromkeys(row[0] for row in networks if isinstance(row[4], int))
    short = table(["network", *engines], [[name, *(cells[name, engine] for engine in engines)] for name in names])
    readme = ROOT / "README.md"
    start, rest = readme.read_text().split(MARKER)
    readme.write_text(f"{start}{MARKER}\n{short}\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main()
