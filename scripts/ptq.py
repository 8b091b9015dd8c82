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
from hwsim.ptq.calibration import calibration_batch
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.history import Labelled, accuracy
from hwsim.ptq.normalize import para_normalization
from hwsim.ptq.observe import observe
from hwsim.ptq.pipeline import quantize_with_history
from hwsim.ptq.walk import Visit, walk
from hwsim.ptq.zero_shot import distilled
from hwsim.reports.markdown import table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "ptq.md"
SAMPLES = 256
WIDTHS = {"W8A8": (8, 8), "W4A8": (4, 8), "W4A4": (4, 4), "W3A8": (3, 8)}
SIZES, DRAWS = (1, 4, 16, 64, 256, 1024), 1
PIPELINES = ("minmse", "light", "advanced")
RESNET8 = (
    ("W8A8", "minmse", SAMPLES), ("W8A8", "light", SAMPLES), ("W8A8", "advanced", SAMPLES),
    ("W4A4", "minmse", SAMPLES), ("W4A4", "light", SAMPLES), ("W4A4", "advanced", SAMPLES),
    ("W4A4", "advanced", 1024),
)  # fmt: skip
AFTER_RANGES = ("bias_correction", "para_normalization", "adaround", "adaquant", "allocation", "bias_tuning")
AIMS = {
    ("light", "W8A8"): 91.3, ("light", "W4A4"): 87.5, ("advanced", "W4A4"): 90.0, ("advanced", "W4A8"): 91.0,
    ("advanced", "W3A8"): 89.0,
}  # fmt: skip
BY_SIZE: dict[str, tuple[Visit | None, dict[str, bool]]] = {
    "ranges alone": (None, {}),
    "para-normalization": (para_normalization, {}),
    "adaround, sequential": (AdaQuant(rounding_only=True), {}),
    "adaquant, parallel": (AdaQuant(), {"sequential": False}),
    "adaquant, sequential": (AdaQuant(), {}),
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
            print(key, [round(100 * value, 2) for value in values], round(facts["processor_s"]), flush=True)
        return self.done[key]

    def run(self, calibration: Any = None, **options: Any) -> Facts:
        """ResNet-20 quantized, by default from the first 256 training images."""
        x = normalized(self.train[:SAMPLES]) if calibration is None else calibration
        judge = (normalized(self.test[0]), self.test[1])
        return facts(quantize_with_history(self.network, x, labelled=judge, **options))


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
    text = f"Mean of {DRAWS} draw(s) of training images, and the range; ResNet-20 W4A4, ranges from the same samples."
    return f"## Accuracy against calibration size\n\n{text}\n\n{table(['method', *map(str, SIZES)], rows)}"


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else "not measured"
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


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
    pick = np.random.default_rng(1000 * draw + size).choice(len(lab.train), size, replace=False)
    return normalized(lab.train[pick])


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
    graph, (pixels, classes) = hwsim.load(lab.models / "pretrainedResnet.tflite"), lab.test
    judge = (pixels.astype(np.float32), classes)
    rows, real = [], "not measured"
    for name, pipeline, samples in RESNET8:
        options: Facts = {"weights": WIDTHS[name][0], "activations": WIDTHS[name][1], "pipeline": pipeline}
        train = lab.train[:samples].astype(np.float32)
        make = partial(quantize_with_history, graph, train, labelled=judge, **options)
        found = lab.measure(f"resnet8 {name} {pipeline} {samples}", lambda m=make: facts(m()))
        real = f"{found['float']:.2%}" if found else real
        rows.append([name, f"`{pipeline}`", samples, percent(found), {"W8A8": "87.47", "W4A4": "86"}[name]])
    about = f"Float: {real}. TFLite's converter (`pretrainedResnet_quant.tflite`), measured elsewhere: 87.47 %."
    return f"## ResNet-8\n\n{about}\n\n{table(['widths', 'pipeline', 'samples', 'accuracy', 'aim'], rows)}"


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
| `allocation` | weights' bits by layer, no more in all, from each layer's effect on the answers; a plug chooses (3) |
| `bias_correction` | every output channel's mean put right, layer after layer, from samples (1) |
| `analytic_bias_correction` | the same from batch norm's statistics (1) |
| `para_normalization` | every output channel's mean and spread put right; no integer weight changes (3) |
| `adaround` | each code goes up or down so that the layer's output error is least (4) |
| `adaquant` | codes, weights' scales and biases of least output error (3) |
| `bias_tuning` | biases, channels' gains, activations' scales learned end to end from the float network's answers (3) |

(1) Nagel et al., ICCV 2019, arXiv 1906.04721. (2) Zhao et al., ICML 2019, arXiv 1901.09504. (3) Hubara et al., ICML
2021, arXiv 2006.10518. (4) Nagel et al., ICML 2020, arXiv 2004.10568.

The authors of AdaRound and AdaQuant descend on gradients. hwsim minimizes the same error by coordinate descent on the
first and second moments of a layer's input: each step is exact, there is no learning rate, and it takes seconds. Layers
see what the engine's own integers give them (sequential), and a layer in front of a sum makes up for the error of the
other operand (joint). AdaQuant here leaves activations' scales to `ranges` and `bias_tuning`.

```sh
hwsim quantize net.tflite --calibration images.npz --weights 4 --activations 4 --pipeline advanced \\
    --labels test.npz --checkpoint run.npz --out net.hwsim
```

`--steps ranges,adaround` takes steps instead of a pipeline. `light` is `ranges, para_normalization`, `advanced` is
`ranges, adaquant, bias_tuning`; `allocation` can be added to both, and is in neither, so that a network asked for in 4
bits has 4 bits everywhere but in its first and last layer. `--group 16` gives every 16 weights of a channel, where they
have at most 5 bits, an integer scale of 4 bits beside the channel's real one (VS-Quant, Dai et al., MLSys 2021, arXiv
2102.04503): all stays integers. AdaQuant and AdaRound leave such layers as they are."""


if __name__ == "__main__":
    main()
