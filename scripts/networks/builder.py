"""Rows of a layer table, one call per layer; shapes follow from what is given."""

import csv
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

Shape = tuple[int, int, int]
COLUMNS = (
    "layer", "op", "in_h", "in_w", "in_c", "out_h", "out_w", "out_c",
    "kernel_h", "kernel_w", "stride", "groups", "macs", "params",
)  # fmt: skip

BITS = 8


@dataclass
class Table:
    """A network's layers. Activations and batch normalizations that a converter folds are left out."""

    name: str
    batch: int = 1
    rows: list[tuple[object, ...]] = field(default_factory=list)

    def conv(
        self,
        x: Shape,
        filters: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        pad: str = "same",
        *,
        name: str = "",
        bits: int = 8,
    ) -> Shape:
        """A convolution; returns its output's shape."""
        size = (kernel, kernel) if isinstance(kernel, int) else kernel
        out = (*_extent(x, size, stride, pad), filters)
        weights = size[0] * size[1] * x[2] * filters
        self._add("Conv2D", x, out, size, stride, 1, out[0] * out[1] * weights, weights + filters, bits)
        if name:
            self.rows[-1] = (name, *self.rows[-1][1:])
        return out

    def depthwise(self, x: Shape, kernel: int = 3, stride: int = 1, pad: str = "same", times: int = 1) -> Shape:
        """A depthwise convolution, `times` filters per channel."""
        out = (*_extent(x, (kernel, kernel), stride, pad), x[2] * times)
        weights = kernel * kernel * out[2]
        return self._add(
            "DepthwiseConv2D", x, out, (kernel, kernel), stride, x[2], out[0] * out[1] * weights, weights + out[2]
        )

    def separable(self, x: Shape, filters: int, kernel: int = 3, stride: int = 1) -> Shape:
        """A depthwise convolution and a pointwise one."""
        return self.conv(self.depthwise(x, kernel, stride), filters)

    def transposed(self, x: Shape, filters: int, kernel: int, stride: int) -> Shape:
        """A transposed convolution."""
        out = (x[0] * stride, x[1] * stride, filters)
        weights = kernel * kernel * x[2] * filters
        return self._add(
            "Conv2DTranspose", x, out, (kernel, kernel), stride, 1, x[0] * x[1] * weights, weights + filters
        )

    def dense(self, x: Shape, units: int) -> Shape:
        """A fully connected layer over all of `x`."""
        inputs = x[0] * x[1] * x[2]
        return self._add("Dense", (1, 1, inputs), (1, 1, units), (1, 1), 1, 1, inputs * units, inputs * units + units)

    def pool(self, x: Shape, kernel: int, stride: int, pad: str = "same", kind: str = "Max") -> Shape:
        """A pooling."""
        out = (*_extent(x, (kernel, kernel), stride, pad), x[2])
        return self._add(f"{kind}Pooling2D", x, out, (kernel, kernel), stride, 1, 0, 0)

    def mean(self, x: Shape) -> Shape:
        """The mean over height and width."""
        return self._add("GlobalAveragePooling2D", x, (1, 1, x[2]), (1, 1), 1, 1, 0, 0)

    def join(self, *branches: Shape) -> Shape:
        """Channels one after another."""
        out = (*branches[0][:2], sum(branch[2] for branch in branches))
        return self._add("Concatenate", out, out, (1, 1), 1, 1, 0, 0)

    def add(self, x: Shape) -> Shape:
        """The sum of two tensors."""
        return self._add("Add", x, x, (1, 1), 1, 1, 0, 0)

    def multiply(self, x: Shape) -> Shape:
        """The product of two tensors, one of which may have a single position."""
        return self._add("Multiply", x, x, (1, 1), 1, 1, 0, 0)

    def normalize(self, x: Shape) -> Shape:
        """A batch normalization that no convolution before it can take up: a product and a sum per channel."""
        self._add("Multiply", x, x, (1, 1), 1, 1, 0, 0)
        return self._add("Add", x, x, (1, 1), 1, 1, 0, 0)

    def resize(self, x: Shape, height: int, width: int) -> Shape:
        """A bilinear resize."""
        return self._add("UpSampling2D", x, (height, width, x[2]), (1, 1), 1, 1, 0, 0)

    def softmax(self, x: Shape) -> Shape:
        """A softmax over channels."""
        return self._add("Softmax", x, x, (1, 1), 1, 1, 0, 0)

    def quantize(self, x: Shape) -> Shape:
        """A change of scale or type."""
        return self._add("Quantize", x, x, (1, 1), 1, 1, 0, 0)

    def sort_boxes(self, boxes: int, classes: int) -> None:
        """Decoding and sorting of boxes, TensorFlow Lite's custom operator."""
        self._add("DetectionPostprocess", (1, boxes, classes), (1, 10, 6), (1, 1), 1, 1, 0, 0)

    def total(self, column: str) -> int:
        """The sum of a column."""
        position = COLUMNS.index(column)
        return sum(int(str(row[position])) for row in self.rows)

    def write(self, folder: Path) -> None:
        """The table as `folder`/NAME.csv."""
        with (folder / f"{self.name}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            plain = self.batch == 1 and all(row[-1] == BITS for row in self.rows)
            writer.writerow(COLUMNS if plain else (*COLUMNS, "weight_bits", "activation_bits", "batch"))
            writer.writerows(row[:-1] if plain else (*row, row[-1], self.batch) for row in self.rows)

    def _add(
        self,
        op: str,
        x: Shape,
        out: Shape,
        size: tuple[int, int],
        stride: int,
        groups: int,
        macs: int,
        params: int,
        bits: int = BITS,
    ) -> Shape:
        name = f"{len(self.rows):03d}_{op.lower()}"
        self.rows.append((name, op, *x, *out, *size, stride, groups, macs, params, bits))
        return out


def _extent(x: Shape, kernel: tuple[int, int], stride: int, pad: str) -> tuple[int, int]:
    if pad == "same":
        return ceil(x[0] / stride), ceil(x[1] / stride)
    return (x[0] - kernel[0]) // stride + 1, (x[1] - kernel[1]) // stride + 1


def narrowed(channels: float, divisor: int = 8) -> int:
    """`channels` to a multiple of `divisor`, never more than a tenth below (MobileNets' rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
