"""Write the figures of docs/torch.md: ResNet-20 for CIFAR-10, trained to few bits and exported to integers.

    python scripts/qat.py DATA WORK [RUN ...]

DATA holds resnet20_cifar10.npz and the CIFAR-10 images as its README names them. WORK keeps checkpoints: a run that was
stopped goes on, a run that is done is only exported and counted again. Without RUN all are made; one idle core takes
about a minute for 150 steps of either quantizer, and each of the two bits takes its --minutes.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from qat_network import batches, images, resnet20
from torch import nn

import hwsim
from hwsim.reports.markdown import table
from hwsim.reports.terminal import loss_bar
from hwsim.torch_bridge import Config, Plan, compare, export_module, fine_tune, import_module, prepare, prove

ROOT = Path(__file__).resolve().parents[1]
MARKER, END = "<!-- figures: written by scripts/qat.py -->", "<!-- end -->"
BATCH, CALIBRATION, PROVEN = 128, 256, 64
QUARTERS = (0.25, 0.5, 0.75)
TICKS = (0.2, 0.5, 1, 2, 5)


@dataclass(frozen=True, slots=True)
class Task:
    """A configuration and how it is trained; no steps: only started on one batch."""

    config: Config
    plan: Plan


LCQ = {"weights_by": "lcq", "activations_by": "lcq"}
TASKS = {
    "W8A8 LSQ+": Task(Config(8, 8), Plan(steps=0)),
    "W4A4 LSQ+ untrained": Task(Config(4, 4), Plan(steps=0)),
    "W4A4 LSQ+": Task(Config(4, 4, weights_start="lsq+"), Plan(steps=150)),
    "W4A4 LCQ": Task(Config(4, 4, weights_start="lsq+", **LCQ), Plan(steps=150)),
    "W2A2 LSQ+ untrained": Task(Config(2, 2), Plan(steps=0)),
    "W2A2 LSQ+": Task(Config(2, 2), Plan(minutes=20, rate=0.02)),
    "W2A2 LCQ": Task(Config(2, 2, **LCQ), Plan(minutes=20, rate=0.02)),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave, on the test images; accuracies in percent.

    fake_quantized, integer : accuracies of the float forward with quantizers, and of the exported graph
    flips : test images on which these two disagree
    codes : share of outputs that differ between them in codes
    proven, differing : codes compared with the reference, over all tensors, and how many of them differ
    losses : of every step of training
    quarters : `integer` after a quarter, a half and three quarters of training
    minutes : of processor time that training was given; None where it was given steps
    """

    steps: int
    fake_quantized: float
    integer: float
    flips: int
    codes: float
    proven: int
    differing: int
    losses: list[float]
    quarters: list[float] = field(default_factory=list)
    minutes: float | None = None


def main() -> None:
    """Train what is asked for, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, help="a folder for checkpoints and results")
    parser.add_argument("run", nargs="*", choices=[[], *TASKS], help="default: all")
    parser.add_argument("--as-is", action="store_true", help="export checkpoints as they are, without further training")
    parser.add_argument("--minutes", type=float, default=20.0, help="of processor time for each of two bits")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    network = resnet20(options.data)
    for name in options.run or TASKS:
        task = TASKS[name]
        if task.plan.minutes is not None:
            task = replace(task, plan=replace(task.plan, minutes=options.minutes))
        if options.as_is:
            task = replace(task, plan=replace(task.plan, steps=0, minutes=None))
        result = run(name, task, network, options.data, options.work)
        (options.work / f"{file_name(name)}.json").write_text(json.dumps(asdict(result)))
        print(name, result.integer, flush=True)
    figures = text(float_figures(network, options.data), options.work)
    replace_part(ROOT / "docs" / "torch.md", MARKER, END, figures)


def file_name(name: str) -> str:
    """A run's name in file names."""
    return name.lower().replace(" ", "-").replace("+", "-plus")


def run(name: str, task: Task, network: nn.Module, data: Path, work: Path) -> Result:
    """Train, or go on training, then export, prove and count."""
    torch.manual_seed(0)
    module = prepare(network, task.config)
    train, _ = images(data, "cifar10_train_lossless7728.npz")
    x, labels = images(data, "cifar10_test_lossless846.npz")
    losses: list[float] = []
    checkpoint = work / f"{file_name(name)}.pt"
    if task.plan.steps or checkpoint.exists():
        with loss_bar(name) as bar:
            heard = Snapshots(module, checkpoint, bar)
            losses = fine_tune(module, batches(data, network, BATCH), task.plan, checkpoint=checkpoint, progress=heard)
    with torch.no_grad():
        module.eval()
        module(train[:BATCH])
    graph = export_module(module, train[:CALIBRATION])
    graph.save(work / f"{file_name(name)}.hwsim")
    proof, found = prove(graph, x[:PROVEN]), compare(graph, module, x)
    quarters = []
    for file in (snapshot(checkpoint, quarter) for quarter in QUARTERS):
        if file.exists():
            module.load_state_dict(torch.load(file, weights_only=True))
            before = compare(export_module(module, train[:CALIBRATION]), module, x)
            quarters.append(percent(before.integer_outputs, labels))
    accuracies = [percent(outputs, labels) for outputs in (found.float_outputs, found.integer_outputs)]
    differing, minutes = sum(proof.differing.values()), task.plan.minutes
    return Result(len(losses), *accuracies, found.flips, found.codes, proof.codes, differing, losses, quarters, minutes)


def percent(outputs: NDArray[np.float64], labels: torch.Tensor) -> float:
    """The accuracy."""
    return 100 * float((outputs.argmax(1) == labels.numpy()).mean())


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What hears a training loop: it keeps the module as it is after each quarter but the last, and moves a bar."""

    module: nn.Module
    checkpoint: Path
    bar: Callable[[float, float], None]

    def __call__(self, share: float, loss: float) -> None:
        """After a step."""
        self.bar(share, loss)
        for quarter in QUARTERS:
            file = snapshot(self.checkpoint, quarter)
            if quarter <= share < quarter + 0.25 and not file.exists():
                torch.save(self.module.state_dict(), file)


def snapshot(checkpoint: Path, quarter: float) -> Path:
    """The file of a share of training."""
    return checkpoint.with_suffix(f".{quarter:.0%}.pt")


def float_figures(network: nn.Module, data: Path) -> tuple[float, float, float]:
    """The float accuracy in torch and in hwsim, in percent, and the largest difference of a logit."""
    x, labels = images(data, "cifar10_test_lossless846.npz")
    graph = import_module(network, (x[:1],))
    ours = hwsim.simulate(graph, x.permute(0, 2, 3, 1).contiguous().numpy(), "float").outputs[0]
    with torch.no_grad():
        theirs = torch.cat([network(part) for part in x.split(141)]).numpy()
    return percent(theirs, labels), percent(ours, labels), float(abs(ours - theirs).max())


def replace_part(page: Path, marker: str, end: str, text: str) -> None:
    """The part of a page between two markers."""
    before, _, rest = page.read_text().partition(marker)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{marker}\n{text}\n{end}{after}")


def text(figures: tuple[float, float, float], work: Path) -> str:
    """Both tables."""
    files = {name: work / f"{file_name(name)}.json" for name in TASKS}
    known = {name: Result(**json.loads(file.read_text())) for name, file in files.items() if file.exists()}
    header = ["network", "steps", "fake-quantized %", "integers %", "flips", "outputs off", "codes proven", "differing"]
    rows = [
        [name, r.steps, f"{r.fake_quantized:.2f}", f"{r.integer:.2f}", r.flips, f"{100 * r.codes:.0f} %",
         f"{r.proven:,}", r.differing]
        for name, r in known.items()
    ]  # fmt: skip
    trained = {name: r.losses for name, r in known.items() if r.losses}
    curves = [[name, *(f"{loss:.3f}" for loss in curve(losses, 10))] for name, losses in trained.items()]
    draw(trained, ROOT / "docs" / "torch_losses.svg")
    return f"""
## ResNet-20 on CIFAR-10

The first 846 test images, fine-tuned on 7,728 training images in steps of {BATCH} with the float network as
teacher; weights from akamaster/pytorch_resnet_cifar10. First and last layer 8 bits. Float: {figures[0]:.2f} % in torch,
{figures[1]:.2f} % imported, logits at most {figures[2]:.1e} apart. One standard error is about 0.95 points. Integers
are engine `dyadic`'s; flips are images on which they and the float forward with quantizers disagree; "outputs off" are
logits whose 8-bit codes differ. Proven are the codes of all tensors of {PROVEN} images, against operators written once
more in torch.
{budget(known)}

{table(header, rows)}

Loss (half cross entropy, half distillation at temperature 4), the mean of each tenth of training:

{table(["network", *(f"{i}0 %" for i in range(1, 11))], curves)}

![Loss of each trained network over the share of its training](torch_losses.svg)
{quarters(known)}"""


def quarters(known: dict[str, Result]) -> str:
    """The table of accuracies on the way."""
    trained = {name: [*r.quarters, r.integer] for name, r in known.items() if len(r.quarters) == len(QUARTERS)}
    rows = [[name, *(f"{accuracy:.2f}" for accuracy in accuracies)] for name, accuracies in trained.items()]
    header = ["network", *(f"{100 * quarter:g} %" for quarter in (*QUARTERS, 1.0))]
    return (
        f"\nThe integers' accuracy in percent after these shares of training:\n\n{table(header, rows)}\n"
        if rows
        else ""
    )


def budget(known: dict[str, Result]) -> str:
    """What two bits were given."""
    given = {r.minutes for r in known.values() if r.minutes is not None}
    each = " and ".join(f"{minutes:g}" for minutes in sorted(given))
    return f"W2A2 was given {each} minutes of processor time, on one thread of a shared machine." if given else ""


def curve(losses: list[float], parts: int) -> list[float]:
    """Means of parts."""
    return [float(part.mean()) for part in torch.tensor(losses).tensor_split(parts)]


def draw(losses: dict[str, list[float]], file: Path) -> None:
    """The curves, each point the mean of a fiftieth."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for name, of in losses.items():
        axes.plot([2 * i + 1 for i in range(50)], curve(of, 50), label=f"{name}, {len(of)} steps", linewidth=1.3)
    axes.set(xlabel="share of training, %", ylabel="loss", yscale="log", xlim=(0, 100))
    axes.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(file, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
