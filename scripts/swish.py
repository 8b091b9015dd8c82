"""Write LSQ+'s table in small into docs/torch.md: a network with Swish, quantized with and without an offset.

    python scripts/swish.py WORK [--data FOLDER]

FOLDER holds the four files of Debian's package ``dataset-fashion-mnist`` (MIT licence). WORK keeps the float network
and what each training gave: one that was done is not done again. All 38 take about six minutes of one core.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from qat import ROOT, replace_part
from torch import nn
from train_demo import DATA, load_data

from hwsim.errors import UnsupportedError
from hwsim.reports.markdown import table
from hwsim.reports.terminal import loss_bar
from hwsim.torch_bridge import Config, Plan, compare, export_module, fine_tune, prepare
from hwsim.torch_bridge.train import Batch

MARKER, END = "<!-- swish: written by scripts/swish.py -->", "<!-- end of swish -->"
BATCH, CALIBRATION, TESTED = 64, 256, 5000
CHANCE = 10.0
FLOAT_PLAN = Plan(steps=1500, rate=0.1)
PLANS = {4: Plan(steps=100, rate=0.01), 2: Plan(steps=150, rate=0.005)}
SEEDS = {4: 2, 2: 5}
CONFIGURATIONS = {
    "unsigned, symmetric (LSQ)": {"signed": False, "activations_by": "lsq"},
    "signed, symmetric": {"signed": True, "activations_by": "lsq"},
    "signed, offset": {"signed": True, "activations_by": "lsq+"},
    "unsigned, offset (LSQ+)": {"signed": False, "activations_by": "lsq+"},
}
STARTS = {
    "min-max": {"start": "min-max", "weights_start": "min-max"},
    "LSQ": {"start": "lsq", "weights_start": "lsq"},
    "MSE": {"start": "mse", "weights_start": "lsq+"},
}
LAST, BEST = "unsigned, offset (LSQ+)", "MSE"
Data = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Run:
    """One training: the bits of weights and activations, names in `CONFIGURATIONS` and `STARTS`, and a seed."""

    bits: int
    configuration: str
    start: str
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        return f"W{self.bits}A{self.bits} {self.configuration}, {self.start}, seed {self.seed}"

    @property
    def file(self) -> str:
        """For its result."""
        return "".join(c for c in self.name.lower().replace(" ", "-") if c.isalnum() or c == "-") + ".json"

    @property
    def config(self) -> Config:
        """What `prepare` takes."""
        return Config(self.bits, self.bits, **CONFIGURATIONS[self.configuration], **STARTS[self.start])  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Result:
    """Accuracies in percent, before training, after it and of the exported integers; the mean of the last losses."""

    untrained: float
    fake_quantized: float
    integer: float
    loss: float


def network() -> nn.Module:
    """A convolution, three depthwise-separable blocks and a linear layer. None pads, so that offsets are free."""
    layers = block(1, 24, 3, stride=2)
    for inside, outside, stride in ((24, 48, 1), (48, 64, 2), (64, 96, 1)):
        layers += block(inside, inside, 3, stride=stride, groups=inside) + block(inside, outside, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10))


def block(inside: int, outside: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution, batch norm and Swish."""
    convolution = nn.Conv2d(inside, outside, kernel, stride, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outside), nn.SiLU()]


def runs() -> list[Run]:
    """Of both tables, each once."""
    first = [run for bits in PLANS for name in CONFIGURATIONS for run in seeded(bits, name, BEST)]
    second = [run for start in STARTS for run in seeded(2, LAST, start)]
    return list(dict.fromkeys(first + second))


def seeded(bits: int, configuration: str, start: str) -> list[Run]:
    """One for each seed."""
    return [Run(bits, configuration, start, seed) for seed in range(SEEDS[bits])]


def main() -> None:
    """Train what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="a folder for the float network and the results")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    train, (x, labels) = samples(options.data, "train"), samples(options.data, "t10k")
    test = x[:TESTED], labels[:TESTED]
    module = trained(options.work / "swish.pt", train)
    results = {}
    for run in runs():
        file = options.work / run.file
        if not file.exists():
            file.write_text(json.dumps(asdict(outcome(run, module, train, test))))
        results[run] = Result(**json.loads(file.read_text()))
        print(run.name, results[run], flush=True)
    replace_part(ROOT / "docs" / "torch.md", MARKER, END, text(accuracy(module, test), results))


def samples(folder: Path, part: str) -> Data:
    """Images (samples, 1, 28, 28) from 0 to 1, and labels."""
    images, labels = load_data(folder, part)
    return torch.from_numpy(images.reshape(-1, 1, 28, 28)).float() / 255, torch.from_numpy(labels.astype(np.int64))


def trained(file: Path, train: Data) -> nn.Module:
    """The float network."""
    torch.manual_seed(0)
    module = network()
    with loss_bar("float") as bar:
        fine_tune(module, batches(train, 0), FLOAT_PLAN, checkpoint=file, progress=bar)
    return module.eval()


def batches(train: Data, seed: int):  # type: ignore[no-untyped-def]
    """A batch for every step, drawn from all images."""

    def batch(step: int) -> Batch:
        generator = torch.Generator().manual_seed(1_000_000 * seed + step)
        chosen = torch.randint(len(train[0]), (BATCH,), generator=generator)
        return train[0][chosen], train[1][chosen], None

    return batch


def outcome(run: Run, module: nn.Module, train: Data, test: Data) -> Result:
    """Prepare, train, export and count."""
    prepared, batch = prepare(module, run.config), batches(train, 1 + run.seed)
    fine_tune(prepared, batch, Plan(steps=0))
    untrained = accuracy(prepared, test)
    with loss_bar(run.name) as bar:
        losses = fine_tune(prepared, batch, PLANS[run.bits], progress=bar)
    fake_quantized = accuracy(prepared, test)
    try:
        found = compare(export_module(prepared, train[0][:CALIBRATION]), prepared, test[0])
        integer = 100 * float((found.integer_outputs.argmax(1) == test[1].numpy()).mean())
    except UnsupportedError as error:
        print(f"{run.name} cannot be integers: {error}", flush=True)
        integer = CHANCE
    return Result(untrained, fake_quantized, integer, float(np.mean(losses[-20:])))


def accuracy(module: nn.Module, test: Data) -> float:
    """In percent."""
    with torch.no_grad():
        guesses = torch.cat([module(part).argmax(1) for part in test[0].split(500)])
    return 100 * float((guesses == test[1]).float().mean())


def text(float_accuracy: float, results: dict[Run, Result]) -> str:
    """Both tables."""
    configurations = [
        [f"W{bits}A{bits}", name, *spread(results, seeded(bits, name, BEST))]
        for bits in PLANS
        for name in CONFIGURATIONS
    ]
    starts = [[name, *spread(results, seeded(2, LAST, name))] for name in STARTS]
    measured = ["before training", "fake-quantized", "integers", "lowest of them", "highest"]
    return f"""
## Swish: offsets and starts

A convolution, three depthwise-separable blocks and a linear layer, 13,514 parameters, each layer but the last followed
by batch norm and Swish, trained by this project on Fashion-MNIST (MIT licence) to {float_accuracy:.2f} % of the first
{TESTED:,} test images. First and last layer 8 bits; {PLANS[4].steps} steps of {BATCH} at four bits, {PLANS[2].steps} at
two; {SEEDS[4]} and {SEEDS[2]} seeds for the choice of images. Swish and the quantizer behind it are exported as one
table of 256 codes.

Mean and standard deviation of the accuracy in percent, of the float forward with quantizers before and after training,
and of the exported integers under engine `dyadic`, 10 where a training ended in scales that no integers hold; one
standard error of one accuracy is 0.5 to 0.7 points. What integers lose at two bits is mostly the rounding of
biases, which `fraction_bits` avoids.

{table(["bits", "activations", *measured], configurations)}

W2A2, {LAST}, by how scales and offsets start; MSE starts weights at three deviations, as LSQ+'s paper does:

{table(["start", *measured], starts)}

{finding(results)}
"""


def finding(results: dict[Run, Result]) -> str:
    """Whether this shows what LSQ+'s paper shows, in words."""
    gains = []
    for bits in PLANS:
        means = {name: float(np.mean(integers(results, seeded(bits, name, BEST)))) for name in CONFIGURATIONS}
        symmetric = max(mean for name, mean in means.items() if "symmetric" in name)
        gains.append(f"{means[LAST] - symmetric:+.2f} at {bits} bits")
    reached = {name: [results[run].fake_quantized for run in seeded(2, LAST, name)] for name in STARTS}
    spreads = [
        f"{name} {deviation(values):.2f}" if min(values) > 2 * CHANCE else f"{name} fails"
        for name, values in reached.items()
    ]
    return f"""LSQ+ against the better symmetric configuration, in points of the integers: {" and ".join(gains)}.
Deviation over seeds by start, fake-quantized: {", ".join(spreads)}.
The paper finds offsets better and MSE steadiest."""


def integers(results: dict[Run, Result], of: list[Run]) -> list[float]:
    """The accuracies of the exported integers."""
    return [results[run].integer for run in of]


def spread(results: dict[Run, Result], of: list[Run]) -> list[str]:
    """Means and deviations, and the ends of the integers' accuracy."""
    parts = [[getattr(results[run], part) for run in of] for part in ("untrained", "fake_quantized", "integer")]
    means = [f"{np.mean(part):.2f} ± {deviation(part):.2f}" for part in parts]
    return [*means, f"{min(parts[-1]):.2f}", f"{max(parts[-1]):.2f}"]


def deviation(values: list[float]) -> float:
    """Of a sample."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
