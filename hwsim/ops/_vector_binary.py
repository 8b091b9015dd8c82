"""Layers of signs for the vector kernels: bits of weights, of what counts, and the array of addresses."""

from functools import cached_property
from typing import Any

import numpy as np

from hwsim.kernels import vector_binary
from hwsim.kernels.vector_binary import WORD_BYTES
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._fixed import Array, Fixed, Held, scratch, vector_layer
from hwsim.ops._vector_layer import ConvLayer, padded_to


class BinaryLayer(ConvLayer):
    """A layer whose weights are all -1 or +1, on codes that stand for -1 (0) and +1 (any other).

    What is outside the image is 0, as for every other layer.
    """

    tile_rows = vector_binary.TILE_ROWS

    def fix(self, source: Array, out: Array) -> Fixed | None:
        """As every layer's; None also where a weight is another."""
        return super().fix(source, out) if bool((np.abs(self.weights) == 1).all()) else None

    def prepare(self, source: Array, out: Array) -> Fixed:
        held = Held()
        batch, height, width, channels = source.shape
        staged_height, staged_width = self.staged_size(source)
        pixel, row = self._pixel_bytes, staged_width * self._pixel_bytes
        whole = channels % 8 == 0
        inside = np.zeros((staged_height, staged_width, channels), bool)
        top, left = self.window.pad_top, self.window.pad_left
        inside[top : top + height, left : left + width] = True
        mask, image = (scratch(staged_height * row) for _ in range(2))
        mask[: staged_height * row] = _bits(inside).reshape(-1).view(np.int8)
        image[...] = 0
        fields = self.outputs(out, self.weights.shape[0], self._padded_channels, self._tile_rows, held)
        fields |= {
            "batch": batch,
            "source": held.place(source),
            "source_bytes": source[0].nbytes,
            "height": height,
            "runs": 1 if whole else width,
            "run_codes": width * channels if whole else channels,
            "run_bytes": pixel,
            "image": held.place(image),
            "staged_row": row,
            "top": top,
            "left": left * pixel,
            "mask": held.place(mask),
            "pixels": held.place(self.pixels(row, pixel, 1, self._tile_rows)),
            "counts": held.place(self._counts(height, width, channels)),
            "tile_rows": self._tile_rows,
            "steps": held.place(self._steps(row, pixel, 1)),
            "step_count": self._packed.shape[1],
            "valid": held.place(np.ascontiguousarray(self._words(np.ones((1, *self.weights.shape[1:]), bool))[0])),
            "weights": held.place(self._packed),
            "block_bytes": self._packed[0].nbytes,
            "blocks": self._packed.shape[0],
            "vectors": self._vectors,
            "bias": held.place(padded_to(self.bias, self._padded_channels)),
            "sums": held.place(np.empty(self._tile_rows * self._vectors * LANES, np.int32)),
        }
        return vector_layer("binary_conv2d", fields, held)

    def _counts(self, height: int, width: int, channels: int) -> Array:
        """How many values of every output pixel's window are inside the image; more for pixels that fill a tile."""
        w = self.window
        inside = []
        for size, out, stride, taps, dilation, before in (
            (height, self.out_height, w.stride_height, w.filter_height, w.dilation_height, w.pad_top),
            (width, self.out_width, w.stride_width, w.filter_width, w.dilation_width, w.pad_left),
        ):
            places = np.arange(out)[:, None] * stride + np.arange(taps) * dilation - before
            inside.append(((places >= 0) & (places < size)).sum(axis=1))
        counts = np.multiply.outer(*inside).reshape(-1) * channels
        return padded_to(counts.astype(np.int32), counts.size + self._tile_rows)

    @property
    def _pixel_bytes(self) -> int:
        return -(-int(self.weights.shape[3]) // 8)

    def _words(self, bits: Array) -> Array:
        """Bits (count, height, width, channels) as uint32 (count, steps): runs of taps, each from a word on."""
        count, height, width, _ = bits.shape
        packed = _bits(bits).reshape(count, height if self._runs else height * width, -1)
        size = -(-packed.shape[2] // WORD_BYTES) * WORD_BYTES
        filled = np.zeros((*packed.shape[:2], size), np.uint8)
        filled[:, :, : packed.shape[2]] = packed
        return filled.view(np.uint32).reshape(count, -1)

    @cached_property
    def _packed(self) -> Array:
        """Weights as uint32 (blocks, steps, vectors, lanes)."""
        words = self._words(self.weights > 0)
        blocks = -(-len(words) // (self._vectors * LANES))
        filled = np.zeros((blocks * self._vectors * LANES, words.shape[1]), np.uint32)
        filled[: len(words)] = words
        split: Any = filled.reshape(blocks, self._vectors, LANES, words.shape[1])
        return np.ascontiguousarray(split.transpose(0, 3, 1, 2))


def _bits(values: Array) -> Array:
    """Booleans (..., channels) as bytes (..., bytes), low bit first."""
    return np.packbits(values, axis=-1, bitorder="little")
