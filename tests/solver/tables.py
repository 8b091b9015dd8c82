"""Small random tables, and their optimum by trying every combination in exact fractions."""

import itertools
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pandas as pd

FITS = 1 + Fraction(1, 10**12)


@dataclass
class Case:
    """A table as {layer: {choice: {column: number}}}, budgets, ties and peaks."""

    rows: dict
    budgets: dict
    ties: list = field(default_factory=list)
    peaks: tuple = ()

    def frame(self):
        rows = [{"layer": la, "choice": c, **n} for la, choices in self.rows.items() for c, n in choices.items()]
        return pd.DataFrame(rows)

    def combinations(self):
        """Every choice for every layer that keeps the ties."""
        for picked in itertools.product(*self.rows.values()):
            choice = dict(zip(self.rows, picked, strict=True))
            if all(choice[a] == choice[b] for a, b in self.ties):
                yield choice

    def total(self, name, choice):
        numbers = [Fraction(self.rows[layer][c][name]) for layer, c in choice.items()]
        return max(numbers) if name in self.peaks else sum(numbers)

    def fits(self, choice, budgets):
        return all(self.total(name, choice) <= Fraction(limit) * FITS for name, limit in budgets.items())

    def best(self, key="degradation", budgets=None):
        """The least total of `key` within `budgets`; None where nothing fits."""
        budgets = self.budgets if budgets is None else budgets
        return min((self.total(key, c) for c in self.combinations() if self.fits(c, budgets)), default=None)

    def least_relative_increase(self):
        """The least sum over budgets of what is missing, relative to the budget."""

        def missing(choice):
            return sum(max(0, self.total(k, choice) / Fraction(b) - 1) for k, b in self.budgets.items())

        return min(missing(choice) for choice in self.combinations())


def random_case(seed):
    """Up to 5 layers of up to 4 choices, 1 to 4 costs (two of them peaks), at times a tie, budgets near a total."""
    rng = np.random.default_rng(seed)
    layers = [f"layer{i}" for i in range(rng.integers(1, 6))]
    names = ["latency_ms", "size_kib", "sram_kib", "rate"][: rng.integers(1, 5)]
    kind = rng.integers(3)

    def number():
        return [float(rng.integers(0, 6)), float(rng.random()), float(np.round(rng.random() * 10, 1))][kind]

    def choices():
        return rng.choice(8, rng.integers(1, 5), replace=False).tolist()

    rows = {layer: {c: {k: number() for k in ("degradation", *names)} for c in choices()} for layer in layers}
    ties = [tuple(layers[:2])] if len(layers) > 1 and set(rows["layer0"]) & set(rows["layer1"]) else []
    case = Case(rows, {}, ties if rng.random() < 0.5 else [], tuple(k for k in names if k in ("sram_kib", "rate")))
    some = {layer: next(iter(rows[layer])) for layer in layers}
    totals = {name: float(case.total(name, some)) * float(rng.choice([1.0, 1.0, 0.9, 1.1])) for name in names}
    case.budgets = {name: total for name, total in totals.items() if total > 0}
    return case


def random_frame(layers, choices, budgets, seed, share=0.3):
    """A table of uniform random numbers, and budgets `share` of the way from the least totals to the means."""
    rng = np.random.default_rng(seed)
    numbers = rng.random((layers, choices, budgets + 1))
    names = ["degradation", *(f"cost{i}" for i in range(budgets))]
    frame = pd.DataFrame(numbers.reshape(-1, budgets + 1), columns=names)
    frame.insert(0, "layer", np.repeat(np.arange(layers), choices))
    frame.insert(1, "choice", np.tile(np.arange(choices), layers))
    least, mean = numbers.min(axis=1).sum(axis=0)[1:], numbers.mean(axis=1).sum(axis=0)[1:]
    return frame, dict(zip(names[1:], (least + share * (mean - least)).tolist(), strict=True))
