"""AdaQuant over blocks: codes, scales and biases of several layers learned together from the block's output.

What a layer's own output error does not know, a block's does: which of its errors the layers behind it undo. A block is
the shortest run of nodes with two layers or more between tensors through which everything passes: a residual block, or
two layers of a chain. Its target is what the float network gives at its end; what it reads is what the integer network
gives so far. Weights move as in the authors' AdaQuant, by gradients through the rounding.

Source: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), equation 2, for the
layers of a block at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Affine, Graph
from hwsim.ptq.bias_tuning import Adam, Tuning, learn, logits, tuned
from hwsim.ptq.gradient import Differentiable
from hwsim.ptq.lower import WEIGHTED, Coding, lower
from hwsim.ptq.ties import tied
from hwsim.ptq.walk import Values, decode, input_codes
from hwsim.simulate import SampleBatch, compile

TUNING = Tuning(steps=60, batch=32, learn=("bias", "gain", "scale", "weight"))


def joint_blocks(
    graph: Graph,
    coding: Coding,
    batch: SampleBatch,
    engine: str,
    tuning: Tuning = TUNING,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Coding:
    """`coding` with the layers of each block fitted together, block after block, where the integers at its end gain.

    UnsupportedError where an operator in a block has no gradient here.
    """
    real: Values = dict(batch.values)
    codes = input_codes(coding, real)
    for block in blocks(graph):
        part = block.graph
        ends, classifies = logits(part)
        every = replace(part, outputs=tuple(dict.fromkeys((*ends, *part.outputs))))
        wanted = compile(every, "float").run_samples({i: real[i] for i in part.inputs}, batch.samples)
        own, goal = block.cut(coding), {i: wanted[i] for i in part.outputs}
        now = _run(part, own, codes, batch.samples, engine)
        if own.weights and all(isinstance(w.format, Affine) for w in own.weights.values()):
            student = Differentiable(part, own, ends, codes=True)
            read = _real(codes, coding)
            adam = Adam(student, tuning, frozenset(student.shared(i) for i in block.shared))
            learn(student, adam, read, {i: wanted[i] for i in ends}, classifies, seed)
            other = tuned(student, own)
            then = _run(part, other, codes, batch.samples, engine)
            if _error(then, other, goal) < _error(now, own, goal):
                coding, now = block.put(coding, other), then
        codes, real = now, goal
        if progress is not None:
            progress(max(len(own.weights), 1))
    return coding


@dataclass(frozen=True, slots=True)
class Block:
    """A run of nodes as a graph of its own, with the tensors of the whole.

    Parameters
    ----------
    start : the first node's index in the whole
    shared : tensors whose format others outside have too, or made
    """

    graph: Graph
    start: int
    shared: tuple[int, ...]

    def cut(self, coding: Coding) -> Coding:
        """The whole's coding, by the block's node indices."""
        return replace(
            coding, weights=self._cut(coding.weights), biases=self._cut(coding.biases), inputs=self._cut(coding.inputs)
        )

    def put(self, coding: Coding, own: Coding) -> Coding:
        """The whole's coding with the block's own."""
        return replace(
            coding,
            activations=own.activations,
            weights={**coding.weights, **{i + self.start: weights for i, weights in own.weights.items()}},
            biases={**coding.biases, **{i + self.start: bias for i, bias in own.biases.items()}},
            inputs={**coding.inputs, **{i + self.start: form for i, form in own.inputs.items()}},
        )

    def _cut(self, mapping: Any) -> dict[int, Any]:
        count = len(self.graph.nodes)
        return {i - self.start: value for i, value in mapping.items() if 0 <= i - self.start < count}


def blocks(graph: Graph) -> Iterator[Block]:
    """The blocks in execution order; what is left behind the last one of two layers belongs to it."""
    weighted = [node.op in WEIGHTED for node in graph.nodes]
    last = {i: place for place, node in enumerate(graph.nodes) for i in node.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    same, start, alive, given = tied(graph), 0, set(graph.inputs), graph.inputs
    for place, node in enumerate(graph.nodes):
        alive = {i for i in (*alive, *node.outputs) if last.get(i, -1) > place}
        end = place == len(graph.nodes) - 1
        through = len(alive) == 1 and alive.isdisjoint(graph.outputs)
        if end or (through and sum(weighted[start : place + 1]) >= 2 and sum(weighted[place + 1 :]) >= 2):
            outputs = graph.outputs if end else tuple(alive)
            nodes = graph.nodes[start : place + 1]
            made = {i for n in nodes for i in n.outputs}
            outside = {root for i, root in same.items() if i not in made}
            shared = tuple(i for i, root in same.items() if root in outside)
            yield Block(Graph(graph.name, graph.tensors, nodes, given, outputs), start, shared)
            start, given = place + 1, outputs


def _real(codes: Values, coding: Coding) -> dict[int, NDArray[np.float32]]:
    """What codes stand for; integers without a format as they are."""
    return {i: decode(c, coding.activations[i]) if i in coding.activations else c for i, c in codes.items()}


def _error(codes: Values, coding: Coding, goal: Values) -> float:
    """Squared error of a block's outputs, each over the variance of the float network's."""
    got = _real(codes, coding)
    return sum(float(((got[i] - value) ** 2).mean() / max(value.var(), 1e-12)) for i, value in goal.items())


def _run(part: Graph, own: Coding, codes: Values, samples: int, engine: str) -> Values:
    """What a block gives in integers."""
    integers = lower(part, own)
    given = {new: codes[old] for new, old in zip(integers.inputs, part.inputs, strict=True)}
    outputs = compile(integers, engine).run_samples(given, samples)
    return {old: outputs[new] for new, old in zip(integers.outputs, part.outputs, strict=True)}
