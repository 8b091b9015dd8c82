"""Compare one layer, or an output stage alone, with what came off a chip: arrays and parameters instead of a model."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Engine
from hwsim.engines import engine as engine_called
from hwsim.graph import NodeView
from hwsim.kernels.requantize import OutputStage
from hwsim.ops import operator
from hwsim.ops._base import limits
from hwsim.verify._keys import CODES, Keys
from hwsim.verify.check import Check, Difference, TensorCheck
from hwsim.verify.compare import verify
from hwsim.verify.explain import explain_accumulators, output_stage_of, requantized, stage_numbers
from hwsim.verify.golden import open_recording
from hwsim.verify.layer import CHANNEL_AXIS, RANK, layer_graph

Array = NDArray[Any]

OUTPUT_STAGE = "output stage"
OUTPUT_STAGE_KEYS = ("op", "accumulator", "output", "scale", "zero_point", "minimum", "maximum")
LARGEST = 2**31 - 1


def verify_layer(
    source: str | PathLike[str] | Mapping[str, Any], *, engine: str | Engine = "litert-reference"
) -> Check:
    """Simulate one layer as `engine`, compare with the output it is said to have, and explain the first difference.

    Parameters
    ----------
    source : an .npz file or a mapping with the keys of a layer, or of an output stage alone ('accumulator', 'output',
        'scale', 'zero_point'); docs/verify.md has the table
    engine : whose arithmetic to simulate

    Raises
    ------
    InputError : a key is missing, unknown, or has a value that does not fit
    ShapeError, UnsupportedError : shapes do not fit together, or the engine does not run such a layer
    """
    profile = engine_called(engine)
    arrays, name = open_recording(source if isinstance(source, Mapping) else Path(source))
    label = "layer" if isinstance(source, Mapping) else str(source)
    if "accumulator" in arrays:
        return _OutputStage(Keys(arrays, label), profile).check(name)
    graph = layer_graph(arrays, label)
    inputs = [np.asarray(arrays[graph.tensors[i].name]) for i in graph.inputs]
    check = verify(graph, inputs, engine=profile, against={"output": np.asarray(arrays["output"])}, sums=True)
    return replace(check, against=name)


class _OutputStage:
    """Accumulators and the codes that a chip made of them."""

    def __init__(self, keys: Keys, engine: Engine) -> None:
        keys.only(OUTPUT_STAGE_KEYS, "an output stage")
        self.engine = engine
        self.sums, self.observed = keys.fitting("accumulator", "int32"), keys.fitting("output", "int64")
        if self.sums.ndim == 0 or self.sums.shape != self.observed.shape:
            shapes = (
                f"has shape {list(self.observed.shape)}",
                f"[..., channels] as 'accumulator', {list(self.sums.shape)}",
            )
            raise keys.wrong("output", *shapes)
        self.dtype = keys.array("output").dtype.name
        codes = self.dtype if self.dtype in CODES else CODES[0]
        self.rounding = _rounding(keys.text("op", CHANNEL_AXIS, "conv2d"), codes, engine)
        self.scale = keys.scales("scale", self.sums.shape[-1], "float64")
        self.offsets = _offsets(keys, *limits(codes))

    def check(self, name: str) -> Check:
        """Requantized as the engine would, against what is in `name`."""
        stage = output_stage_of(self.rounding, self.scale, self.sums.shape[-1], **self.offsets)
        actual = requantized(self.sums, stage)
        wrong = actual != self.observed
        differing, samples = int(np.count_nonzero(wrong)), self.sums.shape[0] if self.sums.ndim > 1 else 1
        largest = float(np.abs(self.observed[wrong].astype(np.float64) - actual[wrong]).max(initial=0))
        record = TensorCheck("output", OUTPUT_STAGE, self.dtype, wrong.size, differing, largest, differing)
        if not differing:
            return Check(self.engine.name, name, samples, (record,), None, {})
        reason = explain_accumulators(self.sums, self.observed, scale=self.scale, used=self.rounding, **self.offsets)
        first = self._first(stage, actual, tuple(int(i) for i in np.argwhere(wrong)[0]))
        return Check(self.engine.name, name, samples, (record,), first, {"output": reason})

    def _first(self, stage: OutputStage, actual: Array, index: tuple[int, ...]) -> Difference:
        numbers = stage_numbers(int(self.sums[index]), stage, index[-1])
        expected, simulated = int(self.observed[index]), int(actual[index])
        return Difference("output", OUTPUT_STAGE, "output", index, expected, simulated, numbers)


def _offsets(keys: Keys, low: int, high: int) -> dict[str, int]:
    """Zero point and limits of the codes, by default `low` and `high`."""
    zero_point = keys.integer("zero_point", -LARGEST, LARGEST)
    minimum = keys.integer("minimum", -LARGEST, LARGEST, default=low)
    maximum = keys.integer("maximum", -LARGEST, LARGEST, default=high)
    if minimum > maximum:
        raise keys.wrong("minimum", f"is {minimum}", f"at most 'maximum', {maximum}")
    return {"zero_point": zero_point, "minimum": minimum, "maximum": maximum}


def _rounding(op: str, dtype: str, engine: Engine) -> str:
    """The rounding of `engine` in operator `op`, on a layer of one weight."""
    one = np.ones((1,) * RANK[op], dtype)
    unit = {f"{key}_{what}": 1 for key in ("input", "output") for what in ("scale", "zero_point")}
    graph = layer_graph({"op": op, "input": one, "weights": one, "weight_scale": 1, "output": one, **unit})
    view = NodeView(graph, graph.nodes[0])
    return operator(view).rule(engine, view).algorithm
