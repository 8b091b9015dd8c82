"""LSQ and LSQ+: uniform codes whose step size, and for activations offset, are learned.

x^ = round(clamp((x - offset) / scale, low, high)) * scale + offset, ties to even.

Sources: Esser et al., Learned Step Size Quantization (arXiv 1902.08153); Bhalgat et al., LSQ+ (arXiv 2004.09576).
"""

from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import nn

from hwsim.errors import InputError
from hwsim.graph import Affine
from hwsim.torch_bridge.quantizer import Quantizer, scaled_gradient

SMALLEST_SCALE = 1e-8
STARTS = ("min-max", "lsq", "mse", "lsq+")


class Uniform(torch.autograd.Function):
    """Uniform codes with LSQ+'s gradients: inside the range dx is 1 and dscale is round(u) - u for u = (x - offset) /
    scale; outside dx is 0, dscale is the end's code, and doffset, 0 inside, is 1.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor, low: int, high: int) -> Any:
        """The quantized values."""
        ctx.save_for_backward(x, scale, offset)
        ctx.ends = (low, high)
        return ((x - offset) / scale).clamp_(low, high).round_().mul_(scale).add_(offset)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """The gradients of x, scale and offset."""
        x, scale, offset = ctx.saved_tensors
        gradient = gradients[0]
        u = (x - offset) / scale
        limited = u.clamp(*ctx.ends)
        inside = (limited == u).to(x.dtype)
        dx = gradient * inside
        dscale = _summed(gradient * (limited.round_() - u.mul_(inside)), scale)
        doffset = _summed(gradient - dx, offset) if ctx.needs_input_grad[2] else None
        return dx, dscale, doffset, None, None


def _summed(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The sum over the axes along which `like` is broadcast."""
    if like.ndim == 0:
        return values.sum()
    axes = [axis for axis, size in enumerate(like.shape) if size == 1]
    return values.sum(axes, keepdim=True) if axes else values


class LSQ(Quantizer):
    """Learned step size, and as LSQ+ a learned offset.

    Parameters
    ----------
    bits : 1 to 8; signed codes take at least 2
    signed : codes from -2^(bits-1), else from 0; None: signed where the first values go below 0
    offset : 'none' (symmetric, LSQ), 'zero' (learned, moved so that real 0 is a code, as zero padding needs) or
        'free' (learned, any; export folds what is left into the bias)
    start : 'min-max', 'lsq' (2 mean|x| / sqrt(high)), 'mse' (least squared error on the first values) or 'lsq+' (three
        deviations around the mean)
    axis : None for one scale, else the axis of weights that has one scale each
    """

    def __init__(
        self,
        bits: int,
        *,
        signed: bool | None = None,
        offset: str = "none",
        start: str = "mse",
        axis: int | None = None,
    ) -> None:
        super().__init__(bits, signed)
        if not 1 + bool(signed) <= bits <= 8:
            raise InputError(f"bits is {bits}; expected {1 + bool(signed)} to 8")
        if offset not in ("none", "zero", "free") or start not in STARTS or (axis is not None and offset != "none"):
            raise InputError(f"offset {offset!r}, start {start!r}, axis {axis}: expected none, zero or free without an "
                             f"axis, and one of {', '.join(STARTS)}")  # fmt: skip
        self.kind, self.start, self.axis = offset, start, axis
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.offset = nn.Parameter(torch.tensor(0.0), requires_grad=offset != "none")

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest code; 8-bit weights have no -128, so that batch norm may change their sign."""
        if not self.signed:
            return 0, (1 << self.bits) - 1
        high = (1 << (self.bits - 1)) - 1
        return (-high if self.bits == 8 and not self.features else -high - 1), high

    def initialize(self, x: torch.Tensor) -> None:
        """The scale and offset for `x`, and the gradients' factor 1 / sqrt(values * high)."""
        low, high = self.ends
        self.factor.fill_(1 / sqrt(self.count(x) * max(high, 1)))
        if self.axis is None:
            scale, offset = start_of(x.reshape(-1), low, high, self.start, self.kind != "none")
            self.scale.data, self.offset.data = scale, offset
            return
        rows = x.movedim(self.axis, 0).flatten(1)
        scales = [start_of(row, low, high, self.start, False)[0] for row in rows]
        self.scale.data = torch.stack(scales).reshape([-1 if i == self.axis else 1 for i in range(x.ndim)])

    def learned(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The scale and the offset in use, their gradients scaled."""
        scale = scaled_gradient(self.scale, self.factor).clamp(min=SMALLEST_SCALE)
        if self.kind == "none":
            return scale, torch.zeros((), dtype=scale.dtype)
        offset = scaled_gradient(self.offset, self.factor)
        if self.kind == "zero":
            low, high = self.ends
            snapped = (-offset / scale).round().clamp(low, high) * -scale
            offset = offset + (snapped - offset).detach()
        return scale, offset

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, differentiable."""
        result: torch.Tensor = Uniform.apply(x, *self.learned(), *self.ends)
        return result

    def zero_point(self) -> int:
        """The code of real 0, or the code nearest to it where the offset is free."""
        scale, offset = self.learned()
        low, high = self.ends
        return int((-offset / scale).round().clamp(low, high)) if self.kind != "none" else 0

    def remainder(self) -> float:
        """offset + zero point * scale."""
        scale, offset = (value.detach().double() for value in self.learned())
        return float(offset + self.zero_point() * scale) if self.kind == "free" else 0.0

    def format(self) -> Affine:
        """Signed codes; unsigned ones are moved down by half their number."""
        scale = self.learned()[0].detach().reshape(-1).numpy().astype(np.float32)
        shift = 0 if self.signed else 1 << (self.bits - 1)
        zero = np.full(scale.shape, self.zero_point() - shift, np.int64)
        return Affine(scale, zero, self.axis, self.bits if self.bits < 8 else None)

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """The codes of values in `format`."""
        scale, offset = self.learned()
        codes = ((x - offset) / scale).clamp(*self.ends).round().long()
        return codes - (0 if self.signed else 1 << (self.bits - 1))


class PACT(LSQ):
    """Activations clipped at a learned point, uniform codes from 0 to it; its gradient is 1 where values are clipped.

    Source: Choi et al., PACT (arXiv 1805.06085). A decay of `scale` is the paper's regularization.
    """

    def __init__(self, bits: int) -> None:
        super().__init__(bits, signed=False, start="min-max")

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """Codes by rounding what is clipped; scale * high is the clipping point."""
        scale = self.scale.clamp(min=SMALLEST_SCALE)
        high = self.ends[1]
        clipped = torch.minimum(x.clamp(min=0), scale * high)
        with torch.no_grad():
            moved = (clipped / scale).round() * scale - clipped
        return clipped + moved


def start_of(x: torch.Tensor, low: int, high: int, start: str, offset: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """A scale and an offset for values `x` (count,), each a scalar."""
    zero = torch.zeros((), dtype=x.dtype)
    top = max(high, 1)
    if start == "lsq":
        return (2 * x.abs().mean() / sqrt(top)).clamp(min=SMALLEST_SCALE), zero
    if start == "lsq+" and not offset:
        return ((x.mean().abs() + 3 * x.std(correction=0)) / max(top, -low)).clamp(min=SMALLEST_SCALE), zero
    smallest, largest = x.min().clamp(max=0), x.max().clamp(min=0)
    if offset:
        ranges = [(smallest, largest)] if start == "min-max" else _narrowed(smallest, largest)
        starts = [((b - a) / (high - low), a - low * (b - a) / (high - low)) for a, b in ranges]
    else:
        reach = torch.maximum(-smallest / -low, largest / top) if low else largest / top
        shares = (1.0,) if start == "min-max" else tuple(torch.linspace(1.0, 0.05, 60).tolist())
        starts = [(reach * share, zero) for share in shares]
    starts = [(scale.clamp(min=SMALLEST_SCALE), move) for scale, move in starts]
    sample = x if x.numel() <= 1 << 14 else x[:: x.numel() // (1 << 14)]

    def error(pair: tuple[torch.Tensor, torch.Tensor]) -> float:
        scale, move = pair
        return float(((((sample - move) / scale).clamp(low, high).round() * scale + move - sample) ** 2).sum())

    return min(starts, key=error)


def _narrowed(smallest: torch.Tensor, largest: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Ranges within the ends; below 0 only where values go there."""
    below = [1.0] if float(smallest) == 0 else [1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1]
    return [(smallest * a, largest * b) for a in below for b in torch.linspace(1.0, 0.05, 30).tolist()]
