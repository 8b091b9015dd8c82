"""Write the transformer's figures of docs/torch.md: encoders trained on the images that hwsim ships, in integers.

    python scripts/transformer.py [STEPS]

Trains for STEPS steps of Adam, 300 unless given: two cores take about ten seconds for an encoder. Images are read as 14
tokens of two lines; the first 400 train, accuracy is of the other 100, flips and codes of all 500.
"""

import re
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import hwsim
from hwsim.demo import images
from hwsim.reports.markdown import table
from hwsim.torch_bridge import compare, import_module, prove

PAGE = Path(__file__).resolve().parents[1] / "docs" / "torch.md"
MARKS = re.compile(r"(<!-- transformer: written by scripts/transformer.py -->\n).*?(<!-- end -->)", re.DOTALL)
TOKENS, WIDTH, HEADS, HIDDEN, CLASSES, TRAIN, PROVEN = 14, 32, 4, 64, 10, 400, 32
NETWORKS = {"1 layer, norm after": (1, False), "2 layers, norm after": (2, False), "2 layers, norm before": (2, True)}
ENGINES = ("ibert", "dyadic", "litert-reference")
COLUMNS = (
    "network", "engine", "float %", "integers %", "flips of 500", "mean code error", "largest", "codes proven",
    "differing",
)  # fmt: skip


class Classifier(nn.Module):
    """Tokens to classes."""

    def __init__(self, layers: int, before: bool) -> None:
        super().__init__()
        self.read, self.answer = nn.Linear(784 // TOKENS, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.place = nn.Parameter(0.1 * torch.randn(1, TOKENS, WIDTH))
        layer = {"activation": "gelu", "batch_first": True, "norm_first": before, "dropout": 0.0}
        self.blocks = nn.Sequential(
            *(nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, **layer) for _ in range(layers)), nn.LayerNorm(WIDTH)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) of tokens (batch, tokens, pixels)."""
        return self.answer(self.blocks(self.read(x) + self.place).mean(1))


def trained(layers: int, before: bool, x: torch.Tensor, labels: torch.Tensor, steps: int) -> Classifier:
    """A classifier after `steps` of Adam, seeded."""
    torch.manual_seed(0)
    network = Classifier(layers, before)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(steps):
        chosen = torch.randint(TRAIN, (64,))
        loss = functional.cross_entropy(network(x[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def row(name: str, engine: str, network: Classifier, x: torch.Tensor, labels: np.ndarray) -> list[object]:
    """What integers under `engine` give, and what the reference says to that."""
    graph = import_module(network, (x[:1],))
    integers = hwsim.quantize(graph, x[:TRAIN].numpy(), engine=engine)
    found = compare(integers, network, x, engine=engine)
    output = integers.tensors[integers.outputs[0]]
    codes = [np.clip(np.rint(v / output.scale) + output.zero_point, -128, 127)
             for v in (found.integer_outputs, found.float_outputs)]  # fmt: skip
    right = [f"{100 * (v[TRAIN:].argmax(1) == labels[TRAIN:]).mean():.0f}"
             for v in (found.float_outputs, found.integer_outputs)]  # fmt: skip
    proof = prove(integers, x[:PROVEN], engine) if engine == "ibert" else None
    proven = [f"{proof.codes:,}", sum(proof.differing.values())] if proof else ["", ""]
    error = np.abs(codes[0] - codes[1]).mean()
    return [name, engine, *right, found.flips, f"{error:.2f}", found.largest, *proven]


def main() -> None:
    """Train, count, write."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    torch.set_num_threads(1)
    codes, labels = images()
    x, y = torch.from_numpy(codes.reshape(-1, TOKENS, 784 // TOKENS) / np.float32(128)), labels.astype(np.int64)
    rows = []
    for name, shape in NETWORKS.items():
        network = trained(*shape, x, torch.from_numpy(y), steps)
        rows += [row(name, engine, network, x, y) for engine in ENGINES]
        print(*rows[-len(ENGINES) :], sep="\n", file=sys.stderr)
    text = table(COLUMNS, rows)
    page, count = MARKS.subn(lambda found: f"{found[1]}\n{text}\n{found[2]}", PAGE.read_text())
    assert count == 1, PAGE
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
