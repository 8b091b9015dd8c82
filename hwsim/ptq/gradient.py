"""Forwards and backwards through a float graph, with or without number formats in it, in NumPy.

Rounding passes gradients as if it were not there (straight-through), beyond the ends of a format none; the gradient of
a scale is LSQ's. What is learned are biases, a gain for every output channel (which goes into the weights' scales), the
scales of activations and, where asked for, the weights that are rounded to codes.

Sources: Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons (arXiv 1308.3432); Esser et al.,
Learned Step Size Quantization (ICLR 2020).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import UnsupportedError
from hwsim.graph import Affine, Graph
from hwsim.ptq.adjoint import ADJOINTS, LIMITS, MOVERS, Adjoint, move
from hwsim.ptq.layers import Layer, real_weights
from hwsim.ptq.lower import FIXED, WEIGHTED, Coding
from hwsim.ptq.ties import tied
from hwsim.simulate import Program, compile

Reals = NDArray[np.float32]
Values = dict[int, Reals]
WITHIN = 0.45
"""How far from its code a weight may start: near the trained weight, so that not all reach the next code at once."""


@dataclass(slots=True)
class Parameters:
    """What can be learned; also the shape of its gradients.

    Parameters
    ----------
    bias, gain : by node index, (channels,); outputs before the activation function are gain * (weights . x) + bias
    scale : (1,) by the key of an activation format: the smallest index of the tensors that share it, or -1 - node index
        for codes that one layer reads
    weight : by node index, in units of the weights' scales before they are rounded, (groups, outputs, depth)
    """

    bias: dict[int, Reals] = field(default_factory=dict)
    gain: dict[int, Reals] = field(default_factory=dict)
    scale: dict[int, Reals] = field(default_factory=dict)
    weight: dict[int, Reals] = field(default_factory=dict)

    def items(self) -> list[tuple[str, int, Reals]]:
        """Every array with the name of its kind and its key."""
        kinds = (("bias", self.bias), ("gain", self.gain), ("scale", self.scale), ("weight", self.weight))
        return [(kind, key, value) for kind, group in kinds for key, value in group.items()]


class Differentiable:
    """A float graph up to the tensors `until`, ready to run both ways.

    Parameters
    ----------
    coding : number formats to emulate, None for the float network
    until : indices of the tensors whose gradients will be handed to `backward`
    codes : whether weights, which are uniform, are rounded from `parameters.weight`, which at first gives their codes
    """

    def __init__(self, graph: Graph, coding: Coding | None, until: tuple[int, ...], *, codes: bool = False) -> None:
        self.graph, self.coding, self.until = graph, coding, until
        self.same = tied(graph)
        self.fixed = {self.same[node.outputs[0]] for node in graph.nodes if node.op in FIXED}
        needed = set(until)
        self.places: list[int] = []
        for index in reversed(range(len(graph.nodes))):
            if needed.intersection(graph.nodes[index].outputs):
                self.places.insert(0, index)
                needed.update(graph.nodes[index].inputs)
        self.layers = {i: Layer.of(graph, i) for i in self.places if graph.nodes[i].op in WEIGHTED}
        self.matrices = {i: self._matrix(i) for i in self.layers}
        self.parameters = Parameters(
            bias={i: self._bias(i) for i in self.layers},
            gain={i: np.ones(layer.channels, np.float32) for i, layer in self.layers.items()},
            scale=self._scales(),
            weight={i: self._codes(i) for i in self.layers} if codes else {},
        )
        self.read: Values = {}
        self.steps: dict[int, Program] = {}
        self.adjoints: dict[int, Adjoint] = {}
        self._prepare()

    def forward(self, inputs: Mapping[int, Reals]) -> Values:
        """The values of the tensors `until`; inputs are (samples, *declared shape), real."""
        self.samples = len(next(iter(inputs.values())))
        self.values: Values = {}
        self.before: Values = {}
        self.rounded: dict[int, tuple[NDArray[np.bool_], Reals]] = {}
        for index, value in inputs.items():
            self.values[index] = self._encoded(index, value)
        for place in self.places:
            self._step(place)
        return {i: self.values[i] for i in self.until}

    def backward(
        self, gradients: Mapping[int, Reals], before: Mapping[int, Reals] | None = None
    ) -> tuple[Values, Parameters]:
        """Gradients of the inputs and of the parameters, for gradients of tensors in `until`.

        before : by node index, gradients that come in at layers' outputs before their activation function
        """
        flow, found = dict(gradients), Parameters()
        for place in reversed(self.places):
            node, extra = self.graph.nodes[place], (before or {}).get(place)
            given = [flow.pop(i, None) for i in node.outputs]
            if all(g is None for g in given) and extra is None:
                continue
            through = [self._through(i, g, found) for i, g in zip(node.outputs, given, strict=True)]
            if place in self.layers:
                sources = [self._layer_backward(place, through[0], extra, found)]
            else:
                outputs = [self.values[i] for i in node.outputs]
                sources = self.adjoints[place]([self._value(i) for i in node.inputs], outputs, through)
            for i, g in zip(node.inputs, sources, strict=False):
                if g is not None and i >= 0 and self.graph.tensors[i].data is None:
                    flow[i] = flow[i] + g if i in flow else g
        ends = {i: self._through(i, flow[i], found) for i in self.graph.inputs if i in flow}
        return {i: g for i, g in ends.items() if g is not None}, found

    def _step(self, place: int) -> None:
        node = self.graph.nodes[place]
        if place in self.layers:
            layer, source = self.layers[place], node.inputs[0]
            value = self._encoded(-1 - place, self.values[source]) if self._own(place) else self.values[source]
            if place in self.parameters.weight:
                self.read[place] = value
                self.matrices[place] = self.whole(place) * self._steps(place)
            sums = np.matmul(layer.rows(value), self.matrices[place].transpose(0, 2, 1)).transpose(1, 0, 2)
            out = sums.reshape(-1, layer.channels)
            out *= self.parameters.gain[place]
            out += self.parameters.bias[place]
            shape = self.samples, *self.graph.tensors[node.outputs[0]].shape
            self.before[place] = out.reshape(shape)
            limited = np.clip(self.before[place], *LIMITS[str(node.attributes.get("activation", "none"))])
            self.values[node.outputs[0]] = self._encoded(node.outputs[0], limited)
            return
        given = {i: self.values[i] for i in self.steps[place].graph.inputs}
        for i, value in self.steps[place].run_samples(given, self.samples).items():
            self.values[i] = value if node.op in MOVERS else self._encoded(i, value)

    def _layer_backward(self, place: int, given: Reals | None, extra: Reals | None, found: Parameters) -> Reals | None:
        layer, node, before = self.layers[place], self.graph.nodes[place], self.before[place]
        slope = np.zeros_like(before)
        if given is not None:
            low, high = LIMITS[str(node.attributes.get("activation", "none"))]
            slope += given * ((before > low) & (before < high)) if np.isfinite([low, high]).any() else given
        if extra is not None:
            slope += extra
        flat, gain, bias = slope.reshape(-1, layer.channels), self.parameters.gain[place], self.parameters.bias[place]
        found.bias[place] = flat.sum(0)
        found.gain[place] = (flat * (before.reshape(flat.shape) - bias)).sum(0) / gain
        scaled = layer.grouped(flat * gain)
        if place in self.parameters.weight:
            inputs = layer.rows(self.read[place])
            found.weight[place] = np.matmul(scaled.transpose(0, 2, 1), inputs) * self._steps(place)
        rows = np.matmul(scaled, self.matrices[place])
        back = layer.images(rows, self.samples)
        return self._through(-1 - place, back, found) if self._own(place) else back

    def _encoded(self, key: int, value: Reals) -> Reals:
        """`value` in the codes of format `key` and back; remembers what the way back needs."""
        form = self._form(key)
        if form is None:
            return value
        low, high = _ends(form)
        scale = self.parameters.scale[self.shared(key)]
        real = value / scale
        inside = (real > low - 0.5) & (real < high + 0.5)
        whole = np.clip(np.rint(real), low, high)
        self.rounded[key] = inside, whole - np.where(inside, real, np.float32(0))
        coded: Reals = whole * scale
        return coded

    def _through(self, key: int, given: Reals | None, found: Parameters) -> Reals | None:
        """A gradient on the way back through format `key`."""
        if given is None or key not in self.rounded:
            return given
        inside, error = self.rounded[key]
        part = np.float32((given * error).sum(dtype=np.float64))
        key = self.shared(key)
        if key in self.fixed:
            return given * inside
        found.scale[key] = found.scale.get(key, np.zeros(1, np.float32)) + part
        return given * inside

    def whole(self, place: int) -> Reals:
        """The codes that layer `place` has now, as reals (groups, outputs, depth)."""
        assert self.coding is not None
        largest = (1 << ((getattr(self.coding.weights[place].format, "bits", None) or 8) - 1)) - 1
        return np.clip(np.rint(self.parameters.weight[place]), -largest, largest)

    def shared(self, key: int) -> int:
        """The key of the scale of format `key`: tensors that share a format share it."""
        return self.same.get(key, key)

    def _own(self, place: int) -> bool:
        return self.coding is not None and place in self.coding.inputs

    def _form(self, key: int) -> Affine | None:
        if self.coding is None:
            return None
        return self.coding.inputs[-1 - key] if key < 0 else self.coding.activations.get(key)

    def _value(self, index: int) -> Reals:
        if index in self.values or index < 0:
            return self.values.get(index, np.empty(0, np.float32))
        data = self.graph.tensors[index].data
        assert data is not None
        return data[None]

    def _scales(self) -> dict[int, Reals]:
        if self.coding is None:
            return {}
        own = {-1 - i: form for i, form in self.coding.inputs.items() if i in self.layers}
        forms = {**self.coding.activations, **own}
        return {self.shared(key): form.scale[:1].astype(np.float32) for key, form in forms.items()}

    def _matrix(self, place: int) -> Reals:
        layer = self.layers[place]
        return (
            layer.weights if self.coding is None else real_weights(layer, self.coding.weights[place]).astype(np.float32)
        )

    def _codes(self, place: int) -> Reals:
        assert self.coding is not None
        layer = self.layers[place]
        codes = layer.matrix(self.coding.weights[place].codes).astype(np.float32)
        start: Reals = np.clip(layer.weights / self._steps(place), codes - WITHIN, codes + WITHIN)
        return start

    def _steps(self, place: int) -> Reals:
        """The scale of each output channel's weights, (groups, outputs, 1)."""
        assert self.coding is not None
        layer, scale = self.layers[place], self.coding.weights[place].format.scale.astype(np.float32)
        return np.broadcast_to(scale, layer.channels).reshape(layer.groups, layer.outputs, 1)

    def _bias(self, place: int) -> Reals:
        own = None if self.coding is None else self.coding.biases.get(place)
        return (self.layers[place].bias if own is None else own).astype(np.float32)

    def _prepare(self) -> None:
        """Bind the operators without weights, and find how their gradients flow."""
        for place in self.places:
            node = self.graph.nodes[place]
            if place in self.layers:
                continue
            given = tuple(dict.fromkeys(i for i in node.inputs if i >= 0 and self.graph.tensors[i].data is None))
            alone = Graph(self.graph.name, self.graph.tensors, (node,), given, node.outputs)
            self.steps[place] = compile(alone, "float")
            maker = ADJOINTS.get(node.op, move if node.op in MOVERS else None)
            if maker is None:
                raise UnsupportedError(f"{node.op} {node.name!r}: hwsim has no gradient of it; leave gradients out")
            self.adjoints[place] = maker(alone)


def _ends(form: Affine) -> tuple[float, float]:
    """The codes at both ends, less the zero point."""
    half, zero = 1 << ((form.bits or 8) - 1), int(form.zero_point[0])
    return float(-half - zero), float(half - 1 - zero)
