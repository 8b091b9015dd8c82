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
from hwsim.kernels import companding as kernels
from hwsim.quantizers.companding import INTERVALS, Companding
from hwsim.torch_bridge.quantizer import Quantizer, scaled_gradient

OUTER_BITS = 8
SMALLEST_ALPHA = 1e-6
SMALLEST_SHARE = 1e-7


@torch.library.custom_op("hwsim::compand", mutates_args=())
def compand(
    x: torch.Tensor, alpha: torch.Tensor, shares: torch.Tensor, steps: int, outer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """alpha * levels and, as uint8, the codes; `x` below 0 counts as 0; `shares` sum to 1.

    Gradients: dx is 1 below the clipping point, else 0; dalpha is (Q - x) / alpha below, else 1; of the shares what
    flows through the function at x and through its inverse at the rounded value, rounding counted as the identity.
    """
    quantized = torch.empty_like(x, memory_format=torch.contiguous_format)
    codes = torch.empty(x.shape, dtype=torch.uint8)
    rises = steps * torch.cat([shares.double(), torch.zeros(1)])
    levels = float(alpha) * table(shares, steps, outer).double()
    per_alpha = len(shares) / float(alpha)
    tables = [values.numpy() for values in (_starts(rises), rises, levels)]
    kernels.compand(_flat(x), per_alpha, *tables, _flat(codes), _flat(quantized))
    return quantized, codes


@compand.register_fake
def _(
    x: torch.Tensor, alpha: torch.Tensor, shares: torch.Tensor, steps: int, outer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    del alpha, shares, steps, outer
    return torch.empty_like(x), torch.empty_like(x, dtype=torch.uint8)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, alpha, shares, *ctx.widths = inputs
    ctx.save_for_backward(x, alpha, shares, output[1])


def _backward(ctx: Any, gradient: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:
    x, alpha, shares, codes = ctx.saved_tensors
    (steps, outer), count = ctx.widths, len(shares)
    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    sums, placed = torch.zeros(2, count + 1, steps + 1, dtype=torch.float64)
    kernels.compand_backward(
        _flat(x), count / float(alpha), _flat(codes), _flat(gradient), _flat(dx), sums.numpy(), placed.numpy()
    )
    inside, beyond, placed = sums[:-1], sums[-1].sum(), placed[:-1]
    dalpha = beyond + (inside * table(shares, steps, outer)).sum() - placed.sum() / count
    interval, share, depth = _inverse(shares.double(), steps)
    slopes = float(alpha) / (count * share)
    rest = placed - inside * torch.arange(count).reshape(-1, 1)
    through = _below(inside @ slopes) + rest @ slopes
    by_code = inside.sum(0) * slopes
    back = _below(torch.bincount(interval, by_code, count)) + torch.bincount(interval, by_code * depth, count)
    return dx, dalpha.to(alpha.dtype), (through - back).to(shares.dtype), None, None


torch.library.register_autograd("hwsim::compand", _backward, setup_context=_keep)


def _flat(x: torch.Tensor) -> Any:
    return x.detach().contiguous().reshape(-1).numpy()


def _below(sums: torch.Tensor) -> torch.Tensor:
    """For each interval the sum over all later ones: its share moves them all."""
    return sums.sum() - sums.cumsum(0)


def _starts(shares: torch.Tensor) -> torch.Tensor:
    return torch.cat([shares.new_zeros(1), shares.cumsum(0)[:-1]])


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

    bend: torch.Tensor

    def __init__(
        self, bits: int, *, signed: bool | None = False, normalize: bool = False, intervals: int = INTERVALS
    ) -> None:
        super().__init__(bits, signed)
        if not 1 + bool(signed) <= bits <= 8:
            raise InputError(f"bits is {bits}; expected {1 + bool(signed)} to 8")
        self.normalize = normalize
        self.alpha = nn.Parameter(torch.tensor(1.0))
        self.theta = nn.Parameter(torch.zeros(intervals))
        self.register_buffer("bend", torch.tensor(1.0))

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

        The gradients' factor is the one that moves alpha as LSQ moves its scale times the number of steps. That of
        theta, `bend`, moves levels as fast as alpha does: a change of theta moves a level by alpha / intervals of it.
        """
        if not self.signed and bool((x < 0).any()):
            raise InputError("LCQ's activations are unsigned and these go below 0; give this layer LSQ+")
        self.factor.fill_(self.steps**1.5 / sqrt(self.count(x)))
        magnitudes = self.normal(x).abs().reshape(-1)
        sample = magnitudes if magnitudes.numel() <= 1 << 14 else magnitudes[:: magnitudes.numel() // (1 << 14)]
        top = magnitudes.max().clamp(min=SMALLEST_ALPHA)

        def error(alpha: torch.Tensor) -> float:
            quantized = ((sample / alpha).clamp(max=1) * self.steps).round() * (alpha / self.steps)
            return float(((quantized - sample) ** 2).sum())

        self.alpha.data = min((top * share for share in torch.linspace(1.0, 0.05, 60).tolist()), key=error)
        self.bend.copy_(self.factor * (len(self.theta) / self.alpha) ** 2)

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean that is taken off and the deviation that is divided by; (0, 1) without normalization."""
        if not self.normalize:
            return x.new_zeros(()), x.new_ones(())
        with torch.no_grad():
            return x.mean(), x.std(correction=0).clamp(min=SMALLEST_ALPHA)

    def normal(self, x: torch.Tensor) -> torch.Tensor:
        """`x`, normalized where that is asked for."""
        mean, deviation = self.moments(x)
        return (x - mean) / deviation

    def shares(self) -> torch.Tensor:
        """The function's rise over each interval, summing to 1."""
        shares = scaled_gradient(self.theta, self.bend).softmax(0).clamp(min=SMALLEST_SHARE)
        return shares / shares.sum()

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, differentiable."""
        alpha = scaled_gradient(self.alpha, self.factor).clamp(min=SMALLEST_ALPHA)
        if not self.signed:
            return compand(x, alpha, self.shares(), self.steps, self.outer)[0]
        normal = self.normal(x)
        magnitudes, _ = compand(normal.abs(), alpha, self.shares(), self.steps, self.outer)
        return magnitudes * normal.detach().sign() * self.moments(x)[1]

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
        alpha = self.alpha.clamp(min=SMALLEST_ALPHA)
        normal = self.normal(x) if self.signed else x
        _, codes = compand(normal.abs() if self.signed else x, alpha, self.shares(), self.steps, self.outer)
        return codes.long() * normal.sign().long() + self.steps if self.signed else codes.long()

    def factor_of(self, x: torch.Tensor) -> float:
        """What levels are multiplied by to stand for weights `x`: their deviation."""
        return float(self.moments(x)[1])
