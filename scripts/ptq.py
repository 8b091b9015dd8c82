"""Write docs/ptq.md: what post-training quantization reaches, measured when the script runs.

    python scripts/ptq.py DATA_FOLDER MODELS_FOLDER [--record FILE] [--only PART]

DATA_FOLDER holds cifar10_test_lossless846.npz and cifar10_train_lossless7728.npz (x uint8 (count, 32, 32, 3), y:
CIFAR-10, Krizhevsky 2009) and resnet20_cifar10.npz (akamaster/pytorch_resnet_cifar10); MODELS_FOLDER
pretrainedResnet.tflite (mlcommons/tiny). What was measured is kept in the record file, so that an interrupted run goes
on.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from cifar_resnet20 import normalized, resnet20, statistics

import hwsim
from hwsim.graph import Graph
from hwsim.ptq.adaquant import AdaQuant
from hwsim.ptq.allocate import CHOICES
from hwsim.ptq.calibration import calibration_batch
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.history import Labelled, accuracy
from hwsim.ptq.normalize import para_normalization
from hwsim.ptq.observe import observe
from hwsim.ptq.walk import Visit, encode, walk
from hwsim.ptq.zero_shot import distilled
from hwsim.reports.markdown import table
from hwsim.solver.quantize import quantize_network

PAGE = Path(__file__).resolve().parents[1] / "docs" / "ptq.md"
SAMPLES = 256
WIDTHS = {"W8A8": (8, 8), "W4A8": (4, 8), "W4A4": (4, 4), "W3A8": (3, 8)}
SIZES, DRAWS = (1, 4, 16, 64, 256, 1024), 3
PIPELINES = ("minmse", "light", "advanced")
RESNET8 = (
    ("W8A8", "minmse", SAMPLES, DRAWS), ("W8A8", "light", SAMPLES, DRAWS), ("W8A8", "advanced", SAMPLES, 1),
    ("W4A4", "minmse", SAMPLES, 1), ("W4A4", "light", SAMPLES, 1), ("W4A4", "advanced", SAMPLES, 1),
    ("W4A4", "advanced", 1024, 1),
)  # fmt: skip
AFTER_RANGES = ("bias_correction", "para_normalization", "adaround", "adaquant", "bias_tuning")
AIMS = {
    ("light", "W8A8"): 91.3, ("light", "W4A4"): 87.5, ("advanced", "W4A4"): 90.0, ("advanced", "W4A8"): 91.0,
    ("advanced", "W3A8"): 89.0,
}  # fmt: skip
FREE = {"ridge": 0.0, "ridge_of_one": 0.0}
"""Nothing pulls the weights towards the trained ones."""
BY_SIZE: dict[str, tuple[Visit | None, dict[str, bool]]] = {
    "ranges alone": (None, {}),
    "para-normalization": (para_normalization, {}),
    "AdaRound, full optimization": (AdaQuant(rounding_only=True, **FREE), {}),
    "AdaQuant, full optimization": (AdaQuant(**FREE), {"reads": True}),
    "AdaQuant, parallel": (AdaQuant(), {"sequential": False, "reads": True}),
    "AdaQuant, sequential": (AdaQuant(), {"reads": True}),
}
Facts = dict[str, Any]


@dataclass(frozen=True)
class Lab:
    """The data, the networks, and what was measured so far."""

    data: Path
    models: Path
    record: Path
    recorded: bool = False

    @cached_property
    def network(self) -> Graph:
        """The float ResNet-20."""
        return resnet20(self.data / "resnet20_cifar10.npz")

    @cached_property
    def train(self) -> Any:
        """Pixels of the training images."""
        return np.load(self.data / "cifar10_train_lossless7728.npz")["x"]

    @cached_property
    def test(self) -> tuple[Any, Any]:
        """Pixels and classes of the test images."""
        file = np.load(self.data / "cifar10_test_lossless846.npz")
        return file["x"], file["y"]

    @cached_property
    def done(self) -> Facts:
        """What was measured."""
        return json.loads(self.record.read_text()) if self.record.exists() else {}

    def measure(self, key: str, make: Callable[[], Facts]) -> Facts:
        """What `make` gives, from the record if it is there; nothing where only the record counts."""
        if key not in self.done and self.recorded:
            return {}
        if key not in self.done:
            wall, processor = time.perf_counter(), time.process_time()
            facts = make()
            facts |= {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - processor}
            self.done[key] = facts
            part = self.record.with_suffix(".part")
            part.write_text(json.dumps(self.done, indent=1))
            part.replace(self.record)
            values = [s["accuracy"] for s in facts["steps"]] if "steps" in facts else list(facts.values())[:-2]
            print(key, [round(100 * v, 2) for v in values if v is not None], round(facts["processor_s"]), flush=True)
        return self.done[key]

    def run(self, calibration: Any = None, **options: Any) -> Facts:
        """ResNet-20 quantized, by default from the first 256 training images."""
        x = normalized(self.train[:SAMPLES]) if calibration is None else calibration
        judge = (normalized(self.test[0]), self.test[1])
        return facts(quantize_network(self.network, x, labelled=judge, **options))


def facts(found: Any) -> Facts:
    """What is kept of a run."""
    return {"float": found.float_accuracy, "steps": [entry.facts() for entry in found.history]}


def main() -> None:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--record", type=Path, default=Path("ptq-record.json"))
    parser.add_argument("--only", help="measure one part and write no page: " + ", ".join(PARTS))
    parser.add_argument("--recorded", action="store_true", help="measure nothing more, leave out what is missing")
    options = parser.parse_args()
    lab = Lab(options.data, options.models, options.record, options.recorded)
    if options.only:
        PARTS[options.only](lab)
        return
    PAGE.write_text("\n\n".join([opening(), *(part(lab) for part in PARTS.values()), METHODS]) + "\n")


def opening() -> str:
    """What the page is about."""
    return f"""# Post-training quantization

Written by `scripts/ptq.py`; every accuracy is the integer network's, run by hwsim's engine `dyadic` on the first 846
CIFAR-10 test images (one standard error is about 0.95 points; differences of less than about half a point mean little).
ResNet-20 is akamaster/pytorch_resnet_cifar10's, ResNet-8 is MLPerf Tiny's. First and last layer have 8 bits. Weights
have one scale for each output channel. Activation bits are those that layers read; what sums of the residual network
read keeps 8 bits, unless the table says otherwise. Calibration: the first {SAMPLES} of 7,728 training images, without
labels, unless the table says otherwise. Processor: {platform.machine()}, {os.cpu_count()} cores, shared with other
work; processor seconds are those of one thread."""


def pipelines(lab: Lab) -> str:
    """The main table."""
    rows = [[f"`{pipeline}`", *(_cell(lab, pipeline, name) for name in WIDTHS)] for pipeline in PIPELINES]
    found = lab.measure("minmse W4A4 sums", lambda: lab.run(widths=Widths(4, 4, sums=4), pipeline="minmse"))
    rows.append(["`minmse`, sums of 4 bits too", "", "", percent(found), ""])
    advanced = lab.measure("advanced W4A4", dict)
    if not advanced:
        return f"## ResNet-20\n\n{table(['pipeline', *WIDTHS], rows)}"
    clock = (
        f"`advanced` at W4A4 took {advanced['processor_s']:.0f} s of processor time ({advanced['wall_s']:.0f} s on the "
        "clock, among other work), judging after every step included."
    )
    return "\n\n".join(
        [
            "## ResNet-20",
            f"Float: {advanced['float']:.2%}.",
            table(["pipeline", *WIDTHS], rows),
            clock,
            "Squared error of each layer's output over its variance, `advanced` at W4A4, on 64 calibration samples:",
            _layers(advanced["steps"]),
        ]
    )


def _cell(lab: Lab, pipeline: str, name: str) -> str:
    weights, activations = WIDTHS[name]
    options = {"weights": weights, "activations": activations, "pipeline": pipeline}
    found = lab.measure(f"{pipeline} {name}", lambda: lab.run(**options))
    aim = AIMS.get((pipeline, name))
    verdict = "" if aim is None or not found else f" (aim {aim}: {'met' if 100 * last(found) >= aim else 'not met'})"
    return percent(found) + verdict


def _layers(steps: list[Facts]) -> str:
    rows = [[name, *(f"{step['errors'][name]:.4f}" for step in steps)] for name in steps[0]["errors"]]
    return table(["layer", *(step["step"] for step in steps)], rows)


def single_steps(lab: Lab) -> str:
    """What each step buys by itself."""
    cases: dict[str, Facts] = {f"ranges, {step}": {"steps": ["ranges", step]} for step in AFTER_RANGES}
    cases["ranges by min-max"] = {"steps": ["ranges"], "ranges": "min_max"}
    cases["ranges by percentile (99.99)"] = {"steps": ["ranges"], "ranges": "percentile"}
    cases["ranges by entropy"] = {"steps": ["ranges"], "ranges": "entropy"}
    cases["ranges by squared error"] = {"steps": ["ranges"]}
    cases["equalization, ranges"] = {"steps": ["equalization", "ranges"]}
    cases["splitting, ranges"] = {"steps": ["splitting", "ranges"]}
    cases["ranges, analytic_bias_correction"] = {
        "steps": ["ranges", "analytic_bias_correction"], "statistics": statistics(lab.data / "resnet20_cifar10.npz"),
    }  # fmt: skip
    cases["ranges, allocation among 2 to 8 bits"] = {"steps": ["ranges", "allocation"], "choices": CHOICES}
    cases["ranges, adaquant, bias_tuning (`advanced`)"] = {"pipeline": "advanced"}
    cases["ranges, adaquant, para_normalization"] = {"steps": ["ranges", "adaquant", "para_normalization"]}
    cases["ranges, allocation, adaquant, bias_tuning (`advanced`)"] = {"pipeline": "advanced", "choices": CHOICES}
    cases["ranges, adaquant, joint_blocks"] = {"steps": ["ranges", "adaquant", "joint_blocks"]}
    cases["ranges, adaquant, activations left alone"] = {"steps": ["ranges", "adaquant"], "reads": False}
    cases["ranges, adaquant, not joint"] = {"steps": ["ranges", "adaquant"], "joint": False}
    cases["ranges, adaquant, parallel"] = {"steps": ["ranges", "adaquant"], "sequential": False}
    rows = []
    for name, options in cases.items():
        found = lab.measure(f"W4A4 {name}", lambda o=options: lab.run(weights=4, activations=4, **o))
        if found:
            error = found["steps"][-1]["mean_error"]
            rows.append([name, percent(found), f"{error:.4f}", f"{found['processor_s']:.0f}"])
    rows.sort(key=lambda row: row[1])
    columns = ["steps", "accuracy", "mean error of layers", "processor s"]
    body = table(columns, rows) if rows else "Not measured yet; `make ptq` does."
    return f"## Each step by itself, ResNet-20 W4A4\n\n{body}"


def sizes(lab: Lab) -> str:
    """Accuracy against the number of samples."""
    draws: dict[int, list[Facts]] = {size: [] for size in SIZES}
    for draw, size in product(range(DRAWS), SIZES):
        draws[size].append(lab.measure(f"size {size} draw {draw}", partial(of_size, lab, size, draw)))
    rows = []
    for name in BY_SIZE:
        columns = [[100 * found[name] for found in draws[size] if found] for size in SIZES]
        rows.append([name, *map(_spread, columns)])
    taken = [sum(map(bool, found)) for found in draws.values()]
    count = f"{min(taken)} to {max(taken)}" if min(taken) < max(taken) else str(max(taken))
    text = (
        f"Median of {count} draws of training images, and lowest to highest; ResNet-20 W4A4, ranges from the same "
        "samples. In full optimization nothing pulls the weights towards the trained ones, however few the samples."
    )
    return f"## Accuracy against calibration size\n\n{text}\n\n{table(['method', *map(str, SIZES)], rows)}"


def _spread(values: list[float], digits: int = 2) -> str:
    if len(values) < 2:
        return f"{values[0]:.{digits}f}" if values else "not measured"
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def of_size(lab: Lab, size: int, draw: int) -> Facts:
    """Accuracy of every method from one draw of training images."""
    batch = calibration_batch(lab.network, drawn(lab, size, draw))
    data = calibration_batch(lab.network, normalized(lab.test[0]))
    judge = Labelled.of(lab.network, data, lab.test[1])
    coding = choose(lab.network, observe(lab.network, batch), Widths(4, 4))
    found = {}
    for name, (visit, options) in BY_SIZE.items():
        better = coding if visit is None else walk(lab.network, coding, batch, "dyadic", visit, **options)
        found[name] = accuracy(lab.network, better, "dyadic", judge)
    return found


def drawn(lab: Lab, size: int, draw: int) -> Any:
    """So many training images."""
    return normalized(lab.train[picked(lab, size, draw)])


def picked(lab: Lab, size: int, draw: int) -> Any:
    """Which ones."""
    return np.random.default_rng(1000 * draw + size).choice(len(lab.train), size, replace=False)


def zero_shot(lab: Lab) -> str:
    """No data at all."""

    def make() -> Facts:
        norms = statistics(lab.data / "resnet20_cifar10.npz")
        x = distilled(lab.network, norms, samples=32, steps=60)
        return lab.run(x, weights=8, activations=8, steps=["ranges"])

    found = lab.measure("zero-shot W8A8", make)
    if not found:
        return "## Without data\n\nNot measured."
    within = 100 * (found["float"] - last(found))
    return (
        "## Without data\n\n32 samples distilled from batch norm's statistics (60 steps), ranges alone, W8A8: "
        f"{percent(found)}, {within:.2f} points from float (aim: within 1)."
    )


def resnet8(lab: Lab) -> str:
    """MLPerf Tiny's float network."""
    graph = hwsim.load(lab.models / "pretrainedResnet.tflite")
    rows, real = [], "not measured"
    for name, pipeline, samples, draws in RESNET8:
        keys = [f"resnet8 {name} {pipeline} {samples} draw {draw}" for draw in range(draws)]
        makers = [partial(of_resnet8, lab, graph, name, pipeline, samples, draw) for draw in range(draws)]
        found = [facts for facts in map(lab.measure, keys, makers) if facts]
        real = f"{found[0]['float']:.2%}" if found else real
        right, unlike = _spread([100 * last(one) for one in found]), _spread([one["unlike"] for one in found], 0)
        rows.append([name, f"`{pipeline}`", samples, len(found), right, unlike, {"W8A8": "87.47", "W4A4": "86"}[name]])
    about = f"""Float: {real}. TFLite's converter (`pretrainedResnet_quant.tflite`), measured elsewhere: 87.47 %. Of
several draws of training images the median, and lowest to highest. Unlike float are images (of 846) that the integer
network puts in another class than the float network: where these are few, a higher or lower accuracy is chance."""
    columns = ["widths", "pipeline", "samples", "draws", "accuracy", "unlike float", "aim"]
    return f"## ResNet-8\n\n{about}\n\n{table(columns, rows)}"


def of_resnet8(lab: Lab, graph: Graph, name: str, pipeline: str, samples: int, draw: int) -> Facts:
    """ResNet-8 from one draw of training images, the first ones where `draw` is 0."""
    train = (lab.train[:samples] if draw == 0 else lab.train[picked(lab, samples, draw)]).astype(np.float32)
    x = lab.test[0].astype(np.float32)
    weights, activations = WIDTHS[name]
    judge = (x, lab.test[1])
    found = quantize_network(graph, train, weights=weights, activations=activations, pipeline=pipeline, labelled=judge)
    codes = encode(x, found.coding.activations[graph.inputs[0]])
    one, other = (
        hwsim.simulate(g, v, e).outputs[0] for g, v, e in ((graph, x, "float"), (found.graph, codes, "dyadic"))
    )
    return {**facts(found), "unlike": int((one.argmax(1) != other.argmax(1)).sum())}


def last(found: Facts) -> float:
    """Accuracy after the last step."""
    return float(found["steps"][-1]["accuracy"])


def percent(found: Facts) -> str:
    """The same for the page."""
    return f"{100 * last(found):.2f}" if found else "not measured"


PARTS: dict[str, Callable[[Lab], str]] = {
    "pipelines": pipelines, "steps": single_steps, "sizes": sizes, "zero_shot": zero_shot, "resnet8": resnet8,
}  # fmt: skip
METHODS = """## Methods

| step | what it does |
| --- | --- |
| `equalization` | scales channels between two layers so that both weights reach equally far (1) |
| `splitting` | makes a channel with outlier weights twice, its weights halved (2) |
| `ranges` | min-max, percentile, squared error or entropy |
| `allocation` | weights' bits by layer: an integer program finds the least summed effect on the answers (3) |
| `bias_correction` | every output channel's mean put right, layer after layer, from samples (1) |
| `analytic_bias_correction` | the same from batch norm's statistics (1) |
| `para_normalization` | every output channel's mean and spread put right; no integer weight changes (3) |
| `adaround` | each code goes up or down so that the layer's output error is least (4) |
| `adaquant` | codes, weights' scales, biases, scale and zero point of what is read, of least output error (3) |
| `joint_blocks` | all of that for the layers of a block together, by gradients, from the block's output (3) |
| `bias_tuning` | biases, channels' gains, activations' scales learned end to end from the float network's answers (3) |

(1) Nagel et al., ICCV 2019, arXiv 1906.04721. (2) Zhao et al., ICML 2019, arXiv 1901.09504. (3) Hubara et al., ICML
2021, arXiv 2006.10518. (4) Nagel et al., ICML 2020, arXiv 2004.10568.

The authors of AdaRound and AdaQuant descend on gradients. hwsim minimizes the same error by coordinate descent on the
first and second moments of a layer's input: each step is exact, there is no learning rate, and it takes seconds. Layers
see what the engine's own integers give them (sequential), and a layer in front of a sum makes up for the error of the
other operand (joint). What a layer reads gets the range of least output error: its ends are moved by 16 to 2 % as long
as that helps, then the codes are fitted once more. The network's inputs and outputs keep their formats, and so do
tensors that operators without weights read.

```sh
hwsim quantize net.tflite --calibration images.npz --weights 4 --activations 4 --pipeline advanced \\
    --labels test.npz --checkpoint run.npz --out net.hwsim
```

`--steps ranges,adaround` takes steps instead of a pipeline. `light` is `ranges, para_normalization`, `advanced` is
`ranges, adaquant, bias_tuning`: AdaQuant sets means and scales itself, and para-normalization after it raises the
layers' errors again (the table of steps). Both allocate bits after `ranges` where widths or budgets are given:

```sh
hwsim quantize net.tflite --calibration images.npz --widths 2,4,8 --max-weights-kib 40 --out net.hwsim
hwsim quantize net.tflite --calibration images.npz --target gap9 --max-latency-ms 0.8 --out net.hwsim
```

Without a budget, a network asked for in 4 bits has 4 bits everywhere but in its first and last layer. A torch module is
quantized as it is, `hwsim.quantize(module, images, weights=4)`: its samples are laid out as the module takes them, such
as (n, 3, 32, 32); the integer graph takes images channels last. `--group 16` gives every 16 weights of a channel, where
they have at most 5 bits, an integer scale of 4 bits beside the channel's real one (VS-Quant, Dai et al., MLSys 2021,
arXiv 2102.04503): all stays integers. AdaQuant and AdaRound leave such layers as they are."""


if __name__ == "__main__":
    main()
