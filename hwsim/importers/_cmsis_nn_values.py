"""What readers of CMSIS-NN's data sets share: values by name, tensors of scale 1, a graph of one node."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ModelFormatError, UnsupportedError
from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.graph.graph import Attribute
from hwsim.importers.c_headers import Headers
from hwsim.ops._window import output_size

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One operator and what it must give.

    graph : of one node, or of one node per step; its last tensor is called 'output'
    inputs : one array per input of the graph, of the declared shape
    output : codes, of the declared shape
    """

    graph: Graph
    inputs: tuple[Array, ...]
    output: Array


class Values:
    """Numbers and arrays by name; names differ between generations of the test generator, the first that is there
    counts.
    """

    def __init__(self, headers: Headers) -> None:
        self.headers, self.label, self.name = headers, headers.label, headers.name

    def __contains__(self, name: str) -> bool:
        return name in self.headers.numbers or name in self.headers.arrays

    def wrong(self, text: str) -> ModelFormatError:
        return ModelFormatError(f"{self.label}: {text}")

    def number(self, *names: str, default: int | None = None) -> int:
        for name in names:
            value = self.headers.numbers.get(name)
            if isinstance(value, int):
                return value
        if default is None:
            raise self.wrong(f"does not define {names[0].upper()}")
        return default

    def numbers(self, name: str) -> Shape:
        value = self.headers.numbers.get(name)
        if not isinstance(value, tuple):
            raise self.wrong(f"does not define {name.upper()} as a list")
        return value

    def array(self, *names: str) -> Array:
        for name in names:
            if name in self.headers.arrays:
                return self.headers.arrays[name]
        raise self.wrong(f"has no array {names[0]!r}; it has {', '.join(self.headers.arrays)}")

    def shaped(self, shape: Shape, *names: str) -> Array:
        found = self.array(*names)
        if min(shape, default=1) < 1 or found.size != prod(shape):
            raise self.wrong(f"{names[0]!r} has {found.size} values; expected {list(shape)}")
        return found.reshape(shape)

    def batched(self, shape: Shape, *names: str) -> Array:
        """As many of `shape` as there are: the numbers' batches were not always those of the arrays."""
        size, found = prod(shape), self.array(*names)
        if min(shape) < 1 or found.size % size:
            raise self.wrong(f"{names[0]!r} has {found.size} values; expected a multiple of {list(shape)}")
        return found.reshape(-1, *shape)

    def pair(self, *names: str) -> tuple[int, int]:
        """Of height and width: NAME_Y and NAME_X, or NAME_H and NAME_W."""
        ys, xs = ([f"{name}_{axis}" for name in names for axis in axes] for axes in ("yh", "xw"))
        return self.number(*ys), self.number(*xs)

    def limits(self, kind: str = "out_") -> dict[str, Attribute]:
        low = self.number(f"{kind}activation_min", "activation_min")
        return {"output_minimum": low, "output_maximum": self.number(f"{kind}activation_max", "activation_max")}


def tensor(name: str, data: Array | None, zero_point: int, shape: Shape = (), dtype: str = "") -> Tensor:
    """A tensor of scale 1; with data a constant."""
    form = Affine.per_tensor(1.0, zero_point)
    if data is None:
        return Tensor(name, shape, dtype, form)
    return Tensor(name, data.shape, data.dtype.name, form, np.ascontiguousarray(data))


def given(name: str, data: Array, zero_point: int) -> Tensor:
    """The tensor of an input."""
    return tensor(name, None, zero_point, data.shape, data.dtype.name)


def data_set(
    values: Values,
    op: str,
    tensors: list[Tensor | None],
    inputs: Mapping[str, Array],
    output: Array,
    zero_point: int,
    options: Mapping[str, Attribute],
) -> DataSet:
    """The graph of one node that reads `tensors`, None where an input is absent."""
    present = [each for each in tensors if each is not None]
    made = (*present, tensor("output", None, zero_point, output.shape, output.dtype.name))
    where = tuple(-1 if each is None else present.index(each) for each in tensors)
    node = Node(op, values.name or op, where, (len(present),), dict(options))
    positions = tuple(i for i, each in enumerate(present) if each.name in inputs)
    graph = Graph(values.name or op, made, (node,), positions, (len(present),))
    return DataSet(graph, tuple(inputs[present[i].name] for i in positions), output)


def bias(values: Values, channels: int, activations: str) -> Tensor:
    """Zeros where there is none, of the dtype that the NULL pointer has: it says how sums are rounded."""
    names = ("biases", "bias", "input_bias")
    if any(name in values.headers.arrays for name in names):
        return tensor("bias", values.shaped((channels,), *names), 0)
    dtype = next((values.headers.absent[name] for name in names if name in values.headers.absent), None)
    return tensor("bias", np.zeros(channels, dtype or ("int64" if activations == "int16" else "int32")), 0)


def requantization(values: Values, channels: int) -> dict[str, Attribute]:
    """Output multipliers and shifts: an array of one per channel, or a number for all."""
    arrays, found = values.headers.arrays, dict[str, Attribute]()
    for option, names in (("output_multiplier", ("output_mult",)), ("output_shift", ())):
        stated = next((arrays[name] for name in (option, *names) if name in arrays), None)
        if stated is not None and stated.size not in (1, channels):
            raise values.wrong(f"{option!r} has {stated.size} values; expected 1 or {channels}")
        found[option] = (values.number(option, *names),) if stated is None else tuple(int(v) for v in stated)
    return found


def same_or_valid(values: Values, sizes: Shape, spans: Shape, strides: Shape, out: Shape, before: Shape) -> str:
    """Which padding leads from `sizes` to `out` with so much padding before."""
    expected = list(zip(out, before, strict=True))
    axes = list(zip(sizes, spans, strides, strict=True))
    for padding in ("valid", "same"):
        if [output_size(size, span, stride, 1, padding) for size, span, stride in axes] == expected:
            return padding
    raise UnsupportedError(
        f"{values.label}: padding {list(before)} and output {list(out)} are neither 'same' nor 'valid' for input "
        f"{list(sizes)}, filter {list(spans)}, stride {list(strides)}"
    )


def window(values: Values) -> tuple[dict[str, Attribute], Shape, Shape]:
    """Options of a convolution's window, the filter's size and the output's."""
    size, taps, out = values.pair("input"), values.pair("filter"), values.pair("output")
    strides, pads = values.pair("stride"), values.pair("pad", "padding")
    dilations = values.number("dilation_y", default=1), values.number("dilation_x", default=1)
    if min(*strides, *dilations, *taps) < 1:
        raise values.wrong(f"filter {taps}, stride {strides} and dilation {dilations}; each must be at least 1")
    spans = tuple((tap - 1) * step + 1 for tap, step in zip(taps, dilations, strict=True))
    options: dict[str, Attribute] = {"padding": same_or_valid(values, size, spans, strides, out, pads)}
    options |= {"stride_h": strides[0], "stride_w": strides[1]}
    options |= {"dilation_h": dilations[0], "dilation_w": dilations[1]}
    return options, taps, out
