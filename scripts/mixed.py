"""Write the measured tables of docs/mixed.md: mixed widths against uniform 4 bits on ResNet-8, and additivity.

    python scripts/mixed.py FOLDER_WITH_PRETRAINED_RESNET FOLDER_WITH_CIFAR10

The network is pretrainedResnet.tflite of mlcommons/tiny, in float. The images are the first 846 test images of
CIFAR-10 and training images, as .npz with x (n, 32, 32, 3) uint8 and y (n,). Every number is computed when the
script runs; degradations are measured on training images without their labels, accuracy on the test images.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

import hwsim
from hwsim.ptq.choose import Widths
from hwsim.ptq.lower import Coding, lower
from hwsim.ptq.observe import observe
from hwsim.ptq.steps import STEPS, Settings, State
from hwsim.reports.markdown import table
from hwsim.reports.terminal import err
from hwsim.simulate import SampleBatch
from hwsim.solver import Layers, Mixed, solve_layers
from hwsim.solver.candidates import Candidates, Refine
from hwsim.solver.choices import Choice, layer_choices, layers_of, runnable
from hwsim.solver.costs import Machine, totals
from hwsim.solver.measures import Judge, encode
from hwsim.solver.network import tabulate_candidates
from hwsim.targets import target as target_called

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "mixed.md"
ENGINE = "litert-reference"
SAMPLES, CONFIGURATIONS = 512, 20
FEW = tuple(Choice(bits, 8) for bits in (8, 4, 2))
EQUAL = {
    ("cortex-m7", True): ("latency_ms", "flash_kib"),
    ("gap9", True): ("latency_ms", "energy_uj", "flash_kib"),
    ("gap9", False): ("latency_ms", "energy_uj", "flash_kib"),
}
"""(target, whether only 2, 4 and 8 bits), and what is held equal to uniform 4 bits."""

STEPS_OF = {"ranges": (), "adaquant": ("adaquant",), "adaquant, bias_tuning": ("adaquant", "bias_tuning")}
"""Post-training steps after the ranges; of the last, AdaQuant's own degradations choose."""


@dataclass(frozen=True, slots=True)
class Case:
    """One budget and its answer."""

    target: str
    cost: str
    few: bool
    limit: float
    mixed: Mixed

    @property
    def head(self) -> list[str]:
        """The first cells of its rows."""
        return [self.target, self.cost, "2, 4, 8" if self.few else "2 to 8"]


@dataclass
class Bench:
    """Networks made once, judged on test images."""

    plain: Candidates
    batch: SampleBatch
    test: NDArray[np.float32]
    labels: NDArray[np.int64]
    known: dict[tuple[str, str], NDArray[np.bool_]] = field(default_factory=dict)

    def right(self, widths: Widths, steps: str) -> NDArray[np.bool_]:
        """Which test images the integer network at `widths` gets right after the steps."""
        key = (steps, str(sorted(widths.of(self.plain.graph).items())))
        if key not in self.known:
            coding = self.steps(STEPS_OF[steps], self.plain.plain(widths), alone=False)
            integers = lower(self.plain.graph, coding)
            codes = encode(self.test, integers.tensors[integers.inputs[0]])
            self.known[key] = hwsim.simulate(integers, codes, ENGINE).outputs[0].argmax(1) == self.labels
            err.print(f"{steps}: {self.known[key].mean():.2%} {key[1]}")
        return self.known[key]

    def steps(self, names: Sequence[str], coding: Coding, *, alone: bool) -> Coding:
        """The coding after some steps; `alone`: layers do not make up for others' errors."""
        state = State(self.plain.graph, coding)
        settings = Settings(engine=ENGINE, sequential=not alone, joint=not alone, reads=not alone)
        for name in names:
            state = STEPS[name](state, self.batch, settings, lambda _count: None)
        return state.known("the integer network")

    def refine(self) -> Refine:
        """AdaQuant on every layer by itself."""
        return lambda _graph, coding: self.steps(("adaquant",), coding, alone=True)


def main() -> None:
    """Compute everything, then write the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="a folder with pretrainedResnet.tflite")
    parser.add_argument("data", type=Path, help="a folder with cifar10_test*.npz and cifar10_train*.npz")
    parser.add_argument("--steps", nargs="*", default=list(STEPS_OF), choices=list(STEPS_OF))
    options = parser.parse_args()
    graph = hwsim.load(options.models / "pretrainedResnet.tflite")
    test, train = (np.load(next(options.data.glob(f"cifar10_{part}*.npz"))) for part in ("test", "train"))
    x = train["x"][:SAMPLES].astype(np.float32)
    places = list(layers_of(graph).values())
    plain = Candidates(graph, observe(graph, x), pinned=frozenset((places[0], places[-1])))
    bench = Bench(plain, SampleBatch.of(graph, x), test["x"].astype(np.float32), test["y"].astype(np.int64))
    judge = Judge.of(graph, x, engine=ENGINE)
    refined = replace(plain, refine=bench.refine())
    makers = {"ranges": plain, "adaquant": refined, "adaquant, bias_tuning": refined}
    tables = {steps: tabulated(makers[steps], judge) for steps in ("ranges", "adaquant")}
    tables["adaquant, bias_tuning"] = tables["adaquant"]
    write("costs", costs(tables["ranges"]))
    write("additivity", additivity({steps: tables[steps]["gap9", True] for steps in ("ranges", "adaquant")}))
    cases = {steps: list(solved(tables[steps])) for steps in options.steps}
    write("chosen", chosen({steps: cases[steps] for steps in ("ranges", "adaquant") if steps in cases}))
    for done in range(1, len(options.steps) + 1):
        names = options.steps[:done]
        rows = [row for steps in names for row in accuracy_rows(bench, cases[steps], steps)]
        columns = ["steps", "target", "equal", "bits", "uniform 4", "mixed", "gained", "lost", "verdict"]
        write("accuracy", f"{reference(bench, names)}\n\n{table(columns, rows)}")


def tabulated(maker: Candidates, judge: Judge) -> dict[tuple[str, bool], Layers]:
    """The table of choices for each target and set of choices."""
    found = {}
    for name, few in EQUAL:
        machine = Machine(target_called(name))
        allowed = FEW if few else runnable(machine.target.profile)
        options = layer_choices(maker.graph, allowed, pin_ends=True)
        found[name, few] = tabulate_candidates(maker, judge, machine, options)
        err.print(f"tabulated {name}")
    return found


def uniform(layers: Layers, bits: int) -> dict[str, str]:
    """`bits` for the weights of every free layer."""
    return {name: f"w{bits}a8" if len(allowed) > 1 else str(allowed[0]) for name, allowed in layers.options.items()}


def solved(tables: dict[tuple[str, bool], Layers]) -> Iterator[Case]:
    """The least degradation that costs no more than uniform 4 bits."""
    for (name, few), layers in tables.items():
        for cost in EQUAL[name, few]:
            limit = layers.predicted(uniform(layers, 4))[cost]
            yield Case(name, cost, few, limit, solve_layers(layers, {cost: limit}))


def chosen(cases: dict[str, list[Case]]) -> str:
    """What the program chose: the layers in order, and predicted beside actual."""
    rows = []
    for steps, found in cases.items():
        for case in found:
            layers, mixed = case.mixed.layers, case.mixed
            actual, even = mixed.apply().actual, uniform(layers, 4)
            lost = layers.judge.degradation(layers.candidates.quantized(layers.widths(even))) - mixed.full
            used = (f"{number:.5g}" for number in (case.limit, mixed.predicted[case.cost], actual[case.cost]))
            before = f"{layers.predicted(even)['degradation']:.3f} / {lost:.3f}"
            after = f"{mixed.predicted['degradation']:.3f} / {actual['degradation']:.3f}"
            rows.append([steps, *case.head, bits_of(mixed.choice), *used, before, after, mixed.status])
    columns = ["steps", "target", "equal", "bits", "bits of weights", "uniform 4 takes", "predicted", "actual"]
    return table([*columns, "degradation of uniform 4", "of mixed", "status"], rows)


def bits_of(choice: dict[str, str]) -> str:
    """The widths of the weights, layer by layer."""
    return " ".join(str(Choice.parse(text).weights) for text in choice.values())


def accuracy_rows(bench: Bench, cases: list[Case], steps: str) -> Iterator[list[str]]:
    """Integer accuracy on the test images after the same steps, image by image."""
    for case in cases:
        ours = bench.right(case.mixed.widths, steps)
        even = bench.right(case.mixed.layers.widths(uniform(case.mixed.layers, 4)), steps)
        gained, lost = int((ours & ~even).sum()), int((even & ~ours).sum())
        same = case.mixed.choice == uniform(case.mixed.layers, 4)
        verdict = "higher" if gained > lost else "the same network" if same else "equal" if gained == lost else "lower"
        yield [steps, *case.head, f"{even.mean():.2%}", f"{ours.mean():.2%}", str(gained), str(lost), verdict]


def reference(bench: Bench, names: Sequence[str]) -> str:
    """Float, 8 bits, 4 bits, and 4 bits of activations as well."""
    real = hwsim.simulate(bench.plain.graph, bench.test, "float").outputs[0].argmax(1) == bench.labels
    rows = []
    for steps in names:
        shares = [bench.right(Widths(w, a), steps).mean() for w, a in ((8, 8), (4, 8), (4, 4), (2, 8))]
        rows.append([steps, f"{real.mean():.2%}", *(f"{share:.2%}" for share in shares)])
    return table(["steps", "float", "w8a8", "w4a8", "w4a4", "w2a8"], rows)


def costs(tables: dict[tuple[str, bool], Layers]) -> str:
    """What uniform widths cost on each target, and by how much the sum over layers is off."""
    rows = []
    for (name, few), layers in tables.items():
        for bits in (8, 4, 2) if few else ():
            choice = uniform(layers, bits)
            actual = totals(layers.machine.estimate(layers.candidates.quantized(layers.widths(choice))))
            off = max(abs(layers.predicted(choice)[cost] / actual[cost] - 1) for cost in actual)
            numbers = (f"{actual[cost]:.4g}" for cost in ("latency_ms", "energy_uj", "flash_kib", "sram_kib", "gbops"))
            rows.append([name, f"w{bits}a8", *numbers, f"{off:.0e}"])
    columns = ["target", "uniform", "ms", "uJ", "flash KiB", "SRAM KiB", "10^9 bit-operations", "sum is off by"]
    return table(columns, rows)


def additivity(tables: dict[str, Layers]) -> str:
    """Predicted against measured degradation over the same random configurations."""
    rng = np.random.default_rng(0)
    options = next(iter(tables.values())).options
    draws = [
        {name: str(rng.choice(list(map(str, may)))) for name, may in options.items()} for _ in range(CONFIGURATIONS)
    ]
    pairs: dict[str, list[tuple[float, float]]] = {}
    for steps, layers in tables.items():
        full = layers.judge.degradation(layers.candidates.quantized(Widths()))
        for choice in draws:
            measured = layers.judge.degradation(layers.candidates.quantized(layers.widths(choice))) - full
            pairs.setdefault(steps, []).append((layers.predicted(choice)["degradation"], measured))
    ranks = [f"{steps}: **{spearmanr(*zip(*found, strict=True)).statistic:.3f}**" for steps, found in pairs.items()]
    rows = [
        [bits_of(choice), *(f"{number:.3f}" for found in pairs.values() for number in found[i])]
        for i, choice in enumerate(draws)
    ]
    columns = ["bits of weights", *(f"{what}, {steps}" for steps in pairs for what in ("predicted", "measured"))]
    head = f"Spearman's rank correlation over {CONFIGURATIONS} random configurations; {', '.join(ranks)}."
    return f"{head}\n\n{table(columns, rows)}"


def write(name: str, text: str) -> None:
    """Put `text` between the marks called `name` of the page."""
    marks = re.compile(rf"(<!-- {name}: written by scripts/mixed.py -->\n).*?(<!-- end -->)", re.DOTALL)
    page, count = marks.subn(lambda found: f"{found[1]}{text}\n{found[2]}", PAGE.read_text())
    if count != 1:
        raise SystemExit(f"{PAGE} has no marks for {name!r}")
    temporary = PAGE.with_suffix(".part")
    temporary.write_text(page)
    temporary.replace(PAGE)


if __name__ == "__main__":
    main()
