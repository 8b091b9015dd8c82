"""Data sets of CMSIS-NN's layers: convolutions and fully connected ones."""

from collections.abc import Mapping
from math import prod

import numpy as np

from hwsim.graph import Affine, Tensor
from hwsim.graph.graph import Attribute
from hwsim.importers._cmsis_nn_values import (
    DataSet,
    Shape,
    Values,
    bias,
    data_set,
    given,
    requantization,
    same_or_valid,
    tensor,
    window,
)
from hwsim.quantizers.packing import packed_bytes, unpack

WEIGHTS, WEIGHTS_INT4 = ("weights", "kernel", "input_weights"), 4


def _weights(values: Values, shape: Shape, zero_point: int = 0) -> Tensor:
    """int8, or int4 where there are half as many bytes as weights."""
    stored, count = values.array(*WEIGHTS), prod(shape)
    if stored.size == count or min(shape) < 1:
        return tensor("weights", values.shaped(shape, *WEIGHTS), zero_point)
    if stored.dtype != np.int8 or stored.size != packed_bytes(count, WEIGHTS_INT4):
        raise values.wrong(f"'weights' has {stored.size} values; expected {list(shape)}, as int8 or two in a byte")
    codes = unpack(stored.view(np.uint8), count, WEIGHTS_INT4, signed=True, dtype=np.int8).reshape(shape)
    form = Affine(np.ones(1, np.float32), np.array([zero_point]), bits=WEIGHTS_INT4)
    return Tensor("weights", shape, "int8", form, codes)


def _layer(values: Values, op: str, weights: Tensor, shapes: tuple[Shape, Shape], options: Mapping[str, Attribute]
) -> DataSet:  # fmt: skip
    """A layer; `shapes` are of one input and of one output."""
    x, y = values.batched(shapes[0], "input", "input_tensor"), values.batched(shapes[1], "output_ref", "output")
    channels = shapes[1][-1]
    stated = {**options, **values.limits(), **requantization(values, channels)}
    source = given("input", x, -values.number("input_offset", default=0))
    sums = bias(values, channels, x.dtype.name)
    tensors: list[Tensor | None] = [source, weights, sums]
    if op == "transpose_conv":
        tensors.insert(0, Tensor("shape", (4,), "int32", None, np.array(y.shape, np.int32)))
        tensors[1], tensors[2] = tensors[2], tensors[1]
    if x.dtype == np.int16 and op != "depthwise_conv2d":
        stated["quantized_bias_type"] = sums.dtype
    return data_set(values, op, tensors, {"input": x}, y, values.number("output_offset", default=0), stated)


def conv2d(values: Values) -> DataSet:
    options, taps, out = window(values)
    depth, channels = values.number("in_ch"), values.number("out_ch")
    weights = _weights(values, (channels, *taps, values.number("filter_ch", default=depth)))
    return _layer(values, "conv2d", weights, ((*values.pair("input"), depth), (*out, channels)), options)


def depthwise_conv2d(values: Values) -> DataSet:
    options, taps, out = window(values)
    depth, channels = values.number("in_ch"), values.number("out_ch")
    options["depth_multiplier"] = values.number("ch_mult")
    weights = _weights(values, (1, *taps, channels))
    return _layer(values, "depthwise_conv2d", weights, ((*values.pair("input"), depth), (*out, channels)), options)


def transpose_conv(values: Values) -> DataSet:
    """Padding is that of the convolution which leads back from the output."""
    size, out, taps, strides = (values.pair(name) for name in ("input", "output", "filter", "stride"))
    depth, channels = values.number("in_ch"), values.number("out_ch")
    if min(*strides, *taps) < 1 or values.pair("dilation") != (1, 1):
        raise values.wrong("filter and stride must be at least 1, and dilation 1")
    padding = same_or_valid(values, out, taps, strides, size, values.pair("pad", "padding"))
    weights = _weights(values, (channels, *taps, depth))
    options: dict[str, Attribute] = {"padding": padding, "stride_h": strides[0], "stride_w": strides[1]}
    return _layer(values, "transpose_conv", weights, ((*size, depth), (*out, channels)), options)


def fully_connected(values: Values) -> DataSet:
    channels = values.number("out_ch", "output_c")
    depth = values.number("accumulation_depth", "in_ch")
    weights = _weights(values, (channels, depth), -values.number("filter_offset", default=0))
    return _layer(values, "fully_connected", weights, ((depth,), (channels,)), {"keep_num_dims": False})
