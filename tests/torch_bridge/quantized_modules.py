"""Random modules of torch's quantized operators, for comparing every tensor. Needs torch."""

from typing import Any

import numpy as np
import torch
from torch import nn

Ops: Any = torch.ops.quantized


def form(g: np.random.Generator, size: float = 1.0) -> tuple[float, int]:
    """A scale, a float32 value, and a zero point."""
    return float(np.float32(size * g.uniform(0.004, 0.03))), int(g.integers(0, 256))


class Elementwise(nn.Module):
    """Sums, products, pools and functions of codes, on images whose size leaves a rest in every vector."""

    def __init__(self, g: np.random.Generator) -> None:
        super().__init__()
        self.forms = [form(g, size) for size in (1, 1, 1.5, 1, 1, 0.7, 1, 1)]

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Codes from the start, since float inputs would be centered."""
        a, b = (torch.quantize_per_tensor(value, *self.forms[i], torch.quint8) for i, value in enumerate((x, y)))
        total = Ops.add(a, b, *self.forms[2])
        product = Ops.mul(total, Ops.mul_relu(a, b, *self.forms[3]), *self.forms[4])
        joined = torch.cat([total, Ops.add_relu(total, a, total.q_scale(), total.q_zero_point())], 1)
        pooled = torch.max_pool2d(joined, 3, 2, 1)
        averaged = torch.nn.functional.avg_pool2d(pooled, 3, 1, 1)
        small = torch.nn.functional.avg_pool2d(torch.relu(product), 2, 2)
        mean = torch.nn.functional.adaptive_avg_pool2d(small, 1)
        both = torch.nn.functional.adaptive_avg_pool2d(averaged, 1)
        return torch.flatten(both, 1).dequantize(), torch.flatten(mean, 1).dequantize()


class Layers(nn.Module):
    """Convolutions and a linear layer with random codes and scales; `reduced` activations have 7 bits."""

    def __init__(self, g: np.random.Generator, *, per_channel: bool, reduced: bool) -> None:
        super().__init__()
        self.top, self.first = (127 if reduced else 255), form(g)
        shapes = [(16, 5, 3, 3), (16, 1, 3, 3), (24, 4, 3, 3), (9, 24, 1, 1)]
        moves = [(1, 1, 1), (2, 1, 16), (1, 0, 4), (1, 0, 1)]
        self.convolutions, scale = [], self.first[0]
        for i, (shape, (stride, pad, groups)) in enumerate(zip(shapes, moves, strict=True)):
            weights, spread = self._weights(g, shape, per_channel)
            output = float(np.float32(scale * spread * np.sqrt(np.prod(shape[1:])) * (74 * 50 / 40)))
            bias = torch.from_numpy(g.normal(0, 15 * output, shape[0]).astype(np.float32)) if i != 2 else None
            packed = Ops.conv2d_prepack(weights, bias, [stride] * 2, [pad] * 2, [1, 1], groups)
            zero = 0 if i % 2 == 0 else int(g.integers(30, 90))
            self.convolutions.append((Ops.conv2d_relu if i % 2 == 0 else Ops.conv2d, packed, output, zero))
            scale = output
        weights, spread = self._weights(g, (7, 9), per_channel)
        bias = torch.from_numpy(g.normal(0, 15 * scale, 7).astype(np.float32))
        self.linear = Ops.linear_prepack(weights, bias), float(np.float32(scale * spread * 3 * 90)), 100

    def _weights(self, g: np.random.Generator, shape: tuple[int, ...], per_channel: bool) -> tuple[torch.Tensor, float]:
        codes = torch.from_numpy(g.integers(-127, 128, shape).astype(np.int8))
        scales = g.uniform(0.002, 0.01, shape[0]).astype(np.float32)
        if not per_channel:
            return torch._make_per_tensor_quantized_tensor(codes, float(scales[0]), 0), float(scales[0])
        points = torch.zeros(len(scales), dtype=torch.int64)
        doubles = torch.from_numpy(scales.astype(np.float64))
        return torch._make_per_channel_quantized_tensor(codes, doubles, points, 0), float(scales.mean())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (batch, 5, height, width)."""
        codes = torch.quantize_per_tensor(x, *self.first, torch.quint8)
        for operator, packed, scale, zero in self.convolutions:
            codes = operator(codes, packed, scale, zero)
        rows = torch.flatten(torch.nn.functional.adaptive_avg_pool2d(codes, 1), 1)
        return Ops.linear(rows, *self.linear).dequantize()
