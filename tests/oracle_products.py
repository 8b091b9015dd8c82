"""TRANSPOSE_CONV and BATCH_MATMUL in plain Python; part of `tests.oracle`."""

from typing import Any

import numpy as np

from hwsim.graph import Tensor
from tests import naive

Array = np.ndarray[Any, Any]


def _pair(tensor: Tensor) -> tuple[float, int]:
    return float(tensor.format.scale[0]), int(tensor.format.zero_point[0])  # type: ignore[union-attr]


def transpose_conv(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite kernels/transpose_conv.cc; XNNPACK takes it unless a padded filter is smaller than the stride."""
    _, weights, source, _ = tensors
    wide = output.dtype == "int16" and options["quantized_bias_type"] != "int32"
    stride = options["stride_h"], options["stride_w"]
    acc = naive.transpose_conv(
        values[2], values[1], values[3], output.shape[1:3], stride=stride, padding=options["padding"],
        input_zero_point=_pair(source)[1], weight_zero_point=int(weights.format.zero_point[0]),
        accumulator_bits=64 if wide else 32,
    )  # fmt: skip
    delegated = engine == "xnnpack" and output.dtype != "int16"
    if options["padding"] == "same" and any(k < s for k, s in zip(weights.shape[1:3], stride, strict=True)):
        delegated = False
    optimized = engine in ("litert-optimized", "xnnpack")
    kind = "float32" if delegated else "float32_product" if output.dtype == "uint8" else "float64"
    scales = naive.effective_scales(kind, _pair(source)[0], [float(s) for s in weights.format.scale], _pair(output)[0])
    ends = _pair(output)[1], *naive.activation_range(options["activation"], *_pair(output), output.dtype)
    if delegated or wide or not optimized:
        rule = "float32" if delegated else "reduced_int64" if wide else "double_rounding"
        return naive.output_stage(acc, rule, scales, *ends, output.dtype)
    if output.dtype != "uint8":
        return naive.output_stage(acc, "optimized_depthwise", scales, *ends, output.dtype)
    whole = acc.size // 16 * 16  # one scale: vectors of 16 run over the whole tensor
    parts = [
        naive.output_stage(part.reshape(-1, 1), rule, scales, *ends, output.dtype).reshape(-1)
        for part, rule in ((acc.flat[:whole], "double_half_up"), (acc.flat[whole:], "double_rounding"))
    ]
    return np.concatenate(parts).reshape(acc.shape)


def batch_matmul(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/batch_matmul.h; XNNPACK takes symmetric constants."""
    wide = output.dtype == "int16"
    points = _pair(tensors[0])[1], _pair(tensors[1])[1]
    acc = naive.batch_matmul(*values, points, (options["adj_x"], options["adj_y"]), 64 if wide else 32)
    delegated = engine == "xnnpack" and not wide and tensors[1].is_constant and points[1] == 0
    kind, rule = ("float32", "float32") if delegated else ("float32_product", "double_rounding")
    scales = naive.effective_scales(kind, _pair(tensors[0])[0], [_pair(tensors[1])[0]], _pair(output)[0])
    rule, ends = "reduced_int64" if wide else rule, naive.activation_range("none", 1, 0, output.dtype)
    return naive.output_stage(acc, rule, scales, _pair(output)[1], *ends, output.dtype)


HANDLERS_PRODUCTS = {handler.__name__: handler for handler in (transpose_conv, batch_matmul)}
