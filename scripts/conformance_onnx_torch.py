"""Write docs/onnx_torch.md: random single operators, hwsim against ONNX Runtime and PyTorch's quantized backends.

    python scripts/conformance_onnx_torch.py [--emulator "qemu-x86_64 -cpu Haswell-v4"]

Needs the packages onnx, onnxruntime and torch. Each operator is made 200 times, from its own seed, with shapes, scales,
zero points and codes over their whole ranges. `--emulator` runs the real engines once more on a processor without VNNI;
without it the page keeps what it says of that.
"""

import argparse
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests import onnx_cases, torch_cases  # noqa: E402
from tests.build import codes  # noqa: E402
from tests.processor import has_vnni  # noqa: E402

CASES, EMULATED_CASES = 200, 60
WITHOUT = "## On a processor without VNNI"
Case = tuple[str, str, str, str]
"""Engine, the real engine's operator, hwsim's operator, kinds of codes."""


def main() -> None:
    """Run everything, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emulator", help="a command that runs programs on a processor without VNNI")
    parser.add_argument("--real", nargs=2, metavar=("CASES", "FILE"), help="only run the real engines (for itself)")
    options = parser.parse_args()
    if options.real:
        write_real(int(options.real[0]), Path(options.real[1]))
        return
    native = "" if has_vnni() else ":no_vnni"
    tables = [rows(CASES, [], native)]
    if options.emulator:
        tables.append(rows(EMULATED_CASES, shlex.split(options.emulator), ":no_vnni"))
    file = ROOT / "docs" / "onnx_torch.md"
    kept = "" if options.emulator else file.read_text().partition(WITHOUT)[2]
    file.write_text(page(tables) + (f"\n{WITHOUT}{kept}" if kept else ""))


def cases() -> Iterator[Case]:
    """Everything that is compared."""
    for operator, (ops, kinds) in onnx_cases.OPERATORS.items():
        yield from (("onnxruntime-x86", operator, op, kind) for op in ops for kind in kinds)
    for backend in torch_cases.BACKENDS:
        for operator, ops in torch_cases.OPERATORS.items():
            yield from ((backend, operator, op, "uint8 int8") for op in ops)


def one(case: Case, number: int) -> tuple[Any, list[Any]]:
    """The graph and the inputs of a case."""
    engine, operator, op, kind = case
    g = np.random.default_rng([number, *" ".join(case).encode()])
    if engine == "onnxruntime-x86":
        graph = onnx_cases.make(operator, op, kind, g)
        return graph, onnx_cases.random_inputs(graph, g)
    graph = torch_cases.make(op, g)
    return graph, [codes(g, (3, *graph.tensors[0].shape[1:]), "uint8")]


def write_real(count: int, file: Path) -> None:
    """What the real engines give, case by case."""
    warnings.simplefilter("ignore")
    found = {}
    for case in cases():
        for number in range(count):
            graph, inputs = one(case, number)
            if case[0] == "onnxruntime-x86":
                out = onnx_cases.run_onnx(case[1], graph, inputs)
            else:
                out = torch_cases.run_torch(case[0], case[1], graph, inputs[0])
            found["|".join((*case, str(number)))] = out
    np.savez(file, **found)


def rows(count: int, emulator: list[str], variant: str) -> list[list[object]]:
    """Engine, operators, kinds, cases, elements, differing, and what exact sums would make differ."""
    table = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "real.npz"
        command = [*emulator, sys.executable, __file__, "--real", str(count), str(file)]
        subprocess.run(command, check=True)
        with np.load(file) as real:
            for case in cases():
                name = case[0] + (variant if case[0] != "qnnpack" else "")
                elements = differing = exact = 0
                for number in range(count):
                    graph, inputs = one(case, number)
                    expected = real["|".join((*case, str(number)))]
                    elements += expected.size
                    differing += differences(graph, inputs, name, expected)
                    exact += differences(graph, inputs, case[0], expected)
                table.append([name, case[1], case[2], case[3], count, f"{elements:,}", differing, exact])
    return table


def differences(graph: Any, inputs: list[Any], engine: str, expected: Any) -> int:
    """How many elements `engine` simulates otherwise."""
    import hwsim

    got = hwsim.simulate(graph, inputs, engine).outputs[0].reshape(expected.shape)
    return int((got != expected).sum())


def page(tables: list[list[list[object]]]) -> str:
    """The page, as Markdown."""
    from hwsim.reports.markdown import table

    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("onnxruntime", "torch"))
    names = ["engine", "real operator", "hwsim operator", "codes", "cases", "elements", "differing", "with exact sums"]
    here = "with" if has_vnni() else "without"
    parts = [
        "# ONNX Runtime and PyTorch, operator by operator",
        f"Written by `scripts/conformance_onnx_torch.py`; {versions}. Random single operators: shapes, scales per "
        "tensor and per channel, zero points and codes over their whole ranges. `differing` counts elements by "
        "equality; `with exact sums` those that differ from the engine's variant that sums exactly.",
        f"## On a processor {here} VNNI",
        table(names, tables[0]),
    ]
    if len(tables) > 1:
        parts += [
            WITHOUT,
            "The same packages on an emulated processor with AVX2 only (`--emulator`): neighbouring products of uint8 "
            "and int8 are added in int16 with saturation, except in ConvInteger and in depthwise convolutions of one "
            "filter per channel.",
            table(names, tables[1]),
        ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


if __name__ == "__main__":
    main()
