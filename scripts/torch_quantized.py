"""Write the section of docs/torch.md on networks quantized elsewhere: every tensor, hwsim against torch's engines.

    python scripts/torch_quantized.py [--data FOLDER] [--images 846] [--random 40]

FOLDER holds resnet20_cifar10.npz and the images of `qat_network.py`. Needs torch; torchao and brevitas for their rows.
"""

import argparse
import logging
import sys
import warnings
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
from qat_network import images, resnet20  # noqa: E402

from hwsim.reports.markdown import table  # noqa: E402
from hwsim.simulate import simulate  # noqa: E402
from hwsim.torch_bridge import compare_quantized, import_quantized  # noqa: E402
from hwsim.torch_bridge.quantized import ENGINES, in_order  # noqa: E402
from tests.torch_bridge import quantized_modules as modules  # noqa: E402

MARKER, END = "<!-- quantized: written by scripts/torch_quantized.py -->", "<!-- end of quantized -->"
CALIBRATION, PT2E_CALIBRATION = 256, 32
NAMES = ["network", "quantized by", "hwsim engine", "samples", "tensors", "elements", "differing", "flips"]


def main() -> None:
    """Run everything, then write the section."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--images", type=int, default=846)
    parser.add_argument("--random", type=int, default=40, help="random modules of single operators")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = networks(options.data, options.images)
    for backend in ENGINES:
        rows += random_rows(backend, options.random)
    page = ROOT / "docs" / "torch.md"
    before, _, rest = page.read_text().partition(MARKER)
    after = rest.partition(END)[2]
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("torch", "torchao", "brevitas") if find_spec(name)
    )
    text = (
        f"{MARKER}\n\n{versions}; {torch.backends.cpu.get_cpu_capability()}.\n\n{table(NAMES, rows).strip()}\n\n{END}"
    )
    page.write_text(before + text + after)


def networks(data: Path, count: int) -> list[list[object]]:
    """ResNet-20 as FX and pt2e quantize it, and a small network of Brevitas, on CIFAR-10 images."""
    x, _ = images(data, "cifar10_test_lossless846.npz")
    calibration, _ = images(data, "cifar10_train_lossless7728.npz")
    x, rows = x[:count], list[list[object]]()
    for backend, engine in ENGINES.items():
        batches = [calibration[i : i + 64] for i in range(0, CALIBRATION, 64)]
        rows.append(
            row("ResNet-20", f"FX, {backend}", engine, modules.fx_quantized(resnet20(data), backend, batches), x)
        )
    if find_spec("torchao"):
        lowered = modules.pt2e_lowered(resnet20(data), calibration[:PT2E_CALIBRATION])
        rows.append(row("ResNet-20", "torchao pt2e, lowered to x86", "onednn:pt2e", lowered, x))
    if find_spec("brevitas"):
        small = x[:, :, 8:24, 8:24].contiguous()
        network = modules.brevitas_network(calibration[:64, :, 8:24, 8:24])
        rows.append(row("small residual, W4A4 and W8A8", "Brevitas", "onednn", network, small))
    return rows


def row(network: str, by: str, engine: str, module: nn.Module, x: torch.Tensor) -> list[object]:
    """One line of the table; flips are samples whose largest output is another one."""
    graph = import_quantized(module, (x[:1],))
    proof = compare_quantized(graph, module, x, engine=engine)
    ours = simulate(graph, in_order(x), engine).outputs[0].argmax(-1)
    with torch.no_grad():
        theirs = np.array([int(torch.as_tensor(module(x[i : i + 1])).argmax()) for i in range(len(x))])
    flips = int((ours != theirs).sum())
    return [network, by, engine, len(x), len(proof.differing), f"{proof.codes:,}", sum(proof.differing.values()), flips]


def random_rows(backend: str, count: int) -> list[list[object]]:
    """Random layers and elementwise operators, full codes and 7-bit ones."""
    torch.backends.quantized.engine = backend
    rows = []
    for name, make in (("layers", _layers), ("elementwise", _elementwise)):
        elements = differing = tensors = 0
        for number in range(count):
            module, x = make(np.random.default_rng(number))
            proof = compare_quantized(import_quantized(module, (x,)), module, x)
            elements, differing = elements + proof.codes, differing + sum(proof.differing.values())
            tensors = len(proof.differing)
        counted: list[object] = [count, tensors, f"{elements:,}", differing, "-"]
        rows.append([f"random {name}", f"eager, {backend}", ENGINES[backend], *counted])
    return rows


def _layers(g: np.random.Generator) -> tuple[nn.Module, torch.Tensor]:
    module = modules.Layers(g, per_channel=bool(g.integers(2)), reduced=bool(g.integers(2)))
    return module, module.images(g)


def _elementwise(g: np.random.Generator) -> tuple[nn.Module, torch.Tensor]:
    module: Any = modules.Elementwise(g)
    return module, module.images(g)


if __name__ == "__main__":
    main()
