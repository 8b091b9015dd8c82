"""What a graph of one activation gives under an engine, in plain Python; part of `tests.oracle`.

Written once more, apart from the package, from the engines' sources.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from hwsim.graph import Tensor
from tests import oracle_int16
from tests.naive import activation_range
from tests.naive.rounding import (
    clamp,
    divide_by_pot,
    double_rounding,
    doubling_high_mul,
    half_away,
    half_even,
    half_up,
    quantize_multiplier,
    truncate,
    type_range,
    wrap,
)
from tests.naive.softmax import ONE, exp_negative, one_over_one_plus

Array = np.ndarray[Any, Any]
Ratio = tuple[float, float]


def _pair(tensor: Tensor) -> tuple[float, int]:
    return float(tensor.format.scale[0]), int(tensor.format.zero_point[0])  # type: ignore[union-attr]


def _each(function: Any, values: Array, source: Tensor, output: Tensor) -> Array:
    """`function` of every centered code, plus the output's zero point, as codes."""
    (_, zero_in), (_, zero_out), ends = _pair(source), _pair(output), type_range(output.dtype)
    out = np.zeros(values.shape, output.dtype)
    for n, code in enumerate(values.flat):
        out.flat[n] = clamp(function(int(code) - zero_in) + zero_out, *ends)
    return out


def _product(engine: str, *factors: float) -> float:
    """The first factors over the last one, in the engine's width: TFLM's float64, LiteRT's float32."""
    width: Any = np.float64 if engine == "tflite-micro" else np.float32
    product = width(factors[0])
    for factor in factors[1:-1]:
        product = product * width(factor)
    return float(product / width(factors[-1]))


def _rectifier(activation: str, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite optimized_ops.h, ReluX; TFLM activations_common.cc, ReluQuantized."""
    source = tensors[0]
    multiplier = quantize_multiplier(_product(engine, _pair(source)[0], _pair(output)[0]))
    low, high = activation_range(activation, *_pair(output), output.dtype)
    codes = [double_rounding(int(x) - _pair(source)[1], *multiplier) + _pair(output)[1] for x in values[0].flat]
    return np.array([clamp(code, low, high) for code in codes], output.dtype).reshape(values[0].shape)


def relu(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _rectifier("relu", tensors, values, output, engine)


def relu_n1_to_1(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _rectifier("relu_n1_to_1", tensors, values, output, engine)


def relu6(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    if engine != "tflite-micro":
        return _rectifier("relu6", tensors, values, output, engine)
    low, high = activation_range("relu6", *_pair(tensors[0]), output.dtype)
    codes = [clamp(int(x), low, high) for x in values[0].flat]
    return np.array(codes, output.dtype).reshape(values[0].shape)


def leaky_relu(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/leaky_relu.h; XNNPACK src/qs8-vlrelu where the delegate takes it."""
    scales = _pair(tensors[0])[0], _pair(output)[0]
    above = _product(engine, *scales)
    if engine == "xnnpack" and output.dtype != "int16":
        below = float(np.float32(above) * np.float32(options["alpha"]))
        if 2**-8 <= above <= 2**7 and 2**-8 <= abs(below) <= 2**7 and below > -(2**7):
            whole = [half_even(Fraction(256 * ratio)) for ratio in (above, below)]
            return _each(lambda x: half_up(Fraction(x * whole[x < 0], 256)), values[0], tensors[0], output)
    below = _product(engine, scales[0], options["alpha"], scales[1])
    identity, leak = quantize_multiplier(above), quantize_multiplier(abs(below))
    sign = -1 if below < 0 else 1
    return _each(
        lambda x: double_rounding(x, *identity) if x >= 0 else sign * double_rounding(x, *leak),
        values[0],
        tensors[0],
        output,
    )


def prelu(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/prelu.h."""
    (source, zero), (slope, slope_zero), (target, out_zero) = map(_pair, (*tensors, output))
    identity = quantize_multiplier(_product(engine, source, target))
    leak = quantize_multiplier(_product(engine, source, slope, target))
    out = np.zeros(values[0].shape, output.dtype)
    for index, code in np.ndenumerate(values[0]):
        tail = index[len(index) - values[1].ndim :]
        alpha = values[1][tuple(min(i, n - 1) for i, n in zip(tail, values[1].shape, strict=True))]
        x = int(code) - zero
        y = double_rounding(x, *identity) if x >= 0 else double_rounding(x * (int(alpha) - slope_zero), *leak)
        out[index] = clamp(y + out_zero, *type_range(output.dtype))
    return out


def logistic(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """LiteRT activations.cc, a float32 table; XNNPACK unary-elementwise.cc; TFLite
    reference/integer_ops/logistic.h."""
    scale = _pair(tensors[0])[0]
    if output.dtype == "int16":
        return _each(lambda x: oracle_int16.logistic(x, scale, engine), values[0], tensors[0], output)
    if engine == "tflite-micro":
        return _each(lambda x: _fixed_point(x, scale, 256, _logistic_q31, 23), values[0], tensors[0], output)

    def real(x: np.float32) -> np.float32:
        if engine == "xnnpack":
            return np.float32(1 / (1 + math.exp(-float(x))))
        return np.float32(1) / (np.float32(1) + np.float32(math.exp(min(-float(x), 88.0))))

    return _each(lambda x: _float(real, x, scale, output, engine), values[0], tensors[0], output)


def tanh(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """LiteRT activations.cc, a float32 table; XNNPACK unary-elementwise.cc; TFLite reference/integer_ops/tanh.h,
    which looks at no output scale or zero point.
    """
    scale, zero_point = _pair(tensors[0])
    if output.dtype == "int16":
        return _each(lambda x: oracle_int16.tanh(x, scale, engine), values[0], tensors[0], output)
    if engine == "tflite-micro":
        codes = [_fixed_point(int(x) - zero_point, scale, 128, _tanh_q31, 24) for x in values[0].flat]
        return np.clip(codes, -128, 127).astype(output.dtype).reshape(values[0].shape)

    def real(x: np.float32) -> np.float32:
        return np.float32(math.tanh(float(x)))

    return _each(lambda x: _float(real, x, scale, output, engine), values[0], tensors[0], output)


def _float(function: Any, x: int, scale: float, output: Tensor, engine: str) -> int:
    """LiteRT rounds ties away; XNNPACK adds the zero point in float32, then rounds ties to even."""
    target, zero_point = _pair(output)
    real = function(np.float32(scale) * np.float32(x)) * (np.float32(1) / np.float32(target))
    if engine == "xnnpack":
        return half_even(Fraction(float(real + np.float32(zero_point)))) - zero_point
    return half_away(Fraction(float(real)))


def _fixed_point(x: int, scale: float, levels: int, function: Any, shift: int) -> int:
    """Function of x * scale in Q4.27; far from zero it is flat."""
    multiplier, left = quantize_multiplier(scale * 2**27)
    radius = math.floor(Fraction(15 << 27) / Fraction(2) ** left)
    if abs(x) >= radius:
        return levels if x > 0 else -levels if function is _tanh_q31 else 0
    return divide_by_pot(function(double_rounding(x, multiplier, left)), shift)


def _logistic_q31(x: int) -> int:
    if x == 0:
        return 1 << 30
    y = one_over_one_plus(exp_negative(-abs(x), 4))
    return y if x > 0 else ONE - y


def _tanh_q31(x: int) -> int:
    """(1 - e) / (1 + e) with e = exp(-2 |x|). gemmlowp one_minus_x_over_one_plus_x_for_x_in_0_1."""
    if x == 0:
        return 0
    half = half_away(Fraction(exp_negative(-abs(x), 5) + ONE, 2))
    guess = 1515870810 + doubling_high_mul(half, -1010580540)
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half, guess)
        guess = wrap(guess + _saturated(doubling_high_mul(guess, error) << 2))
    y = _saturated((guess - (1 << 29)) << 2)
    return y if x > 0 else -y


def _saturated(x: int, bits: int = 32) -> int:
    return clamp(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def hard_swish(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/hard_swish.h."""
    fine = np.float32(_pair(tensors[0])[0]) / np.float32(128)
    (q_out, e_out), (q_gate, e_gate) = (
        _sixteen(float(fine / np.float32(scale))) for scale in (_pair(output)[0], np.float32(3) / np.float32(32768))
    )

    def one(x: int) -> int:
        gate = x << 7
        if e_gate > 0:
            gate = _saturated(gate << (e_gate - 1), 16)
        gate = _high_16(gate, q_gate)
        gate = _saturated(gate << 1, 16) if e_gate > 0 else divide_by_pot(gate, -e_gate)
        product = (gate + 32768) // 2 * _high_16(x << 7, q_out)
        return divide_by_pot(_saturated(truncate(Fraction(product, 1 << 15)), 16), -e_out)

    return _each(one, values[0], tensors[0], output)


def _sixteen(real: float) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(real)
    return min(half_up(Fraction(multiplier, 1 << 16)), 32767), shift


def _high_16(a: int, b: int) -> int:
    """High half of 2ab in 16 bits, ties up. gemmlowp SaturatingRoundingDoublingHighMul."""
    return _saturated(half_up(Fraction(a * b, 1 << 15)), 16)


HANDLERS_ACTIVATIONS = {
    handler.__name__: handler for handler in (relu, relu6, relu_n1_to_1, leaky_relu, prelu, logistic, tanh, hard_swish)
}
