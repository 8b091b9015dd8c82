"""LCQ: uniform codes behind a learned piecewise-linear function, with its clipping point and slopes learned.

Levels are held at an outer width of 8 bits, as an engine's table will hold them, in training too.

Source: Yamamoto, Learnable Companding Quantization (arXiv 2103.07156).
"""

from math import sqrt
from typing import Any

import torch
from torch import nn

from hwsim.errors import InputError
from hwsim.graph import Levels
from hwsim.quantizers.companding import INTERVALS, Companding
from hwsim.torch_bridge.quantizer import Quantizer, scaled_gradient

OUTER_BITS = 8
SMALLEST_ALPHA = 1e-6
SMALLEST_SHARE = 1e-7


class Companded(torch.autograd.Function):
    """Magnitudes in units of alpha to levels.

    Gradients: dx is 1 below the clipping point, else 0; dalpha is (Q - x) / alpha below, else 1; of the shares what
    flows through the function at x and through its inverse at the rounded value, rounding counted as the identity.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, alpha: torch.Tensor, shares: torch.Tensor, steps: int, outer: int) -> Any:
        """alpha * levels, for x >= 0; shares sum to 1."""
        levels = table(shares, steps, outer)
        codes = _codes(x, alpha, shares, steps)
        quantized = alpha * levels[codes]
        ctx.save_for_backward(x, alpha, shares, codes.to(torch.uint8), levels)
        ctx.steps = steps
        return quantized

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """The gradients of x, alpha and the shares."""
        x, alpha, shares, narrow, levels = ctx.saved_tensors
        gradient, codes, count = gradients[0].reshape(-1), narrow.reshape(-1).long(), len(shares)
        v = x.reshape(-1) / alpha
        inside = v < 1
        dx = gradient * inside
        dalpha = torch.where(inside, gradient * (levels[codes] - v), gradient).sum()
        place = (v * count).clamp_(0, count - 1).long()
        rest = v * count - place
        interval, share, depth = _inverse(shares, ctx.steps)
        weight = dx * (alpha / (count * share))[codes]
        through = _below(_sums(place, weight, count)) + _sums(place, weight * rest, count)
        by_code = _sums(codes, weight, ctx.steps + 1)
        back = _below(_sums(interval, by_code, count)) + _sums(interval, by_code * depth, count)
        return dx.reshape(x.shape), dalpha, through - back, None, None


def _sums(places: torch.Tensor, weights: torch.Tensor, count: int) -> torch.Tensor:
    return torch.bincount(places, weights, minlength=count).to(weights.dtype)


def _below(sums: torch.Tensor) -> torch.Tensor:
    """For each interval the sum over all later ones: its share moves them all."""
    return sums.sum() - sums.cumsum(0)


def _starts(shares: torch.Tensor) -> torch.Tensor:
    return torch.cat([shares.new_zeros(1), shares.cumsum(0)[:-1]])


def _codes(x: torch.Tensor, alpha: torch.Tensor, shares: torch.Tensor, steps: int) -> torch.Tensor:
    """round(f(x / alpha) * steps), ties to even."""
    count = len(shares)
    scaled = (x / alpha).clamp_(0, 1).mul_(count)
    place = scaled.clamp(max=count - 1).long()
    compressed = _starts(shares)[place] + shares[place] * (scaled - place)
    return compressed.mul_(steps).round_().clamp_(0, steps).long()


def _inverse(shares: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For every code the interval of the function's inverse that it falls in, its share, and how deep it lies there."""
    values = torch.arange(steps + 1, dtype=shares.dtype) / steps
    starts = _starts(shares)
    interval = torch.searchsorted(starts, values, right=True) - 1
    share = shares[interval]
    return interval, share, (values - starts[interval]) / share


def table(shares: torch.Tensor, steps: int, outer: int) -> torch.Tensor:
    """The levels of codes 0 to `steps`, multiples of 1 / `outer`, the last 1."""
    interval, _, depth = _inverse(shares, steps)
    return (((interval + depth) / len(shares)).clamp(0, 1) * outer).round() / outer


class LCQ(Quantizer):
    """Learned companding.

    Parameters
    ----------
    bits : 2 to 8 signed, else 1 to 8
    signed : True for weights; unsigned activations below 0 become 0
    normalize : limited weight normalization: weights are quantized as (w - mean) / deviation and multiplied back by the
        deviation. The gradient takes mean and deviation as constants of the step, which the paper leaves open
    intervals : of the function
    """

    def __init__(
        self, bits: int, *, signed: bool | None = False, normalize: bool = False, intervals: int = INTERVALS
    ) -> None:
        super().__init__(bits, signed)
        if not 1 + bool(signed) <= bits <= 8:
            raise InputError(f"bits is {bits}; expected {1 + bool(signed)} to 8")
        self.normalize = normalize
        self.alpha = nn.Parameter(torch.tensor(1.0))
        self.theta = nn.Parameter(torch.zeros(intervals))

    @property
    def steps(self) -> int:
        """The largest magnitude of a code."""
        return (1 << (self.bits - bool(self.signed))) - 1

    @property
    def outer(self) -> int:
        """The largest magnitude of an integer level."""
        return (1 << (OUTER_BITS - bool(self.signed))) - 1

    def initialize(self, x: torch.Tensor) -> None:
        """The clipping point with the least squared error for a function without bends, where training starts.

        The gradients' factor is the one that moves alpha as LSQ moves its scale times the number of steps.
        """
        if not self.signed and bool((x < 0).any()):
            raise InputError("LCQ's activations are unsigned and these go below 0; give this layer LSQ+")
        self.factor.fill_(self.steps**1.5 / sqrt(self.count(x)))
        mean, deviation = self.moments(x)
        magnitudes = ((x - mean) / deviation).abs().reshape(-1)
        sample = magnitudes if magnitudes.numel() <= 1 << 14 else magnitudes[:: magnitudes.numel() // (1 << 14)]
        top = magnitudes.max().clamp(min=SMALLEST_ALPHA)

        def error(alpha: torch.Tensor) -> float:
            quantized = ((sample / alpha).clamp(max=1) * self.steps).round() * (alpha / self.steps)
            return float(((quantized - sample) ** 2).sum())

        self.alpha.data = min((top * share for share in torch.linspace(1.0, 0.05, 60).tolist()), key=error)

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean that is taken off and the deviation that is divided by; (0, 1) without normalization."""
        if not self.normalize:
            return x.new_zeros(()), x.new_ones(())
        with torch.no_grad():
            return x.mean(), x.std(correction=0).clamp(min=SMALLEST_ALPHA)

    def shares(self) -> torch.Tensor:
        """The function's rise over each interval, summing to 1."""
        shares = scaled_gradient(self.theta, self.factor).softmax(0).clamp(min=SMALLEST_SHARE)
        return shares / shares.sum()

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, differentiable."""
        alpha = scaled_gradient(self.alpha, self.factor).clamp(min=SMALLEST_ALPHA)
        if not self.signed:
            unsigned: torch.Tensor = Companded.apply(x.relu(), alpha, self.shares(), self.steps, self.outer)
            return unsigned
        mean, deviation = self.moments(x)
        normal = (x - mean) / deviation
        magnitudes: torch.Tensor = Companded.apply(normal.abs(), alpha, self.shares(), self.steps, self.outer)
        return magnitudes * normal.detach().sign() * deviation

    def format(self) -> Levels:
        """The integer levels; of activations with the thresholds between them, in exact fractions of the parameters."""
        levels = (table(self.shares().detach(), self.steps, self.outer) * self.outer).round().int()
        scale = (self.alpha.detach().clamp(min=SMALLEST_ALPHA) / self.outer).reshape(1).numpy()
        if self.signed:
            both = torch.cat([-levels.flip(0)[:-1], levels])
            return Levels(both[None].numpy(), scale, self.bits)
        alpha = float(self.alpha.detach().clamp(min=SMALLEST_ALPHA))
        form = Companding(self.bits, alpha, tuple(self.shares().detach().tolist()), signed=False)
        return Levels(levels[None].numpy(), scale, self.bits, None, form.levels().thresholds)

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Places in the table of levels."""
        alpha, shares = self.alpha.clamp(min=SMALLEST_ALPHA), self.shares()
        if not self.signed:
            return _codes(x.relu(), alpha, shares, self.steps)
        mean, deviation = self.moments(x)
        normal = (x - mean) / deviation
        return _codes(normal.abs(), alpha, shares, self.steps) * normal.sign().long() + self.steps

    def factor_of(self, x: torch.Tensor) -> float:
        """What levels are multiplied by to stand for weights `x`: their deviation."""
        return float(self.moments(x)[1])
