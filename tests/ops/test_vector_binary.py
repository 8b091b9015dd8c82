"""Layers of signs by XOR and a count of bits, against sums of plain integers."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwsim.kernels.conv2d import Window
from hwsim.kernels.requantize import ROUNDINGS, OutputStage
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._fixed import scratch
from hwsim.ops._vector_binary import BinaryLayer
from hwsim.ops._vector_layer import ConvLayer
from tests.naive.linear import window as placed

pytestmark = pytest.mark.skipif(LANES == 0, reason="needs compiled kernels on a machine with vector instructions")

CODES = 200


class Case(NamedTuple):
    """A layer of signs: codes 0 and 1 of images, weights -1 and 1; its sums are told apart by thresholds 2 apart."""

    images: Any
    weights: Any
    bias: Any
    first: Any
    window: Window
    size: tuple[int, int]

    @property
    def stage(self) -> OutputStage:
        """The first threshold of every channel, and 199 more, 2 apart."""
        nothing = np.zeros(self.bias.size, np.int64)
        stage = OutputStage(ROUNDINGS["thresholds"], nothing, nothing, nothing.astype(np.float64), 0, 0, CODES)
        return stage._replace(thresholds=self.first[:, None] + 2 * np.arange(CODES))

    def layer(self, kind: type[ConvLayer]) -> ConvLayer:
        """The layer, on codes or on levels."""
        return kind(self.window, self.weights, self.bias, self.stage, 0, True, *self.size)

    def run(self) -> Any:
        """What the vector kernels give, twice: nothing of the first run is left in the second."""
        source = scratch(self.images.size)[: self.images.size].view(np.uint8).reshape(self.images.shape)
        out = np.full((len(source), *self.size, self.bias.size), 255, np.uint8)
        run = self.layer(BinaryLayer).fix(source, out)
        assert run is not None
        for images in (1 - self.images, self.images):
            source[...] = images
            run()
        return out

    def expected(self) -> Any:
        """The codes of sums over taps inside the image, in int64."""
        w, taps = self.window, self.weights.astype(np.int64)
        signs = 2 * self.images.astype(np.int64) - 1
        padded = np.pad(signs, ((0, 0), (w.pad_top, 99), (w.pad_left, 99), (0, 0)))
        sums = np.zeros((len(signs), *self.size, len(taps)), np.int64) + self.bias
        for y, x, ky, kx in np.ndindex(*self.size, w.filter_height, w.filter_width):
            row, column = y * w.stride_height + ky * w.dilation_height, x * w.stride_width + kx * w.dilation_width
            sums[:, y, x] += padded[:, row, column] @ taps[:, ky, kx].T
        return np.clip((sums - self.first) // 2 + 1, 0, CODES).astype(np.uint8)


def case(seed: int, channels: int, filters: int, size: tuple[int, int], kernel: tuple[int, int], **moving: Any) -> Case:
    """A random layer; sums of most elements are within its thresholds."""
    g = np.random.default_rng(seed)
    stride, dilation = moving.get("stride", (1, 1)), moving.get("dilation", (1, 1))
    steps = zip(size, kernel, stride, dilation, strict=True)
    (top, height), (left, width) = (placed(moving.get("padding", "same"), a, *step) for a, step in enumerate(steps))
    bias = g.integers(-30, 30, filters).astype(np.int32)
    return Case(
        g.integers(0, 2, (moving.get("batch", 2), *size, channels)),
        (2 * g.integers(0, 2, (filters, *kernel, channels)) - 1).astype(np.int16),
        bias,
        bias + g.integers(-210, -190, filters),
        Window(*kernel, *stride, *dilation, top, left),
        (height, width),
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("channels", [1, 3, 7, 8, 15, 16, 24, 31, 32, 40, 64, 65, 72, 128, 130])
def test_any_number_of_channels(channels, padding):
    each = case(channels, channels, 37, (5, 6), (3, 3), padding=padding)
    got = each.run()
    assert_array_equal(got, each.expected())
    assert len(np.unique(got)) > 5


@pytest.mark.parametrize("filters", [1, 8, 15, 16, 17, 32, 48, 64, 65, 100, 128])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5)])
def test_any_number_of_filters(filters, kernel):
    each = case(filters, 20, filters, (4, 5), kernel)
    assert_array_equal(each.run(), each.expected())


@pytest.mark.parametrize(
    ("stride", "dilation"), [((2, 1), (1, 1)), ((2, 2), (1, 2)), ((1, 3), (2, 1)), ((1, 1), (3, 3))]
)
@pytest.mark.parametrize("channels", [5, 16, 48])
def test_strides_and_dilations(channels, stride, dilation):
    each = case(1, channels, 20, (9, 8), (3, 3), stride=stride, dilation=dilation)
    assert_array_equal(each.run(), each.expected())


@pytest.mark.parametrize("rows", [1, 2, 9, 30])
@pytest.mark.parametrize("depth", [1, 63, 64, 65, 200, 1000])
def test_fully_connected(rows, depth):
    each = case(depth, depth, 70, (rows, 1), (1, 1), batch=1)
    assert_array_equal(each.run(), each.expected())


def test_every_pair_of_four_signs():
    """All 16 by 16 products of four signs: a sum of -4 to 4."""
    every = np.array([[i >> k & 1 for k in range(4)] for i in range(16)])
    weights = (2 * every - 1).astype(np.int16).reshape(16, 1, 1, 4)
    nothing = np.zeros(16, np.int32)
    each = Case(every.reshape(1, 16, 1, 4), weights, nothing, nothing - 4, Window(1, 1, 1, 1, 1, 1, 0, 0), (16, 1))
    assert_array_equal(2 * (each.run()[0, :, 0].astype(int) - 1) - 4, (2 * every - 1) @ (2 * every - 1).T)


def test_other_weights_are_left_to_others():
    each = case(0, 8, 16, (4, 4), (3, 3))
    each.weights[3, 1, 1, 2] = 0
    source = np.zeros(each.images.shape, np.uint8)
    assert each.layer(BinaryLayer).fix(source, np.zeros((2, *each.size, 16), np.uint8)) is None
