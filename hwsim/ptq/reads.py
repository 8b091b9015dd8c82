"""The codes in which a layer reads its input, with the scale and zero point of least error of the layer's output.

The ends of the range are moved, one at a time, as long as that helps: every candidate really rounds and clips, so there
is neither a gradient of rounding nor a learning rate, and the error on the rows that are tried never rises.

Source: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), equation 2, where
both quantizers' scales and offsets are minimized over with the weights.
"""

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Affine, Graph
from hwsim.ptq.lower import FIXED, WEIGHTED, Coding
from hwsim.ptq.ties import tied

Reals = NDArray[np.float32]
SAMPLES, ROWS = 64, 1 << 11
"""Samples, and rows of the layer's input, that candidates are tried on."""
SHARES = (0.16, 0.08, 0.04, 0.02)
"""How far an end of the range is moved, as a share of it."""


def fellow_readers(graph: Graph, coding: Coding, index: int) -> tuple[int, ...]:
    """The layers that read what layer `index` reads, in the same codes: the first of them may choose their format.

    Empty where others read them too, where they are the network's own inputs or outputs, where an operator decides
    their format, and where tensors share it.
    """
    source = graph.nodes[index].inputs[0]
    if index in coding.inputs:
        own = coding.inputs[index]
        return tuple(i for i, form in coding.inputs.items() if graph.nodes[i].inputs[0] == source and form.same_as(own))
    same = tied(graph)
    readers = [i for i, node in enumerate(graph.nodes) if source in node.inputs]
    makers = [node for node in graph.nodes if source in node.outputs]
    free = (
        source not in graph.outputs
        and list(same.values()).count(same[source]) == 1
        and all(node.op not in FIXED for node in makers)
        and all(graph.nodes[i].op in WEIGHTED and i not in coding.inputs for i in readers)
    )
    return tuple(readers) if makers and free else ()


def fit_format(x: Reals, y: Reals, weights: NDArray[np.float64], form: Affine) -> Affine:
    """The format of `x`, of as many bits as `form`, that gives the layer the least squared error with its best bias.

    Parameters
    ----------
    x, y : the layer's input before it is rounded (groups, rows, depth), and what it should give (groups, rows, outputs)
    weights : real values of its codes (groups, outputs, depth)
    form : where to start
    """
    turned = weights.transpose(0, 2, 1).astype(np.float32)

    def error(candidate: Affine) -> float:
        off = rounded(x, candidate) @ turned
        off -= y
        return float(off.var(axis=1, dtype=np.float64).sum())

    best, least = form, error(form)
    for share in SHARES:
        helped = True
        while helped:
            helped = False
            for end in (0, 1):
                for factor in (1 - share, 1 + share):
                    candidate = moved(best, end, factor)
                    found = error(candidate)
                    if found < least:
                        best, least, helped = candidate, found, True
    return best


def rounded(x: Reals, form: Affine) -> Reals:
    """What is left of real values in a per-tensor format."""
    half, zero = 1 << ((form.bits or 8) - 1), int(form.zero_point[0])
    values: Reals = x * (np.float32(1) / form.scale[0])
    np.rint(values, out=values)
    np.clip(values, -half - zero, half - 1 - zero, out=values)
    values *= form.scale[0]
    return values


def moved(form: Affine, end: int, factor: float) -> Affine:
    """`form` with its low (0) or high (1) end `factor` times as far from 0; real 0 stays a code."""
    half, zero = 1 << ((form.bits or 8) - 1), int(form.zero_point[0])
    ends = [(-half - zero) * float(form.scale[0]), (half - 1 - zero) * float(form.scale[0])]
    ends[end] *= factor
    scale = np.float32(max((ends[1] - ends[0]) / (2 * half - 1), float(np.finfo(np.float32).tiny)))
    zero = int(np.clip(np.rint(-half - ends[0] / scale), -half, half - 1))
    return Affine(np.array([scale]), np.array([zero], np.int64), None, form.bits)
