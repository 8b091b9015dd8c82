"""The float network and the integer one side by side, node by node, on the calibration samples.

A layer is changed when the walk reaches it, so that later layers read what the changed ones give (sequential). Nothing
emulates the integers: every node runs under the engine. Only the search for the format that a layer reads looks at
values before they are rounded to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.ptq.adjoint import LIMITS
from hwsim.ptq.layers import Layer, real_weights
from hwsim.ptq.lower import WEIGHTED, Coding, Weights, code_dtype, lower
from hwsim.ptq.moments import Moments, measure, pairs_of_rows
from hwsim.ptq.reads import ROWS, SAMPLES, fellow_readers, fit_format
from hwsim.simulate import SampleBatch, compile

Reals = NDArray[np.float32]
Values = dict[int, NDArray[Any]]
Change = tuple[Weights, NDArray[np.float64]]
Visit = Callable[[int, Layer, Moments, Coding], Change | None]
"""Called with a layer's node index, the layer, its moments and the coding so far: new weights and bias (channels,)."""


def walk(
    graph: Graph,
    coding: Coding,
    batch: SampleBatch,
    engine: str,
    visit: Visit,
    *,
    sequential: bool = True,
    joint: bool = True,
    reads: bool = False,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Coding:
    """`coding` with every layer as `visit` wants it.

    Parameters
    ----------
    sequential : layers read what the integer network gives so far; else the float network's values in codes
    joint : a layer whose output is only added to something makes up for that operand's error too
    reads : the format that a layer reads is fitted to the error of its output, and the layer is visited once more
    """
    side = _SideBySide(graph, coding, batch, engine, visit, sequential, joint and sequential, seed)
    last = {i: place for place, node in enumerate(graph.nodes) for i in node.inputs}
    for index, node in enumerate(graph.nodes):
        if node.op in WEIGHTED:
            side.change(index, reads)
            if progress is not None:
                progress(1)
        side.step(index)
        side.forget([i for i in node.inputs if last.get(i) == index])
    return side.coding


@dataclass
class _SideBySide:
    """Both networks where the walk is, as values in `real` and `codes`."""

    graph: Graph
    coding: Coding
    batch: SampleBatch
    engine: str
    visit: Visit
    sequential: bool
    joint: bool
    seed: int

    def __post_init__(self) -> None:
        self.real: Values = dict(self.batch.values)
        self.codes = input_codes(self.coding, self.real)
        self.made: dict[int, tuple[int, Values]] = {}
        """By tensor: the node that made it, and the codes that this read."""
        self.settled: set[int] = set()
        """Layers whose fellow reader chose their format."""

    def change(self, index: int, reads: bool) -> None:
        """The layer as the visit wants it, with a format of its own for what it reads."""
        layer = Layer.of(self.graph, index)
        owed = _owed(self.graph, index, self.real, self.codes, self.coding) if self.joint else None
        self._visit(index, layer, owed)
        fellows = fellow_readers(self.graph, self.coding, index) if reads and index not in self.settled else ()
        if not fellows:
            return
        self.settled.update(fellows)
        if self._fit_read(index, layer, owed, fellows):
            self._visit(index, layer, owed)

    def step(self, index: int) -> None:
        """Run node `index` in both networks."""
        given = {i: self.codes[i] for i in _alone(self.graph, index).inputs}
        self.made.update(dict.fromkeys(self.graph.nodes[index].outputs, (index, given)))
        self.real.update(_run_float(self.graph, index, self.real, self.batch.samples))
        self.codes.update(_run_codes(self.graph, index, self.coding, given, self.batch.samples, self.engine))

    def forget(self, tensors: list[int]) -> None:
        """Nobody reads these any more."""
        for i in tensors:
            self.real.pop(i, None)
            self.codes.pop(i, None)
            self.made.pop(i, None)

    def _visit(self, index: int, layer: Layer, owed: Reals | None) -> None:
        source = self.graph.nodes[index].inputs[0]
        read = _as_read(self.graph, index, self.coding, self._given(source), self.engine)
        moments = measure(layer, self.real[source], read, owed, self.seed)
        changed = self.visit(index, layer, moments, self.coding)
        if changed is not None:
            weights, bias = changed
            self.coding = replace(
                self.coding,
                weights={**self.coding.weights, index: weights},
                biases={**self.coding.biases, index: bias},
            )

    def _given(self, source: int) -> NDArray[Any]:
        """The codes of a layer's input."""
        return self.codes[source] if self.sequential else encode(self.real[source], self.coding.activations[source])

    def _fit_read(self, index: int, layer: Layer, owed: Reals | None, fellows: tuple[int, ...]) -> bool:
        """Whether layer `index` and its fellows found a better format for what they read."""
        coding, source = self.coding, self.graph.nodes[index].inputs[0]
        some = np.unique(np.linspace(0, self.batch.samples - 1, SAMPLES).astype(np.int64))
        real, fine = self.real[source][some], self._unrounded(index, some)
        chunks = pairs_of_rows(layer, real, fine, None if owed is None else owed[some], self.seed, ROWS)
        x, y = (np.concatenate(part, axis=1) for part in zip(*chunks, strict=True))
        old = coding.inputs[index] if index in coding.inputs else coding.activations[source]
        form = fit_format(x, y, real_weights(layer, coding.weights[index]), old)
        if form is old:
            return False
        if index in coding.inputs:
            self.coding = replace(coding, inputs={**coding.inputs, **dict.fromkeys(fellows, form)})
        else:
            self.coding = replace(coding, activations={**coding.activations, source: form})
            maker, given = self.made[source]
            self.codes.update(_run_codes(self.graph, maker, self.coding, given, self.batch.samples, self.engine))
        return True

    def _unrounded(self, index: int, some: NDArray[np.int64]) -> Reals:
        """What layer `index` would read of some samples if it were not rounded once more."""
        graph, coding, source = self.graph, self.coding, self.graph.nodes[index].inputs[0]
        if not self.sequential:
            return self.real[source][some]
        if index in coding.inputs:
            return decode(self.codes[source][some], coding.activations[source])
        maker, given = self.made[source]
        node, picked = graph.nodes[maker], {i: codes[some] for i, codes in given.items()}
        if maker not in coding.weights:
            real = {i: decode(c, coding.activations[i]) if i in coding.activations else c for i, c in picked.items()}
            return _run_float(graph, maker, real, len(some))[source]
        layer = Layer.of(graph, maker)
        rows = layer.rows(_as_read(graph, maker, coding, picked[node.inputs[0]], self.engine))
        weights = real_weights(layer, coding.weights[maker]).astype(np.float32)
        sums = (rows @ weights.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(-1, layer.channels)
        sums += coding.biases.get(maker, layer.bias)
        np.clip(sums, *LIMITS[str(node.attributes.get("activation", "none"))], out=sums)
        return sums.reshape(len(some), *graph.tensors[source].shape)


def input_codes(coding: Coding, values: Mapping[int, NDArray[Any]]) -> Values:
    """Inputs of a float network, by tensor index, as the integer one reads them; what was integer stays."""
    return {
        i: encode(value, coding.activations[i]) if i in coding.activations else value for i, value in values.items()
    }


def encode(values: NDArray[Any], form: Affine) -> NDArray[Any]:
    """Real values as codes of a per-tensor format, int8 or int16; ties to even."""
    bits = form.bits or 8
    moved = np.rint(values / form.scale[0]) + form.zero_point[0]
    return np.asarray(np.clip(moved, -(1 << (bits - 1)), (1 << (bits - 1)) - 1), code_dtype(form))


def decode(codes: NDArray[Any], form: Affine) -> NDArray[np.float32]:
    """What codes of a per-tensor format stand for."""
    real: NDArray[np.float32] = (codes.astype(np.float32) - np.float32(form.zero_point[0])) * form.scale[0]
    return real


def _as_read(graph: Graph, index: int, coding: Coding, codes: NDArray[Any], engine: str) -> NDArray[np.float32]:
    """What layer `index` makes of the codes of its input: requantized where it reads fewer bits."""
    source = graph.nodes[index].inputs[0]
    form = coding.activations[source]
    if index not in coding.inputs:
        return decode(codes, form)
    shape, own = graph.tensors[source].shape, coding.inputs[index]
    tensors = Tensor("codes", shape, codes.dtype.name, replace(form, bits=None)), Tensor("read", shape, "int8", own)
    single = Graph("read", tensors, (Node("quantize", "read", (0,), (1,), {}),), (0,), (1,))
    return decode(compile(single, engine).run_samples({0: codes}, len(codes))[1], own)


def _owed(graph: Graph, index: int, real: Values, codes: Values, coding: Coding) -> NDArray[np.float32] | None:
    """The error of what this layer's output is added to, where that is all that becomes of it."""
    node = graph.nodes[index]
    readers = [n for n in graph.nodes if node.outputs[0] in n.inputs]
    plain = node.attributes.get("activation", "none") == "none" and node.outputs[0] not in graph.outputs
    if not plain or len(readers) != 1 or readers[0].op != "add":
        return None
    other = next((i for i in readers[0].inputs if i != node.outputs[0]), -1)
    same = (
        other in coding.activations
        and other in real
        and graph.tensors[other].shape == graph.tensors[node.outputs[0]].shape
    )
    return real[other] - decode(codes[other], coding.activations[other]) if same else None


def _alone(graph: Graph, index: int) -> Graph:
    """The node by itself; its tensors keep their indices."""
    node = graph.nodes[index]
    given = tuple(dict.fromkeys(i for i in node.inputs if i >= 0 and graph.tensors[i].data is None))
    return Graph(graph.name, graph.tensors, (node,), given, node.outputs)


def _run_float(graph: Graph, index: int, values: Mapping[int, Any], samples: int) -> Values:
    single = _alone(graph, index)
    return compile(single, "float").run_samples({i: values[i] for i in single.inputs}, samples)


def _run_codes(
    graph: Graph, index: int, coding: Coding, values: Mapping[int, Any], samples: int, engine: str
) -> Values:
    single = _alone(graph, index)

    def own(mapping: Mapping[int, Any]) -> dict[int, Any]:
        return {0: mapping[index]} if index in mapping else {}

    integers = lower(single, Coding(coding.activations, own(coding.weights), own(coding.biases), own(coding.inputs)))
    given = {new: values[old] for new, old in zip(integers.inputs, single.inputs, strict=True)}
    outputs = compile(integers, engine).run_samples(given, samples)
    return {old: outputs[new] for new, old in zip(integers.outputs, single.outputs, strict=True)}
