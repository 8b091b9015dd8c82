"""What each step bought: the error of every layer on calibration samples, and the accuracy where labels are known."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.lower import WEIGHTED, Coding, lower
from hwsim.ptq.walk import decode, input_codes
from hwsim.simulate import SampleBatch, compile

ERROR_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """The network after one step.

    Parameters
    ----------
    step : its name
    seconds : that it took
    errors : by layer name, mean squared error of its output over the variance of the float network's
    accuracy : of the integer network on the labelled samples, 0 to 1; None without labels
    """

    step: str
    seconds: float
    errors: dict[str, float]
    accuracy: float | None = None

    @property
    def mean_error(self) -> float:
        """Over the layers."""
        return float(np.mean(list(self.errors.values()))) if self.errors else 0.0

    def facts(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "mean_error": self.mean_error}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Samples whose class is known; `labels` are int (samples,)."""

    batch: SampleBatch
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, graph: Graph, batch: SampleBatch, labels: NDArray[Any]) -> "Labelled":
        """InputError where labels are no classes of the network's first output."""
        classes, rows = (
            graph.tensors[graph.outputs[0]].shape[-1],
            batch.samples * graph.tensors[graph.outputs[0]].shape[0],
        )
        fits = labels.shape == (rows,) and labels.dtype.kind in "iu"
        if not fits or labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
            raise InputError(
                f"labels are {labels.dtype} of shape {list(labels.shape)}; "
                f"expected {rows} integers from 0 to {classes - 1}"
            )
        return cls(batch, labels.astype(np.int64))

    def accuracy(self, answers: NDArray[Any]) -> float:
        """The share of samples whose largest answer is at their class."""
        flat = answers.reshape(len(self.labels), -1)
        return float((flat.argmax(1) == self.labels).mean())


def float_accuracy(graph: Graph, labelled: Labelled) -> float:
    """Of the float network."""
    outputs = compile(graph, "float").run_samples(labelled.batch.values, labelled.batch.samples)
    return labelled.accuracy(outputs[graph.outputs[0]])


def accuracy(graph: Graph, coding: Coding, engine: str, labelled: Labelled) -> float:
    """Of the integer network under `engine`."""
    integers = lower(graph, coding)
    batch = labelled.batch
    codes = dict(
        zip(integers.inputs, input_codes(coding, {i: batch.values[i] for i in graph.inputs}).values(), strict=True)
    )
    outputs = compile(integers, engine).run_samples(codes, batch.samples)
    return labelled.accuracy(outputs[integers.outputs[0]])


def layer_errors(graph: Graph, coding: Coding, engine: str, batch: SampleBatch) -> dict[str, float]:
    """Of every layer's output, on the first `ERROR_SAMPLES` samples, never divided by less than a code's own noise."""
    count = min(batch.samples, ERROR_SAMPLES)
    given = {i: batch.values[i][:count] for i in graph.inputs}
    real = compile(graph, "float").run_samples(given, count, keep_tensors=True)
    integers = lower(graph, coding)
    names = {t.name: i for i, t in enumerate(integers.tensors)}
    codes = dict(zip(integers.inputs, input_codes(coding, given).values(), strict=True))
    got = compile(integers, engine).run_samples(codes, count, keep_tensors=True)
    errors = {}
    for node in graph.nodes:
        if node.op in WEIGHTED:
            index = node.outputs[0]
            form = coding.activations[index]
            off = decode(got[names[graph.tensors[index].name]], form) - real[index]
            power, step = float(real[index].var()), float(form.scale[0])
            errors[node.name] = float((off**2).mean()) / max(power, step * step / 12, 1e-30)
    return errors
