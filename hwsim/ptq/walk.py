"""The float network and the integer one side by side, node by node, on the calibration samples.

A layer is changed when the walk reaches it, so that later layers read what the changed ones give (sequential). Nothing
emulates the integers: every node runs under the engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.ptq.layers import Layer
from hwsim.ptq.lower import WEIGHTED, Coding, Weights, code_dtype, lower
from hwsim.ptq.moments import Moments, measure
from hwsim.simulate import SampleBatch, compile

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
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Coding:
    """`coding` with every layer as `visit` wants it.

    Parameters
    ----------
    sequential : layers read what the integer network gives so far; else the float network's values in codes
    joint : a layer whose output is only added to something makes up for that operand's error too
    """
    real: Values = dict(batch.values)
    codes = input_codes(coding, real)
    last = {i: place for place, node in enumerate(graph.nodes) for i in node.inputs}
    for index, node in enumerate(graph.nodes):
        if node.op in WEIGHTED:
            layer, source = Layer.of(graph, index), node.inputs[0]
            given = codes[source] if sequential else encode(real[source], coding.activations[source])
            read = _as_read(graph, index, coding, given, engine)
            owed = _owed(graph, index, real, codes, coding) if joint and sequential else None
            changed = visit(index, layer, measure(layer, real[source], read, owed, seed), coding)
            if changed is not None:
                weights, bias = changed
                coding = replace(
                    coding, weights={**coding.weights, index: weights}, biases={**coding.biases, index: bias}
                )
            if progress is not None:
                progress(1)
        real.update(_run_float(graph, index, real, batch.samples))
        codes.update(_run_codes(graph, index, coding, codes, batch.samples, engine))
        for i in node.inputs:
            if last.get(i) == index and i in real:
                del real[i], codes[i]
    return coding


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
