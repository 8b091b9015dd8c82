"""Convolutions by register tiles against the portable kernels, and small ones against plain Python integers."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwsim.kernels.conv2d import Window, conv2d
from hwsim.kernels.depthwise_conv2d import depthwise_conv2d
from hwsim.kernels.requantize import ROUNDINGS, VECTOR_ROUNDINGS, OutputStage
from hwsim.kernels.vector_rounding import PLAIN, PLAIN_SHIFT
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._fixed import SLACK_BYTES
from hwsim.ops._vector_depthwise import DepthwiseLayer
from hwsim.ops._vector_layer import ConvLayer, _rule_number
from hwsim.quantizers.multiplier import quantize_multiplier
from tests import naive
from tests.build import codes
from tests.naive.linear import window as placed
from tests.naive.rounding import wrap

pytestmark = pytest.mark.skipif(LANES == 0, reason="needs compiled kernels on a machine with vector instructions")

Generator = np.random.Generator
RULES = [name for name, number in ROUNDINGS.items() if number in VECTOR_ROUNDINGS and name != "accumulator"]
SCALED = [name for name in RULES if name != "thresholds"]
"""What a scale defines; tests of layers behind tables compare thresholds with exact fractions."""

BOTH = pytest.mark.parametrize("kind", [ConvLayer, DepthwiseLayer])
EVERY = pytest.mark.parametrize(("rule", "dtype"), [(rule, dtype) for rule in RULES for dtype in ("int8", "uint8")])
GUARD = 256
UNTOUCHED = 0xA5


class Case(NamedTuple):
    """One layer, its input and what both implementations need to know about it."""

    kind: type[ConvLayer] | type[DepthwiseLayer]
    rule: str
    images: Any
    weights: Any
    weight_zero_point: int
    bias: Any
    scale: Any
    zero_point: int
    output: tuple[int, int, int]
    moving: dict[str, Any]

    @property
    def centered(self) -> Any:
        """int16 (out_channels, height, width, channels), of a depthwise layer (height, width, channels)."""
        return self.weights.astype(np.int16) - np.int16(self.weight_zero_point)

    @property
    def stage(self) -> OutputStage:
        stage = OutputStage(ROUNDINGS[self.rule], *quantize_multiplier(self.scale), self.scale, *self.output)
        return stage._replace(thresholds=self.thresholds) if self.rule == "thresholds" else stage

    @property
    def thresholds(self) -> Any:
        """Five for each channel, steps of its scale apart; some are beyond every sum."""
        steps = np.arange(-60, 70, 26) / np.maximum(self.scale, 1e-12)[:, None]
        return np.clip(np.ceil(steps), 1 - 2**31, 2**31).astype(np.int64)

    @property
    def geometry(self) -> tuple[Window, int, int]:
        filter_size = self.weights.shape[-3:-1]
        steps = zip(self.images.shape[1:3], filter_size, self.moving["stride"], self.moving["dilation"], strict=True)
        (top, height), (left, width) = (placed(self.moving["padding"], a, *step) for a, step in enumerate(steps))
        return Window(*filter_size, *self.moving["stride"], *self.moving["dilation"], top, left), height, width

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        return (self.images.shape[0], *self.geometry[1:], self.bias.size)


def some_scales(g: Generator, channels: int, rule: str, accumulator: float) -> Any:
    """Real multipliers per channel: usual ones, ties, huge and vanishing ones, or some of each."""
    usual = 100 / accumulator * g.uniform(0.2, 2, channels)
    ties = g.integers(1, 4, channels) / 2.0 ** (np.ceil(np.log2(accumulator / 100)) + g.integers(0, 3, channels))
    most = 0 if rule == "single_rounding" else 29  # its result must fit int32, as TFLite asserts
    huge, tiny = 2.0 ** g.uniform(-2, most, channels), 2.0 ** g.uniform(-34, -20, channels)
    each = np.stack([usual, ties, huge, tiny, np.zeros(channels)])
    mixed = each[g.choice(5, channels, p=[0.5, 0.3, 0.1, 0.05, 0.05]), np.arange(channels)]
    kinds = [usual, np.repeat(usual[:1], channels), ties, huge, tiny, mixed]
    scale = kinds[g.choice(len(kinds), p=[0.4, 0.2, 0.2, 0.03, 0.02, 0.15])]
    return scale.astype(np.float32).astype(np.float64) if rule == "float32" else scale


def some_codes(g: Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Any codes, or only the smallest and largest."""
    info = np.iinfo(dtype)
    ends = np.array([info.min, info.max], dtype)
    return codes(g, shape, dtype) if g.uniform() < 0.8 else g.choice(ends, shape)


def some_weights(g: Generator, shape: tuple[int, ...], dtype: str) -> tuple[Any, int]:
    """Weights and their zero point: any, or one around which they just fit int8, or just do not.

    int8 ones with or without the code -128, which most converters avoid.
    """
    weights = some_codes(g, shape, dtype)
    if dtype == "int8" and g.uniform() < 0.5:
        weights = np.maximum(weights, -127)
    middle = 128 if dtype == "uint8" else 0
    any_code, close = int(codes(g, (), dtype)), middle + int(g.integers(-1, 2))
    return weights, [any_code, close, middle][g.choice(3, p=[0.15, 0.25, 0.6])]


def some_bias(g: Generator, channels: int) -> Any:
    """Small numbers, or accumulators near the ends of int32, which may wrap."""
    ends = np.where(g.integers(0, 2, channels), 2**31 - 1, -(2**31)) + g.integers(-(2**20), 2**20, channels)
    small = g.integers(-5000, 5000, channels)
    return np.clip(ends if g.uniform() < 0.15 else small, -(2**31), 2**31 - 1).astype(np.int32)


def some_limits(g: Generator, dtype: str) -> tuple[int, int, int]:
    """Output zero point and clamp."""
    info = np.iinfo(dtype)
    zero_point = int(g.integers(info.min, info.max, endpoint=True))
    if g.uniform() < 0.75:
        return zero_point, info.min, info.max
    low, high = sorted(int(v) for v in g.integers(info.min, info.max, 2, endpoint=True))
    return zero_point, low, high


def some_case(g: Generator, kind: Any, rule: str, dtype: str, largest: int = 10) -> Case:
    """A random layer. largest : rows and columns that the image may have more than the filter"""
    filter_size = [(1, 1), (3, 3), tuple(int(v) for v in g.integers(1, 6, 2))][g.integers(3)]
    stride, dilation = (tuple(int(v) for v in g.choice([1, 1, 2, 3], 2)) for _ in range(2))
    padding = "same" if g.uniform() < 0.5 else "valid"
    spans = [1 if padding == "same" else (f - 1) * d + 1 for f, d in zip(filter_size, dilation, strict=True)]
    size = [int(s + g.integers(0, largest if g.uniform() < 0.9 else 1)) for s in spans]
    channels, filters = int(g.integers(1, 71)), int(g.integers(1, 151))
    shape = (filters, *filter_size, channels) if kind is ConvLayer else (*filter_size, channels)
    images = some_codes(g, (int(g.integers(1, 4)), *size, channels), dtype)
    weights, weight_zero_point = some_weights(g, shape, dtype if g.uniform() < 0.5 else "int8")
    out_channels = filters if kind is ConvLayer else channels
    depth = int(np.prod(filter_size)) * (channels if kind is ConvLayer else 1)
    return Case(
        kind,
        rule,
        images,
        weights,
        weight_zero_point,
        some_bias(g, out_channels),
        some_scales(g, out_channels, rule, 74 * 90 * np.sqrt(depth)),
        int(np.round(images.mean())) if g.uniform() < 0.5 else int(codes(g, (), dtype)),
        some_limits(g, dtype),
        {"stride": stride, "dilation": dilation, "padding": padding},
    )


def portable(case: Case) -> Any:
    """What the kernels give that other tests compare with plain Python."""
    window, *_ = case.geometry
    out = np.empty(case.out_shape, case.images.dtype)
    weights = case.centered
    if case.kind is DepthwiseLayer:
        depthwise_conv2d(case.images, weights, case.bias, case.zero_point, window, case.stage, out)
    else:
        conv2d(case.images, weights.reshape(1, len(weights), -1), case.bias, case.zero_point, window, case.stage, out)
    return out


def plain(case: Case) -> Any:
    """The same from plain Python integers."""
    weights = case.weights if case.kind is ConvLayer else case.weights[None]
    sums = naive.conv2d if case.kind is ConvLayer else naive.depthwise_conv2d
    zero_points = {"input_zero_point": case.zero_point, "weight_zero_point": case.weight_zero_point}
    acc = sums(case.images, weights, case.bias, **case.moving, **zero_points)
    rule = "optimized_depthwise" if case.rule == "double_half_up_by_8" else case.rule
    return naive.output_stage(acc, rule, case.scale.tolist(), *case.output, case.images.dtype)


def layer(case: Case) -> ConvLayer | DepthwiseLayer:
    window, height, width = case.geometry
    signed = case.images.dtype == np.int8
    return case.kind(window, case.centered, case.bias, case.stage, case.zero_point, signed, height, width)


def within(before: int, shape: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """An array with guard bytes around it, `before` of them in front; and all the bytes."""
    size = int(np.prod(shape))
    memory = np.full(before + size + GUARD, UNTOUCHED, np.uint8)
    return memory[before : before + size].view(dtype).reshape(shape), memory


def vectored(case: Case, before: int = GUARD) -> Any:
    """What the vector kernels give; every byte that is not theirs stays, and a second run gives the same."""
    source, source_memory = within(before, case.images.shape, case.images.dtype)
    source[...] = case.images
    assert GUARD >= SLACK_BYTES
    out, memory = within(before, case.out_shape, case.images.dtype)
    read = source_memory.copy()
    run = layer(case).fix(source, out)
    run()
    first = out.copy()
    run()
    assert_array_equal(out, first)
    assert_array_equal(source_memory, read)
    assert np.all(memory[:before] == UNTOUCHED)
    assert np.all(memory[before + out.size :] == UNTOUCHED)
    return first


def random_cases(kind: Any, rule: str, dtype: str, count: int, **limits: int) -> list[Case]:
    g = np.random.default_rng([RULES.index(rule), *dtype.encode(), kind is ConvLayer])
    return [some_case(g, kind, rule, dtype, **limits) for _ in range(count)]


def about(case: Case) -> str:
    """What to say of a case that fails."""
    shapes = f"images {case.images.shape}, weights {case.weights.shape}, zero points {case.zero_point} and "
    return f"{shapes}{case.weight_zero_point}, {case.moving}, output {case.output}"


@BOTH
@EVERY
def test_layer_equals_portable_kernel(kind, rule, dtype):
    for number, case in enumerate(random_cases(kind, rule, dtype, 17)):
        assert_array_equal(vectored(case, GUARD + number), portable(case), err_msg=about(case))


@BOTH
@pytest.mark.parametrize("rule", SCALED)
def test_layer_equals_plain_python(kind, rule):
    g = np.random.default_rng(3)
    for dtype in ("int8", "uint8"):
        case = some_case(g, kind, rule, dtype, largest=2)
        case = case._replace(images=case.images[:1, ..., :5], weights=case.weights[:21, ..., :5])
        channels = 21 if kind is ConvLayer else 5
        case = case._replace(bias=case.bias[:channels], scale=case.scale[:channels])
        assert_array_equal(vectored(case), plain(case), err_msg=about(case))


def edge_stage(rule: str, low: int, high: int, zero_point: int, bounded: bool) -> tuple[OutputStage, Any]:
    """Every shift and some multipliers for accumulators at the edges, one channel each, and these as biases.

    bounded : only below 2^30 and with shifts to the right, where quicker forms of the same rules do
    """
    accumulators = [s * v for s in (1, -1) for v in (0, 1, 2, 3, 5, 100, 101, 2**24 + 1, 2**29, 2**30 - 1)]
    ends = [] if bounded else [2**30, -(2**30), 2**31 - 129, 2**31 - 1, -(2**31) + 129, -(2**31)]
    multipliers, shifts = (
        [0, 2**30, 2**30 + 1, 3 * 2**29, 2**31 - 1],
        range(-PLAIN_SHIFT if bounded else -31, 0 if bounded else 31),
    )
    every = np.meshgrid(accumulators + ends, multipliers, shifts, indexing="ij")
    bias, multiplier, shift = (np.ascontiguousarray(part).reshape(-1) for part in every)
    scale = multiplier * 2.0 ** (shift - 31)
    if rule == "float32":
        scale = scale.astype(np.float32).astype(np.float64)
    return OutputStage(ROUNDINGS[rule], multiplier, shift, scale, zero_point, low, high), bias.astype(np.int32)


def plain_code(rule: str, stage: OutputStage, accumulator: int, channel: int) -> int | None:
    """One accumulator through a stage, in plain Python; None where the single rounding leaves int32, as it must not.

    Integer rules move by the zero point in int32, which wraps: LiteRT and TFLM were seen to.
    """
    if rule == "double_half_up_by_8":
        rule = "double_half_up" if channel < stage.multiplier.size // 8 * 8 else "double_rounding"
    if rule in ("float32", "float64"):
        value = getattr(naive, rule)(accumulator, float(stage.scale[channel])) + stage.zero_point
    else:
        rounded = getattr(naive, rule)(accumulator, int(stage.multiplier[channel]), int(stage.shift[channel]))
        if wrap(rounded) != rounded:
            return None
        value = wrap(rounded + stage.zero_point)
    return min(max(value, stage.minimum), stage.maximum)


@BOTH
@pytest.mark.parametrize("rule", SCALED)
@pytest.mark.parametrize(
    ("dtype", "low", "high", "zero_point"),
    [("int8", -128, 127, 127), ("int8", -128, 127, -128), ("uint8", 0, 255, 255), ("uint8", 30, 37, 33)],
)
@pytest.mark.parametrize("bounded", [False, True])
def test_layer_output_stage_at_the_edges(kind, rule, dtype, low, high, zero_point, bounded):
    stage, bias = edge_stage(rule, low, high, zero_point, bounded)
    plain_rule = _rule_number(stage, int(np.abs(bias.astype(np.int64)).max())) in PLAIN.values()
    assert plain_rule == (bounded and rule in ("double_rounding", "double_half_up"))
    shape = (bias.size, 1, 1, 1) if kind is ConvLayer else (1, 1, bias.size)
    source, _ = within(GUARD, (1, 1, 2, shape[-1]), dtype)
    out, _ = within(GUARD, (1, 1, 2, bias.size), dtype)
    nothing = np.zeros(shape, np.int16)
    kind(Window(1, 1, 1, 1, 1, 1, 0, 0), nothing, bias, stage, 0, dtype == "int8", 1, 2).fix(source, out)()
    expected = [plain_code(rule, stage, int(a), c) for c, a in enumerate(bias)]
    wrong = [c for c, code in enumerate(expected) if code not in (None, out[0, 0, 1, c])][:5]
    seen = [(bias[c], stage.multiplier[c], stage.shift[c], out[0, 0, 1, c], expected[c]) for c in wrong]
    assert not seen, f"accumulator, multiplier, shift, got, expected: {seen}"
    assert_array_equal(out[0, 0, 0], out[0, 0, 1])


@pytest.mark.parametrize("size", [1, 7, 32, 63, 64, 65, 96, 144, 130])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_depthwise_runs_cover_every_channel_and_pixel(size, stride, dtype):
    """Runs over pixels and over channels, with and without a rest, for filters of one to seven quads of taps."""
    g = np.random.default_rng(size)
    for filter_size in ((1, 1), (3, 3), (2, 3), (5, 5)):
        moving = {"stride": (stride, stride), "dilation": (1, 1), "padding": "same"}
        case = Case(
            DepthwiseLayer, "double_rounding", codes(g, (2, 9, 7, size), dtype), codes(g, (*filter_size, size)), 0,
            some_bias(g, size), g.uniform(0.0005, 0.01, size), int(codes(g, (), dtype)), some_limits(g, dtype), moving,
        )  # fmt: skip
        assert_array_equal(vectored(case), portable(case), err_msg=about(case))
