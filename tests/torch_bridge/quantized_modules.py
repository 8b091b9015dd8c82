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

    def images(self, g: np.random.Generator) -> torch.Tensor:
        """Random images that lie channels last."""
        values = g.normal(0, 1.5, (2, 42, 13, 11)).astype(np.float32)
        return torch.from_numpy(values).contiguous(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two images of 21 channels."""
        parts = (x[:, :21], x[:, 21:])
        a, b = (torch.quantize_per_tensor(part, *self.forms[i], torch.quint8) for i, part in enumerate(parts))
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

    def images(self, g: np.random.Generator) -> torch.Tensor:
        """An image of random codes."""
        codes = torch.from_numpy(g.integers(0, self.top + 1, (1, 5, 19, 17)).astype(np.float32))
        return (codes - self.first[1]) * self.first[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (batch, 5, height, width)."""
        codes = torch.quantize_per_tensor(x, *self.first, torch.quint8)
        for operator, packed, scale, zero in self.convolutions:
            codes = operator(codes, packed, scale, zero)
        rows = torch.flatten(torch.nn.functional.adaptive_avg_pool2d(codes, 1), 1)
        return Ops.linear(rows, *self.linear).dequantize()


def brevitas_network(x: torch.Tensor) -> nn.Module:
    """A small residual network of Brevitas with weights of 4 and 8 bits, its scales from images `x` (n, 3, 16, 16)."""
    import brevitas.nn as qnn
    from brevitas.quant import Int8WeightPerChannelFloat

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start = qnn.QuantIdentity(return_quant_tensor=True)
            self.conv = qnn.QuantConv2d(3, 8, 3, padding=1, weight_bit_width=4, bias=True)
            self.relu = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)
            self.pool = nn.MaxPool2d(2)
            self.depthwise = qnn.QuantConv2d(
                8, 8, 3, padding=1, groups=8, bias=False, weight_quant=Int8WeightPerChannelFloat
            )
            self.shared = qnn.QuantIdentity(return_quant_tensor=True)
            self.after = qnn.QuantReLU(return_quant_tensor=True)
            self.linear = qnn.QuantLinear(8 * 64, 10, bias=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.pool(self.relu(self.conv(self.start(x))))
            z = self.after(self.shared(self.depthwise(y)) + self.shared(y))
            return self.linear(torch.flatten(z, 1))

    torch.manual_seed(0)
    network = Network().train()
    with torch.no_grad():
        network(x)
    return network.eval()


class Residual(nn.Module):
    """A float network with what residual networks have, for torch's tools to quantize."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, 1, 1)
        self.depthwise = nn.Conv2d(16, 16, 3, 2, 1, groups=16)
        self.linear = nn.Linear(16, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (batch, 3, height, width)."""
        x = torch.relu(self.norm(self.conv1(x)))
        x = torch.relu(self.conv2(x) + x)
        x = torch.relu(self.depthwise(x))
        return self.linear(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


def fx_quantized(module: nn.Module, backend: str, batches: list[torch.Tensor]) -> nn.Module:
    """`module` as torch.ao.quantization's FX mode quantizes it for `backend`, which becomes torch's engine."""
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    torch.backends.quantized.engine = backend
    prepared = prepare_fx(module.eval(), get_default_qconfig_mapping(backend), (batches[0][:1],))
    with torch.no_grad():
        for batch in batches:
            prepared(batch)
    return convert_fx(prepared)


def pt2e_converted(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """`module` as torchao's pt2e quantizes it for x86, not lowered yet."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(module.eval(), (images[:1],)).module(), quantizer)
    with torch.no_grad():
        for i in range(len(images)):
            prepared(images[i : i + 1])
    return convert_pt2e(prepared)


def pt2e_lowered(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """The same in oneDNN's operators."""
    from torchao.quantization.pt2e.lowering import lower_pt2e_quantized_to_x86

    return lower_pt2e_quantized_to_x86(pt2e_converted(module, images), (images[:1],))
