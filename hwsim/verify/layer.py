"""One layer as arrays and parameters under documented keys, made a graph of one node; docs/verify.md has the table."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph import Affine, Graph, Node, NodeView, Tensor
from hwsim.graph.graph import Attribute
from hwsim.ops import operator
from hwsim.ops._base import limits
from hwsim.verify._keys import Keys

Array = NDArray[Any]

_EVERY = ("op", "input", "input_scale", "input_zero_point", "output", "output_scale", "output_zero_point", "activation")
_WEIGHTED = (*_EVERY, "weights", "weight_scale", "weight_zero_point", "bias")
_WINDOWED = (*_WEIGHTED, "stride", "dilation", "padding")
KEYS: Mapping[str, tuple[str, ...]] = {
    "add": (*_EVERY, "input_2", "input_2_scale", "input_2_zero_point"),
    "conv2d": _WINDOWED,
    "depthwise_conv2d": _WINDOWED,
    "fully_connected": _WEIGHTED,
}
"""The keys of each operator's layer."""

CHANNEL_AXIS = {"conv2d": 0, "depthwise_conv2d": 3, "fully_connected": 0}
RANK = {"conv2d": 4, "depthwise_conv2d": 4, "fully_connected": 2}
ACTIVATIONS = ("none", "relu", "relu6", "relu_n1_to_1")
PADDINGS = ("same", "valid")
LARGEST_STEP = 2**31 - 1


def layer_graph(arrays: Mapping[str, Any], label: str = "layer") -> Graph:
    """A graph of one node, out of the keys of a layer; 'output' is only looked at for its shape.

    The rows of 'input' along axis 0 are samples: the graph declares a batch of 1. `label` names the arrays in messages.
    """
    keys = Keys(arrays, label)
    if "op" not in keys:
        raise InputError(
            f"{label}: has no key 'op' ({', '.join(KEYS)}) and no key 'accumulator', so it describes no layer; "
            "if it holds tensors of a model, name the MODEL too"
        )
    op = keys.text("op", KEYS)
    keys.only(KEYS[op], op)
    first = _activations(keys, "input")
    tensors = [first, _activations(keys, "input_2")] if op == "add" else [first, *_constants(keys, op, first.scale)]
    inputs = tuple(i for i, tensor in enumerate(tensors) if tensor.data is None)
    output = Tensor("output", (), first.dtype, _format(keys, "output", first.dtype))
    node = Node(op, "output", tuple(range(len(tensors))), (len(tensors),), _attributes(keys, op, tensors))
    graph = Graph(label, (*tensors, output), (node,), inputs, (len(tensors),))
    view = NodeView(graph, node)
    (shape,) = operator(view).infer_shapes(view)
    _check_rows(keys, graph, shape)
    return replace(graph, tensors=(*tensors, replace(output, shape=shape)))


def _activations(keys: Keys, key: str) -> Tensor:
    value = keys.codes(key)
    if value.ndim < 2:
        raise keys.wrong(key, f"has shape {list(value.shape)}", "rows along axis 0 and at least one more")
    return Tensor(key, (1, *value.shape[1:]), value.dtype.name, _format(keys, key, value.dtype.name))


def _format(keys: Keys, key: str, dtype: str) -> Affine:
    (scale,) = keys.scales(f"{key}_scale")
    return Affine.per_tensor(float(scale), keys.integer(f"{key}_zero_point", *limits(dtype)))


def _constants(keys: Keys, op: str, input_scale: float) -> list[Tensor]:
    """Weights and bias. The bias is there even if it is zero, with the scale that follows: real engines want both."""
    weights, axis = keys.codes("weights"), CHANNEL_AXIS[op]
    if weights.ndim != RANK[op]:
        raise keys.wrong("weights", f"has shape {list(weights.shape)}", f"{RANK[op]} dimensions")
    channels = weights.shape[axis]
    scale = keys.scales("weight_scale", channels)
    zero_point = keys.integer("weight_zero_point", *limits(weights.dtype.name), default=0)
    bias = keys.fitting("bias", "int32") if "bias" in keys else np.zeros(channels, np.int32)
    if bias.size != channels:
        raise keys.wrong("bias", f"has {bias.size} values", f"{channels}, one per output channel")
    per_channel = scale.size > 1
    form = Affine(scale, np.full(scale.shape, zero_point, np.int64), axis if per_channel else None)
    with np.errstate(over="ignore", under="ignore"):
        bias_scale = np.float32(input_scale) * scale
    sums = Affine(bias_scale, np.zeros(scale.shape, np.int64), 0 if per_channel else None)
    return [
        Tensor("weights", weights.shape, weights.dtype.name, form, np.ascontiguousarray(weights)),
        Tensor("bias", (channels,), "int32", sums, np.ascontiguousarray(bias.reshape(-1))),
    ]


def _attributes(keys: Keys, op: str, tensors: list[Tensor]) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {"activation": keys.text("activation", ACTIVATIONS, "none")}
    if op == "fully_connected":
        found |= {"weights_format": "default", "keep_num_dims": tensors[0].shape[-1] == tensors[1].shape[1]}
    if "stride" in KEYS[op]:
        found["padding"] = keys.text("padding", PADDINGS, "valid")
        for key in ("stride", "dilation"):
            pair = keys.integers(key, (1, 2), 1, LARGEST_STEP, default=1)
            found |= {f"{key}_h": pair[0], f"{key}_w": pair[-1]}
    if op == "depthwise_conv2d":
        found["depth_multiplier"] = max(1, tensors[1].shape[3] // tensors[0].shape[-1])
    return found


def _check_rows(keys: Keys, graph: Graph, shape: tuple[int, ...]) -> None:
    """InputError where 'output' is not what the rows of the inputs give; before anything that large is computed."""
    rows = {graph.tensors[i].name: np.asarray(keys.arrays[graph.tensors[i].name]).shape[0] for i in graph.inputs}
    count = max(rows.values())
    for key, found in rows.items():
        if found != count:
            raise keys.wrong(key, f"has {found} rows", str(count))
    output, expected = keys.fitting("output", graph.tensors[-1].dtype), (count * shape[0], *shape[1:])
    if output.shape not in (expected, (prod(expected),)):
        raise keys.wrong("output", f"has shape {list(output.shape)}", str(list(expected)))
