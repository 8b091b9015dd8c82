"""Bias tuning: biases, gains of channels and scales of activations learned end to end from the float network's answers.

The integer weights stay. The loss is the divergence of the quantized network's softmax from the float network's
(distillation, no labels); networks without a softmax at their end get the squared error of their outputs.

Source: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), section 3.4.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Affine, Graph
from hwsim.ptq.gradient import Differentiable, Parameters
from hwsim.ptq.lower import Coding, Weights
from hwsim.simulate import SampleBatch, compile

Reals = NDArray[np.float32]
CODE_STEPS = 5.0
"""The unit of a weight's steps, in codes: at a rate of 1e-3 the first step is a 200th of a code."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How long and how fast.

    Parameters
    ----------
    steps, batch : of Adam, and samples of each
    rate : the first step's size, relative to the norm of a channel's weights (biases) or to the value itself (gains,
        scales); it falls to 0 along half a cosine
    learn : kinds of parameters: 'bias', 'gain', 'scale'; of blocks 'weight' too
    """

    steps: int = 30
    batch: int = 32
    rate: float = 1e-3
    learn: tuple[str, ...] = ("bias", "gain", "scale")


def bias_tuning(
    graph: Graph,
    coding: Coding,
    batch: SampleBatch,
    tuning: Tuning = Tuning(),
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Coding:
    """`coding` with biases, weights' scales and activations' scales that bring the outputs closest to float.

    UnsupportedError where an operator on the way has no gradient here.
    """
    ends, classifies = logits(graph)
    student = Differentiable(graph, coding, ends)
    learn(student, Adam(student, tuning), batch.values, answers(graph, ends, batch), classifies, seed, progress)
    return tuned(student, coding)


def learn(
    student: Differentiable,
    adam: "Adam",
    given: Mapping[int, Reals],
    wanted: Mapping[int, Reals],
    classifies: set[int],
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Bring what `student` gives for `given` as close to `wanted` as the steps allow.

    Parameters
    ----------
    given, wanted : by tensor index, (samples, *declared shape)
    classifies : which of `wanted` are compared by their softmax
    """
    samples = len(next(iter(given.values())))
    for step, picked in enumerate(draws(samples, adam.tuning, seed)):
        got = student.forward({i: np.ascontiguousarray(value[picked]) for i, value in given.items()})
        slopes = {i: _slope(got[i], wanted[i][picked], i in classifies) for i in wanted}
        _, found = student.backward(slopes)
        adam.step(found, step)
        if progress is not None:
            progress(1)


def logits(graph: Graph) -> tuple[tuple[int, ...], set[int]]:
    """The tensors that are compared: outputs, or what a last softmax reads; and which are of the second kind."""
    makers = {i: node for node in graph.nodes for i in node.outputs}
    ends: list[int] = []
    classifies: set[int] = set()
    for i in graph.outputs:
        node = makers.get(i)
        if node is not None and node.op == "softmax":
            i = node.inputs[0]
            classifies.add(i)
        ends.append(i)
    return tuple(dict.fromkeys(ends)), classifies


def answers(graph: Graph, ends: tuple[int, ...], batch: SampleBatch) -> dict[int, Reals]:
    """What the float network says at `ends` for every sample."""
    program = compile(replace(graph, outputs=ends), "float")
    return program.run_samples(batch.values, batch.samples)


def draws(samples: int, tuning: Tuning, seed: int) -> Iterator[NDArray[np.int64]]:
    """Which samples each step sees: every one once before any comes again."""
    generator = np.random.default_rng(seed)
    size, queue = min(tuning.batch, samples), np.empty(0, np.int64)
    for _ in range(tuning.steps):
        while len(queue) < size:
            queue = np.concatenate([queue, generator.permutation(samples)])
        yield queue[:size]
        queue = queue[size:]


def _slope(got: Reals, wanted: Reals, classifies: bool) -> Reals:
    """The gradient of the loss by what was got, the mean over samples."""
    if classifies:
        return (softmax(got) - softmax(wanted)) / np.float32(len(got))
    power = np.float32(max(float(wanted.var()), 1e-12) * wanted.size)
    return (got - wanted) / power


def softmax(values: Reals) -> Reals:
    """Over the last axis."""
    raised = np.exp(values - values.max(-1, keepdims=True))
    total: Reals = raised / raised.sum(-1, keepdims=True)
    return total


class Adam:
    """Adam on the parameters of a network, every kind in units of its own.

    Parameters
    ----------
    frozen : keys of scales that stay
    """

    def __init__(self, network: Differentiable, tuning: Tuning, frozen: frozenset[int] = frozenset()) -> None:
        self.network, self.tuning, self.frozen = network, tuning, frozen
        self.first: dict[tuple[str, int], Reals] = {}
        self.second: dict[tuple[str, int], Reals] = {}
        self.units = {("bias", i): _spread(network, i) for i in network.layers}
        self.units |= {("weight", i): np.full(1, CODE_STEPS, np.float32) for i in network.parameters.weight}

    def step(self, found: Parameters, number: int) -> None:
        """Move every parameter that has a gradient."""
        rate = self.tuning.rate * 0.5 * (1 + np.cos(np.pi * number / self.tuning.steps))
        values: Mapping[tuple[str, int], Reals] = {(k, i): v for k, i, v in self.network.parameters.items()}
        for kind, key, slope in found.items():
            if kind not in self.tuning.learn or (kind == "scale" and key in self.frozen):
                continue
            value = values[kind, key]
            unit = self.units.get((kind, key), np.abs(value))
            scaled = slope * unit
            first = self.first[kind, key] = 0.9 * self.first.get((kind, key), np.float32(0)) + 0.1 * scaled
            second = self.second[kind, key] = 0.99 * self.second.get((kind, key), np.float32(0)) + 0.01 * scaled**2
            ready = first / (1 - 0.9 ** (number + 1)), second / (1 - 0.99 ** (number + 1))
            value -= (rate * unit * ready[0] / (np.sqrt(ready[1]) + 1e-12)).astype(np.float32)


def _spread(network: Differentiable, place: int) -> Reals:
    """The unit of a layer's bias steps: the norm of each channel's weights, at least a tenth of their mean."""
    norms = np.sqrt((network.matrices[place].astype(np.float64) ** 2).sum(-1)).reshape(-1)
    units: Reals = np.maximum(norms, norms.mean() * 0.1 + 1e-12).astype(np.float32)
    return units


def tuned(student: Differentiable, coding: Coding) -> Coding:
    """`coding` with what was learned: gains go into weights' scales where these have a channel each."""
    weights, biases = dict(coding.weights), dict(coding.biases)
    for i, gain in student.parameters.gain.items():
        form, codes = weights[i].format, weights[i].codes
        if i in student.parameters.weight:
            codes = student.layers[i].array(student.whole(i)).astype(codes.dtype)
        scale = form.scale * np.abs(gain) if form.scale.size == gain.size else form.scale
        weights[i] = Weights(codes, replace(form, scale=np.maximum(scale, 1e-30).astype(np.float32)))
        biases[i] = student.parameters.bias[i].astype(np.float64)

    def scaled(key: int, form: Affine) -> Affine:
        scale = student.parameters.scale[student.shared(key)]
        positive = np.maximum(np.abs(scale), np.finfo(np.float32).tiny).reshape(form.scale.shape)
        return replace(form, scale=positive)

    activations = {i: scaled(i, form) for i, form in coding.activations.items()}
    inputs = {i: scaled(-1 - i, form) if i in student.layers else form for i, form in coding.inputs.items()}
    return replace(coding, activations=activations, weights=weights, biases=biases, inputs=inputs)
