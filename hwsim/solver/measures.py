"""How much worse answers are than the float network's: measures, and a judge that holds integer networks against it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.errors import InputError, unknown
from hwsim.graph import Affine, Graph, Tensor
from hwsim.simulate import Inputs, SampleBatch, compile

Reals = NDArray[np.float64]
Classes = NDArray[np.int64]


def cross_entropy(_real: Reals, got: Reals, classes: Classes) -> float:
    """Mean of -ln(probability of the sample's class); `got` are logits, shape (samples, classes)."""
    return float(-_log_softmax(got)[np.arange(len(got)), classes].mean())


def divergence(real: Reals, got: Reals, _classes: Classes) -> float:
    """Mean Kullback-Leibler divergence from the float network's probabilities, in nats (ZeroQ, arXiv 2001.00281)."""
    expected, found = _log_softmax(real), _log_softmax(got)
    return float((np.exp(expected) * (expected - found)).sum(axis=1).mean())


def noise(real: Reals, got: Reals, _classes: Classes) -> float:
    """Power of the outputs' error over power of the outputs, 10^(-SQNR / 10): powers of small errors add up."""
    return float(((got - real) ** 2).sum() / max(float((real**2).sum()), np.finfo(np.float64).tiny))


MEASURES: Mapping[str, Callable[[Reals, Reals, Classes], float]] = {
    "loss": cross_entropy,
    "kl": divergence,
    "sqnr": noise,
}
"""By name: 'loss' is AdaQuant's (arXiv 2006.10518), against labels or else the classes that the float network gives."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Calibration samples with what the float network says of them.

    Parameters
    ----------
    batch : of the float network's inputs
    real : its answers, shape (samples, values): logits where it ends in a softmax
    classes : labels, or the classes that it gives
    measure : one of `MEASURES`
    engine : whose integers
    """

    batch: SampleBatch
    real: Reals
    classes: Classes
    measure: str
    engine: str

    @classmethod
    def of(
        cls,
        graph: Graph,
        x: Inputs,
        labels: ArrayLike | None = None,
        measure: str | None = None,
        engine: str = "dyadic",
    ) -> "Judge":
        """A judge for `graph`; `measure` is 'loss' where the network classifies, else 'sqnr'.

        Raises InputError for an unknown measure, labels that do not fit, or a measure of classes without classes.
        """
        batch = SampleBatch.of(graph, x)
        chosen = measure or ("loss" if labels is not None or classifies(graph) else "sqnr")
        if chosen not in MEASURES:
            raise InputError(unknown("measure", chosen, MEASURES))
        if chosen != "sqnr" and labels is None and not classifies(graph):
            raise InputError(f"measure {chosen!r} needs labels, or a network that ends in a softmax; 'sqnr' needs none")
        ends = answering(graph)
        real = np.concatenate([_rows(batch, v) for v in _run(ends, batch.values, batch.samples, "float")], axis=1)
        classes = real.argmax(axis=1) if labels is None else _labels(labels, real)
        return cls(batch, real, classes, chosen, engine)

    def answers(self, integers: Graph) -> Reals:
        """Real answers of an integer network for the samples, shape (samples, values)."""
        ends = answering(integers)
        given = [self.batch.values[index] for index in self.batch.graph.inputs]
        codes = {
            index: encode(value, integers.tensors[index]) if value.dtype == np.float32 else value
            for index, value in zip(integers.inputs, given, strict=True)
        }
        outputs = _run(ends, codes, self.batch.samples, self.engine)
        forms = [ends.tensors[index].affine for index in ends.outputs]
        return np.concatenate(
            [_rows(self.batch, decode(v, form)) for v, form in zip(outputs, forms, strict=True)], axis=1
        )

    def degradation(self, integers: Graph) -> float:
        """The measure of an integer network's answers; of 'loss' less what the float network has itself."""
        function = MEASURES[self.measure]
        floor = function(self.real, self.real, self.classes) if self.measure == "loss" else 0.0
        return function(self.real, self.answers(integers), self.classes) - floor


def classifies(graph: Graph) -> bool:
    """Whether the network's answer is a softmax."""
    return _softmax_at(graph) is not None


def answering(graph: Graph) -> Graph:
    """`graph` without the softmax of its answer: the same classes, and numbers that keep their differences."""
    place = _softmax_at(graph)
    if place is None:
        return graph
    nodes = (*graph.nodes[:place], *graph.nodes[place + 1 :])
    return replace(graph, nodes=nodes, outputs=(graph.nodes[place].inputs[0],), source=None, source_format="")


def encode(values: NDArray[np.float32], tensor: Tensor) -> NDArray[Any]:
    """The nearest codes of real values as `tensor` holds them, ties to even."""
    form = tensor.affine
    bits = form.bits or 8 * np.dtype(tensor.dtype).itemsize
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    codes = np.rint(values.astype(np.float64) / np.float64(form.scale[0])) + form.zero_point[0]
    return np.asarray(np.clip(codes, low, high), tensor.dtype)


def decode(codes: NDArray[Any], form: Affine) -> Reals:
    """The real values of codes."""
    return np.asarray(np.float64(form.scale[0]) * (codes.astype(np.float64) - form.zero_point[0]))


def _softmax_at(graph: Graph) -> int | None:
    if len(graph.outputs) != 1:
        return None
    found = [i for i, n in enumerate(graph.nodes) if n.op == "softmax" and n.outputs[0] == graph.outputs[0]]
    return found[0] if found else None


def _run(graph: Graph, values: Mapping[int, NDArray[Any]], samples: int, engine: str) -> list[NDArray[Any]]:
    got = compile(graph, engine).run_samples(values, samples)
    return [got[index] for index in graph.outputs]


def _rows(batch: SampleBatch, value: NDArray[Any]) -> Reals:
    flat = batch.flatten(value)
    return flat.reshape(len(flat), -1).astype(np.float64)


def _labels(labels: ArrayLike, real: Reals) -> Classes:
    given = np.asarray(labels)
    if given.shape != (len(real),) or given.dtype.kind not in "iu":
        raise InputError(f"labels are {given.dtype} {list(given.shape)}; expected {len(real)} class numbers")
    if given.min() < 0 or given.max() >= real.shape[1]:
        raise InputError(f"labels go from {given.min()} to {given.max()}; the network has {real.shape[1]} classes")
    return given.astype(np.int64)


def _log_softmax(logits: Reals) -> Reals:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
