"""Tensors, nodes and the graph that joins them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph.formats import Affine, Format, Grouped, Levels
from hwsim.quantizers.packing import packed_bytes

ABSENT = -1
Attribute = int | float | bool | str | tuple[int, ...]

DTYPES = (
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "bool",
)  # fmt: skip


def shorten(name: str, width: int = 60) -> str:
    """`name` for a message: converters join dozens of names into one."""
    return name if len(name) <= width else f"{name[: width - 3]}..."


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One value of a graph.

    Parameters
    ----------
    name : unique within the graph
    shape : as the file declares it, batch included; every dimension >= 0
    dtype : one of `DTYPES`
    format : how codes stand for real values, None where the codes are the values
    data : the constant's value, shape `shape`; None for what is computed
    is_variable : whether the value is state that outlives a run
    initial : a variable's value at reset, shape `shape`; None for the code that stands for 0
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    format: Format | None = None
    data: NDArray[Any] | None = None
    is_variable: bool = False
    initial: NDArray[Any] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the value is stored in the graph."""
        return self.data is not None

    @property
    def reset_value(self) -> NDArray[Any]:
        """What a variable starts from. Without an initial value that is the zero point of int8, and 0 of other dtypes.

        Source: LiteRT tflite/core/subgraph.cc, ResetVariableTensors; TFLM micro_interpreter_graph.cc.
        """
        if self.initial is not None:
            return self.initial
        moved = self.dtype == "int8" and self.format is not None
        return np.full(self.shape, self.zero_point if moved else 0, self.dtype)

    @property
    def size_bytes(self) -> int:
        """Bytes of one value of this tensor; UnsupportedError where it is no number."""
        if self.dtype not in DTYPES:
            raise UnsupportedError(f"tensor {self.name!r} is {self.dtype}; hwsim computes on {', '.join(DTYPES)}")
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def stored_bytes(self) -> int:
        """Bytes of the value as files and targets hold it: codes packed to the format's bits, with their tables."""
        bits = getattr(self.format, "bits", None)
        codes = self.size_bytes if bits is None else packed_bytes(prod(self.shape), bits)
        if isinstance(self.format, Grouped):
            return codes + self.format.multipliers.nbytes
        return codes + (self.format.stored_table.nbytes if isinstance(self.format, Levels) else 0)

    @property
    def scale(self) -> float:
        """The scale of a per-tensor format."""
        return float(self._per_tensor().scale[0])

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor format."""
        return int(self._per_tensor().zero_point[0])

    @property
    def affine(self) -> Affine:
        """The format, where it is scale and zero point; GraphError where there is none, UnsupportedError where not."""
        if self.format is None:
            raise GraphError(f"tensor {self.name!r} ({self.dtype}) has no scale; a quantized tensor needs one")
        if not isinstance(self.format, Affine):
            raise UnsupportedError(f"tensor {self.name!r} has {self.format}; expected scale and zero point")
        return self.format

    def _per_tensor(self) -> Affine:
        form = self.affine
        if form.scale.size != 1:
            raise UnsupportedError(
                f"tensor {self.name!r} has {form.scale.size} scales; expected one, only weights may have more"
            )
        return form


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator applied to tensors.

    Parameters
    ----------
    op : hwsim's name of the operator ('conv2d'), or the file's own where hwsim has none ('CUSTOM')
    name : unique within the graph, for messages
    inputs, outputs : tensor indices; -1 stands for an absent optional input
    attributes : the operator's options by name
    """

    op: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network: tensors, and nodes in execution order.

    Parameters
    ----------
    name : for titles and messages
    tensors : every tensor; nodes refer to them by index
    nodes : in an order in which every input is computed before it is read
    inputs, outputs : tensor indices
    source : the bytes of the file it was read from, for a real engine to run; None if it was made or changed here
    source_format : 'tflite', 'hwsim' or ''
    compressed : whether the file it was read from keeps constants as indices into tables, as only some engines read
    """

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    source: bytes | None = field(default=None, repr=False)
    source_format: str = ""
    compressed: bool = False

    def __post_init__(self) -> None:
        _check(self)

    def tensor(self, name: str) -> Tensor:
        """The tensor called `name`."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise GraphError(f"graph {self.name!r} has no tensor {name!r}")

    @property
    def variables(self) -> tuple[int, ...]:
        """Indices of the tensors that are state."""
        return tuple(i for i, t in enumerate(self.tensors) if t.is_variable and i not in self.inputs)

    def save(self, path: "str | Any") -> None:
        """Write the graph to `path` in hwsim's own format, bit for bit."""
        from hwsim.graph.file import save

        save(self, path)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node together with its tensors: what an operator looks at.

    Parameters
    ----------
    graph, node : the node and where it stands
    known : values that nodes compute from constants alone, by tensor index
    """

    graph: Graph
    node: Node
    known: Mapping[int, NDArray[Any]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How messages call this node."""
        return f"{self.node.op} {shorten(self.node.name)!r}"

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """The node's options."""
        return self.node.attributes

    @property
    def inputs(self) -> list[Tensor | None]:
        """Input tensors, None where an optional one is absent."""
        return [self.graph.tensors[i] if i >= 0 else None for i in self.node.inputs]

    @property
    def outputs(self) -> list[Tensor]:
        """Output tensors."""
        return [self.graph.tensors[i] for i in self.node.outputs]

    def optional(self, position: int) -> Tensor | None:
        """The input at `position`, None where it is absent."""
        inputs = self.node.inputs
        present = position < len(inputs) and inputs[position] >= 0
        return self.graph.tensors[inputs[position]] if present else None

    def input(self, position: int) -> Tensor:
        """The input at `position`; GraphError where it is absent."""
        tensor = self.optional(position)
        if tensor is None:
            raise GraphError(f"{self.label}: input {position} is missing; it has {len(self.node.inputs)} inputs")
        return tensor

    def output(self, position: int = 0) -> Tensor:
        """The output at `position`; GraphError where it is absent."""
        if position >= len(self.node.outputs):
            raise GraphError(f"{self.label}: output {position} is missing; it has {len(self.node.outputs)} outputs")
        return self.graph.tensors[self.node.outputs[position]]

    def constant(self, position: int) -> NDArray[Any]:
        """The value of the input at `position`, a constant or computed from constants."""
        tensor = self.input(position)
        value = tensor.data if tensor.data is not None else self.known.get(self.node.inputs[position])
        if value is None:
            raise UnsupportedError(f"{self.label}: input {tensor.name!r} is computed; expected a constant")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """The integer option `name`."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise GraphError(f"{self.label}: option {name!r} is {value!r}; expected an integer")
        return int(value)

    def text(self, name: str, default: str | None = None) -> str:
        """The text option `name`."""
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise GraphError(f"{self.label}: option {name!r} is {value!r}; expected a name")
        return value


def _check(graph: Graph) -> None:
    names = Counter(tensor.name for tensor in graph.tensors)
    for name, count in names.most_common(1):
        if count > 1:
            raise GraphError(f"graph {graph.name!r}: {count} tensors are called {name!r}; names must differ")
    for index in (*graph.inputs, *graph.outputs):
        _check_index(graph, index, f"graph {graph.name!r}")
    given = {i for i, t in enumerate(graph.tensors) if t.data is not None or t.is_variable} | set(graph.inputs)
    ready = set(given)
    for node in graph.nodes:
        label = f"{node.op} {node.name!r}"
        for index in node.inputs:
            if index != ABSENT:
                _check_index(graph, index, label)
                if index not in ready:
                    raise GraphError(f"{label}: reads {graph.tensors[index].name!r} before anything computes it")
        for index in node.outputs:
            _check_index(graph, index, label)
            if index in ready:
                raise GraphError(f"{label}: writes {graph.tensors[index].name!r}, which has a value already")
            ready.add(index)
    for index in graph.outputs:
        if index not in ready:
            raise GraphError(f"graph {graph.name!r}: output {graph.tensors[index].name!r} is never computed")


def _check_index(graph: Graph, index: int, label: str) -> None:
    if not 0 <= index < len(graph.tensors):
        raise GraphError(f"{label}: tensor index {index} is outside 0..{len(graph.tensors) - 1}")
