"""Data sets of CMSIS-NN's unit tests: folders of C headers with one operator, its input and the output it must have.

They state multipliers and shifts, not scales: the graph does too (`hwsim.ops._stated`), and every scale in it is 1.

Source: ARM-software/CMSIS-NN Tests/UnitTest (TestCases/TestData; the test programs tell what each name means).
"""

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

import numpy as np

from hwsim.errors import UnsupportedError, unknown
from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.graph.graph import Attribute
from hwsim.importers._cmsis_nn_layers import conv2d, depthwise_conv2d, fully_connected, transpose_conv
from hwsim.importers._cmsis_nn_values import (
    DataSet,
    Values,
    bias,
    data_set,
    given,
    requantization,
    tensor,
    window,
)
from hwsim.importers.c_headers import read_headers

__all__ = ["DataSet", "read_data_set"]

GATES = ("input", "forget", "cell", "output")


def read_data_set(folder: str | PathLike[str], op: str | None = None) -> DataSet:
    """The data set in `folder`.

    Parameters
    ----------
    folder : with `config_data.h` and the headers beside it; all that end in .h are read
    op : hwsim's name of the operator; by default found by the names that the headers define, for those that define the
        same ones (the poolings, MINIMUM, MAXIMUM) by the folder's name

    Raises
    ------
    InputError : there is no such folder of headers
    ModelFormatError : a header is malformed, or something is missing or does not fit
    UnsupportedError : an operator or a padding that hwsim does not read
    """
    values = Values(read_headers(Path(folder)))
    found = op or _operator(values)
    if found not in READERS:
        raise UnsupportedError(f"{values.label}: {unknown('operator of a data set', found, READERS)}")
    return READERS[found](values)


def _operator(values: Values) -> str:
    """By the folder's name, or by one that only the operator's headers define."""
    by_name = {"max_pool_2d": "maxpool", "average_pool_2d": "avgpool", "maximum": "maximum", "minimum": "minimum"}
    telling = {
        "transpose_conv": "pad_x_with_offset",
        "depthwise_conv2d": "ch_mult",
        "fully_connected": "accumulation_depth",
        "softmax": "num_rows",
        "unidirectional_sequence_lstm": "cell_scale_power",
        "svdf": "feature_batches",
        "batch_matmul": "lhs_rows",
        "transpose": "perm",
        "pad": "pre_pad_n",
        "add": "left_shift",
        "mul": "input1_offset",
        "conv2d": "filter_x",
    }
    for op, part in by_name.items():
        if part in values.name:
            return op
    for op, name in telling.items():
        if name in values:
            return op
    raise UnsupportedError(f"{values.label}: its names tell no operator; name one of {', '.join(READERS)}")


def _pool(op: str) -> Callable[[Values], DataSet]:
    def read(values: Values) -> DataSet:
        options, taps, out = window(values)
        options = {key: value for key, value in options.items() if not key.startswith("dilation")} | values.limits()
        options |= {"filter_h": taps[0], "filter_w": taps[1]}
        channels = values.number("in_ch", "input_c")
        x = values.batched((*values.pair("input"), channels), "input", "input_tensor")
        y = values.batched((*out, channels), "output_ref", "output")
        return data_set(values, op, [given("input", x, 0)], {"input": x}, y, 0, options)

    return read


def _softmax(values: Values) -> DataSet:
    shape = values.number("num_rows"), values.number("row_size")
    x, y = values.shaped(shape, "input", "input_tensor"), values.shaped(shape, "output_ref", "output")
    zero_point = 0 if x.dtype == np.int16 else int(np.iinfo(y.dtype).min)
    shift = values.number("input_left_shift")
    nearest = -((31 << 26) >> shift) if x.dtype == np.int8 and 0 <= shift <= 31 else 0
    if x.dtype == np.int8 and values.number("diff_min", default=nearest) != nearest:
        raise UnsupportedError(f"{values.label}: DIFF_MIN is not {nearest}, which follows from INPUT_LEFT_SHIFT")
    options: dict[str, Attribute] = {"input_multiplier": (values.number("input_mult"),), "input_shift": (shift,)}
    options["beta"] = 1.0
    return data_set(values, "softmax", [given("input", x, 0)], {"input": x}, y, zero_point, options)


def _pairwise(op: str) -> Callable[[Values], DataSet]:
    """ADD and MUL, of equal shapes."""

    def read(values: Values) -> DataSet:
        inputs = {f"input_{n}": values.array(f"input{n}", f"input_{n}").reshape(1, -1) for n in (1, 2)}
        y = values.shaped(inputs["input_1"].shape, "output_ref", "output")
        tensors: list[Tensor | None] = [
            given(name, x, -values.number(f"input{name[-1]}_offset")) for name, x in inputs.items()
        ]
        options = {**values.limits(), **requantization(values, 1)}
        if op == "add":
            options["left_shift"] = values.number("left_shift")
            for kind, name in (("multiplier", "mult"), ("shift", "shift")):
                options[f"input_{kind}"] = tuple(values.number(f"input{n}_{name}") for n in (1, 2))
        return data_set(values, op, tensors, inputs, y, values.number("output_offset"), options)

    return read


def _chosen(op: str) -> Callable[[Values], DataSet]:
    """MINIMUM and MAXIMUM, whose inputs broadcast."""

    def read(values: Values) -> DataSet:
        sides = ("batch", "height", "width", "channel")
        shapes = [tuple(values.number(f"{side}_{n}") for side in sides) for n in (1, 2)]
        inputs = {f"input_{n}": values.shaped(shapes[n - 1], f"input_tensor_{n}", f"input_{n}") for n in (1, 2)}
        try:
            out = np.broadcast_shapes(*shapes)
        except ValueError:
            raise values.wrong(f"inputs {shapes} do not broadcast") from None
        y = values.shaped(out, "output", "output_ref")
        return data_set(values, op, [given(name, x, 0) for name, x in inputs.items()], inputs, y, 0, {})

    return read


def _batch_matmul(values: Values) -> DataSet:
    """Matrices as the model has them; those that are transposed for CMSIS-NN are left alone."""
    turned = [bool(values.number(name, default=0)) for name in ("adj_x", "adj_y")]
    inputs = {}
    for side, name in (("lhs", "first"), ("rhs", "second")):
        shape = tuple(values.number(f"{side}_{axis}") for axis in ("batch", "height", "rows", "cols"))
        inputs[name] = values.shaped(shape, f"{side}_input_tensor")
    first, second = (x.swapaxes(2, 3) if t else x for x, t in zip(inputs.values(), turned, strict=True))
    outer = np.maximum(first.shape[:2], second.shape[:2])
    y = values.shaped((*(int(n) for n in outer), first.shape[2], second.shape[3]), "output", "output_ref")
    offsets = values.number("lhs_offset", default=0), values.number("rhs_offset", default=0)
    tensors: list[Tensor | None] = [
        given(name, x, -offset) for (name, x), offset in zip(inputs.items(), offsets, strict=True)
    ]
    options: dict[str, Attribute] = {"adj_x": turned[0], "adj_y": turned[1], "asymmetric_quantize_inputs": False}
    options |= {**values.limits(""), **requantization(values, 1)}
    return data_set(values, "batch_matmul", tensors, inputs, y, values.number("output_offset", default=0), options)


def _transpose(values: Values) -> DataSet:
    axes = values.numbers("perm")
    if sorted(axes) != list(range(len(axes))):
        raise values.wrong(f"PERM is {axes}; expected an order of axes")
    shape = values.numbers("in_dim")[: len(axes)]
    x = values.shaped(shape, "input_tensor", "input")
    y = values.shaped(tuple(shape[axis] for axis in axes), "output", "output_ref")
    order = Tensor("axes", (len(axes),), "int32", None, np.array(axes, np.int32))
    return data_set(values, "transpose", [given("input", x, 0), order], {"input": x}, y, 0, {})


def _pad(values: Values) -> DataSet:
    """The value that is padded with stands for 0."""
    x = values.shaped(tuple(values.number(f"input_{axis}") for axis in "nhwc"), "input_tensor", "input")
    widths = np.array([[values.number(f"{side}_pad_{axis}") for side in ("pre", "post")] for axis in "nhwc"], np.int32)
    y = values.shaped(tuple(int(n) for n in widths.sum(axis=1) + x.shape), "output", "output_ref")
    zero_point = values.number("pad_value", default=0)
    tensors: list[Tensor | None] = [given("input", x, zero_point), Tensor("paddings", (4, 2), "int32", None, widths)]
    return data_set(values, "pad", tensors, {"input": x}, y, zero_point, {})


def _svdf(values: Values) -> DataSet:
    """A node per step of the sequence, all on one state; the output is the last step's."""
    batch, depth, rank = (values.number(name) for name in ("input_batches", "input_size", "rank"))
    filters, memory = values.number("feature_batches"), values.number("time_batches")
    if min(batch, depth, rank, filters, memory) < 1:
        raise values.wrong("input, rank, feature and time batches must be at least 1")
    steps = values.batched((batch, depth), "input_sequence")
    times, state = values.shaped((filters, memory), "weights_time"), values.shaped((batch, filters * memory), "state")
    units = filters // rank
    y = values.shaped((batch, units), "output_ref", "output")
    features = tensor("features", values.shaped((filters, depth), "weights_feature"), 0)
    fixed = [features, tensor("times", times, 0), bias(values, units, "int8")]
    variable = Tensor("state", state.shape, state.dtype.name, Affine.per_tensor(1.0), is_variable=True, initial=state)
    options: dict[str, Attribute] = {"rank": rank, **values.limits()}
    for what, number in (("state", 1), ("output", 2)):
        options[f"{what}_multiplier"] = (values.number(f"multiplier_{('in', 'out')[number - 1]}"),)
        options[f"{what}_shift"] = (values.number(f"shift_{number}"),)
    sources = [given(f"input_{n}", x, values.number("input_offset")) for n, x in enumerate(steps)]
    zero_point = values.number("output_offset")
    names = [*(f"output_{n}" for n in range(len(steps) - 1)), "output"]
    outputs = [tensor(name, None, zero_point, y.shape, y.dtype.name) for name in names]
    first, count = len(fixed) + 1, len(steps)
    nodes = [
        Node("svdf", f"{values.name}_{n}", (first + n, 0, 1, 2, 3), (first + count + n,), options) for n in range(count)
    ]
    graph = Graph(values.name, (*fixed, variable, *sources, *outputs), tuple(nodes),
                  tuple(range(first, first + count)), (first + 2 * count - 1,))  # fmt: skip
    return DataSet(graph, tuple(steps), y)


def _lstm(values: Values) -> DataSet:
    """From reset state: a cell of 0, and a hidden state that stands for 0."""
    batch, steps, depth, cells = (values.number(n) for n in ("batch_size", "time_steps", "input_size", "hidden_size"))
    time_major, power = bool(values.number("time_major")), values.number("cell_scale_power")
    outer = (steps, batch) if time_major else (batch, steps)
    x = values.shaped((*outer, depth), "input_tensor")
    y = values.shaped((*outer, cells), "output")
    zero_point = values.number("output_zero_point")
    inputs: list[Tensor | None] = [given("input", x, -values.number("input_zero_point")), *[None] * 23]
    stated: dict[str, list[int]] = {"multiplier": [], "shift": []}
    for gate, name in enumerate(GATES):
        for first, source, columns in ((1, "input", depth), (5, "hidden", cells)):
            weights = values.shaped((cells, columns), f"{name}_gate_{source}_weights")
            inputs[first + gate] = tensor(f"{name}_{source}", weights, 0)
            for kind, found in stated.items():
                found.append(values.number(f"{name}_gate_{source}_{kind}"))
        inputs[12 + gate] = tensor(f"{name}_bias", values.shaped((cells,), f"{name}_gate_bias"), 0)
    hidden = Tensor("hidden", (batch, cells), x.dtype.name, Affine.per_tensor(1.0, zero_point), is_variable=True)
    cell = Tensor("cell", (batch, cells), "int16", Affine.per_tensor(2.0**power), is_variable=True)
    inputs[18:20] = [hidden, cell]
    options: dict[str, Attribute] = {"activation": "tanh", "time_major": time_major}
    options |= {"cell_clip": values.number("cell_clip") * 2.0**power, "proj_clip": 0.0}
    for kind, found in stated.items():
        options[f"gate_{kind}"] = tuple(found)
        options[f"cell_{kind}"] = tuple(values.number(f"{name}_to_cell_{kind}") for name in ("forget", "input"))
        options[f"output_{kind}"] = (values.number(f"output_{kind}"),)
    return data_set(values, "unidirectional_sequence_lstm", inputs, {"input": x}, y, zero_point, options)


READERS: Mapping[str, Callable[[Values], DataSet]] = {
    "add": _pairwise("add"),
    "average_pool_2d": _pool("average_pool_2d"),
    "batch_matmul": _batch_matmul,
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "fully_connected": fully_connected,
    "max_pool_2d": _pool("max_pool_2d"),
    "maximum": _chosen("maximum"),
    "minimum": _chosen("minimum"),
    "mul": _pairwise("mul"),
    "pad": _pad,
    "softmax": _softmax,
    "svdf": _svdf,
    "transpose": _transpose,
    "transpose_conv": transpose_conv,
    "unidirectional_sequence_lstm": _lstm,
}
"""What reads each operator's data sets."""
