"""What all trained quantizers share: they are fitted to the first values they see, and can mark these in a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from hwsim.graph import Affine, Levels

_MARKING = [False]


class Quantizer(nn.Module):
    """Values as an engine will hold them, in float, with a gradient.

    Parameters
    ----------
    bits : of a code
    signed : whether codes go below zero; None lets the first values decide

    `features` says whether axis 0 of the values counts samples; a layer sets it to False for its weights.
    """

    ready: torch.Tensor
    factor: torch.Tensor

    def __init__(self, bits: int, signed: bool | None = None) -> None:
        super().__init__()
        self.bits, self.signed, self.features = bits, signed, True
        self.register_buffer("ready", torch.tensor(False))
        self.register_buffer("factor", torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, of the shape and dtype of `x`."""
        if not _MARKING[0] and not self.ready:
            self.fit(x.detach())
        quantized = self.quantize(x)
        return mark(x, quantized) if _MARKING[0] else quantized

    def fit(self, x: torch.Tensor) -> None:
        """Set the parameters from values; called once, with the first ones."""
        if self.signed is None:
            self.signed = bool(x.min() < 0)
        with torch.no_grad():
            self.initialize(x)
        self.ready.fill_(True)

    def count(self, x: torch.Tensor) -> int:
        """How many values share the parameters: a layer's weights, or as in LSQ's paper the features of one sample.

        The community's code of LSQ+ counts the features of the whole batch.
        """
        return x[0].numel() if self.features else x.numel()

    def initialize(self, x: torch.Tensor) -> None:
        """Set the parameters from values."""
        raise NotImplementedError

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """The quantized values, differentiable."""
        raise NotImplementedError

    def format(self) -> Affine | Levels:
        """What codes stand for in a graph; signed int8 codes for `Affine`, from 0 for `Levels`."""
        raise NotImplementedError

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """The codes of values in `format`, int64."""
        raise NotImplementedError

    def remainder(self) -> float:
        """What is to be added to the real values of `format` to get those of `quantize`: a free offset's fraction."""
        return 0.0

    def factor_of(self, x: torch.Tensor) -> float:  # noqa: ARG002
        """What the levels of `format` are to be multiplied by to stand for weights `x`."""
        return 1.0

    def get_extra_state(self) -> dict[str, Any]:
        """The signedness, for a checkpoint."""
        return {"signed": self.signed}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The signedness, from a checkpoint."""
        self.signed = state["signed"]


@torch.library.custom_op("hwsim::mark", mutates_args=())
def mark(real: torch.Tensor, quantized: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
    """`quantized`, which a trace shows beside the values that it was made from."""
    return quantized.clone()


@mark.register_fake
def _(real: torch.Tensor, quantized: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
    return torch.empty_like(quantized)


@contextmanager
def marking() -> Iterator[None]:
    """Inside, quantizers mark what they quantize."""
    _MARKING[0] = True
    try:
        yield
    finally:
        _MARKING[0] = False


def round_half_even(x: torch.Tensor) -> torch.Tensor:
    """Rounded, with the gradient of the identity (a straight-through estimator)."""
    return x + (x.round() - x).detach()


def scaled_gradient(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """`x`, with its gradient times `factor`."""
    return x * factor + (x - x * factor).detach()
