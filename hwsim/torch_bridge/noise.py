"""Quantizers that are noisy while they train, and their plain selves in evaluation and export.

Sources: Gupta et al., Deep Learning with Limited Numerical Precision (arXiv 1502.02551), stochastic rounding; Fan et
al., Training with Quantization Noise for Extreme Model Compression (arXiv 2004.07320).
"""

import torch

from hwsim.errors import InputError
from hwsim.graph import Affine, Levels
from hwsim.torch_bridge.lsq import LSQ
from hwsim.torch_bridge.quantizer import Quantizer


class QuantNoise(Quantizer):
    """In each training step a random share of blocks of weights is quantized; the others stay as they are.

    Parameters
    ----------
    inner : what quantizes
    share : of blocks, in (0, 1]
    block : neighbouring weights that are drawn together
    """

    def __init__(self, inner: Quantizer, *, share: float = 0.5, block: int = 8) -> None:
        super().__init__(inner.bits, inner.signed)
        if not 0 < share <= 1 or block < 1:
            raise InputError(f"share {share:g} must be in (0, 1] and block {block} at least 1")
        inner.features = self.features = False
        self.inner, self.share, self.block = inner, share, block

    def fit(self, x: torch.Tensor) -> None:
        """As the inner one."""
        self.inner.fit(x)
        self.signed = self.inner.signed
        self.ready.fill_(True)

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, in training a share of them."""
        quantized = self.inner.quantize(x)
        if not self.training:
            return quantized
        blocks = -(-x.numel() // self.block)
        drawn = (torch.rand(blocks) < self.share).repeat_interleave(self.block)[: x.numel()].reshape(x.shape)
        return torch.where(drawn, quantized, x)

    def format(self) -> Affine | Levels:
        """The inner one's."""
        return self.inner.format()

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """The inner one's."""
        return self.inner.codes(x)

    def factor_of(self, x: torch.Tensor) -> float:
        """The inner one's."""
        return self.inner.factor_of(x)


class StochasticLSQ(LSQ):
    """LSQ that rounds up in training with the probability of the fraction, so that it is right on average."""

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values; gradients as LSQ's, with the codes that were drawn."""
        if not self.training:
            return super().quantize(x)
        scale, offset = self.learned()
        limited = ((x - offset) / scale).clamp(*self.ends)
        drawn = (limited.detach() + torch.rand_like(limited)).floor().clamp(*self.ends)
        return (limited + (drawn - limited).detach()) * scale + offset
