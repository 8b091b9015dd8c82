"""Quantizers of weights with fixed levels: powers of two, sums of them, signs, signs with zero.

Sources: Li et al., Additive Powers-of-Two Quantization (arXiv 1909.13144); Rastegari et al., XNOR-Net (arXiv
1603.05279); Li et al., Ternary Weight Networks (arXiv 1605.04711).
"""

import torch
from torch import nn

from hwsim.errors import InputError
from hwsim.graph import Levels
from hwsim.quantizers.binary import TWN_THRESHOLD
from hwsim.quantizers.powers import apot_magnitudes
from hwsim.torch_bridge.quantizer import Quantizer

SMALLEST_ALPHA = 1e-6
LARGEST_LEVEL = 255


class Grid(Quantizer):
    """The nearest of fixed levels times a learned clipping point; a tie goes to the smaller magnitude.

    Gradients: dx is 1 within the clipping point, else 0; dalpha is (Q - x) / alpha within, else the sign. APoT's own
    normalization of weights is not applied: a clipping point that is learned for each layer takes its place.

    Parameters
    ----------
    bits : of a code
    magnitudes : whole levels from 0 up, at most 255
    signed : whether levels go below zero
    """

    def __init__(self, bits: int, magnitudes: list[int], *, signed: bool = True) -> None:
        super().__init__(bits, signed)
        if magnitudes[-1] > LARGEST_LEVEL:
            raise InputError(f"the largest of {bits}-bit levels is {magnitudes[-1]}; a table takes {LARGEST_LEVEL}")
        self.alpha = nn.Parameter(torch.tensor(1.0))
        self.magnitudes = magnitudes

    def initialize(self, x: torch.Tensor) -> None:
        """The clipping point with the least squared error."""
        top, flat = x.abs().max().clamp(min=SMALLEST_ALPHA), x.reshape(-1)
        candidates = [top * share for share in torch.linspace(1.0, 0.05, 60).tolist()]
        self.alpha.data = min(candidates, key=lambda a: float(((self._project(flat / a) * a - flat) ** 2).sum()))

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, differentiable."""
        alpha = self.alpha.clamp(min=SMALLEST_ALPHA)
        clipped = (x / alpha).clamp(-1.0 if self.signed else 0.0, 1.0)
        result: torch.Tensor = (clipped + (self._project(clipped) - clipped).detach()) * alpha
        return result

    def format(self) -> Levels:
        """Whole levels; the largest stands for the clipping point."""
        scale = (self.alpha.detach().clamp(min=SMALLEST_ALPHA) / self.magnitudes[-1]).reshape(1).numpy()
        return Levels(self._whole()[None].int().numpy(), scale, self.bits)

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Places in the table of levels."""
        return self._places(x / self.alpha.clamp(min=SMALLEST_ALPHA))

    def _whole(self) -> torch.Tensor:
        up = torch.tensor(self.magnitudes)
        return torch.cat([-up.flip(0)[:-1], up]) if self.signed else up

    def _places(self, relative: torch.Tensor) -> torch.Tensor:
        levels = self._whole() / self.magnitudes[-1]
        middles = (levels[1:] + levels[:-1]) / 2
        up = middles >= 0
        above = torch.searchsorted(middles[up], relative.contiguous(), right=False)
        below = torch.searchsorted(middles[~up], relative.contiguous(), right=True)
        return above + below

    def _project(self, relative: torch.Tensor) -> torch.Tensor:
        return (self._whole() / self.magnitudes[-1])[self._places(relative)]


def powers_of_two(bits: int) -> Grid:
    """0 and +-2^i; signed, 2 to 4 bits, whose largest level a table of bytes holds."""
    if not 2 <= bits <= 4:
        raise InputError(f"bits is {bits}; powers of two take 2 to 4")
    return Grid(bits, [0, *(1 << i for i in range(2 ** (bits - 1) - 1))])


def additive_powers_of_two(bits: int, *, signed: bool = True) -> Grid:
    """APoT's levels."""
    if not 1 + signed <= bits <= 6 + signed:
        raise InputError(f"bits is {bits}; APoT takes {1 + signed} to {6 + signed}")
    return Grid(bits, apot_magnitudes(bits - signed), signed=signed)


class Signs(Quantizer):
    """Binary or ternary weights: +-alpha, with `zero` also 0 below 0.7 of the mean magnitude.

    Alpha, the mean of the magnitudes that are kept, follows from the weights and counts as constant in the gradient;
    dx is 1 for magnitudes up to 1, else 0.
    """

    def __init__(self, *, zero: bool) -> None:
        super().__init__(1 + zero, True)
        self.zero = zero

    def initialize(self, x: torch.Tensor) -> None:
        """Nothing is learned."""

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, differentiable."""
        straight = x.clamp(-1.0, 1.0)
        return straight + (self._signs(x) * self._alpha(x) - straight).detach()

    def format(self) -> Levels:
        """Signs; `factor_of` gives alpha."""
        table = torch.tensor([[-1, 0, 1] if self.zero else [-1, 1]], dtype=torch.int32)
        return Levels(table.numpy(), torch.ones(1).numpy(), self.bits)

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Places in the table of levels."""
        signs = self._signs(x).long()
        return signs + 1 if self.zero else (signs + 1) // 2

    def factor_of(self, x: torch.Tensor) -> float:
        """Alpha."""
        return float(self._alpha(x))

    def _alpha(self, x: torch.Tensor) -> torch.Tensor:
        """The mean magnitude of what is not 0; 1 where all is."""
        kept = self._signs(x).abs()
        mean = (x.detach().abs() * kept).sum() / kept.sum().clamp(min=1.0)
        return torch.where(mean > 0, mean, torch.ones_like(mean))

    def _signs(self, x: torch.Tensor) -> torch.Tensor:
        signs = torch.where(x.detach() >= 0, 1.0, -1.0)
        if not self.zero:
            return signs
        magnitudes = x.detach().abs()
        return signs * (magnitudes >= TWN_THRESHOLD * magnitudes.mean())
