"""Layers with quantized weights and inputs, and `prepare`, which puts them in place of a module's own."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hwsim.errors import InputError, unknown
from hwsim.torch_bridge.grids import Signs, additive_powers_of_two, powers_of_two
from hwsim.torch_bridge.lcq import LCQ
from hwsim.torch_bridge.lsq import LSQ, PACT
from hwsim.torch_bridge.noise import QuantNoise, StochasticLSQ
from hwsim.torch_bridge.quantizer import Quantizer


@dataclass(frozen=True, slots=True)
class Config:
    """How `prepare` quantizes.

    Parameters
    ----------
    weights, activations : bits of a layer's weights and of what it reads
    ends : of both in the first and the last layer, at least
    layers : by module name, (weights, activations) where a layer differs; a solver's choice fits here
    weights_by, activations_by : names in `WEIGHTS` and `ACTIVATIONS`; `ends` are LSQ and LSQ+ in any case
    signed : of activations; None: where the first values go below 0
    start : LSQ's and LSQ+'s start of activations, see `LSQ`
    weights_start : LSQ's of weights; LSQ+'s three deviations clip so much that 8 bits lose points before any training
    """

    weights: int = 4
    activations: int = 4
    ends: int = 8
    layers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    weights_by: str = "lsq"
    activations_by: str = "lsq+"
    signed: bool | None = None
    start: str = "mse"
    weights_start: str = "mse"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of a layer's inputs.

    Parameters
    ----------
    signed, start : see `Config`
    padded : whether the layer pads them with zeros, which then must have a code
    """

    signed: bool | None
    start: str
    padded: bool


def _lsq(bits: int, start: str) -> Quantizer:
    return LSQ(bits, signed=True, start=start)


def _lcq(bits: int, start: str) -> Quantizer:
    return LCQ(bits, signed=True, normalize=True) if bits > 2 else _lsq(bits, start)


WEIGHTS: dict[str, Callable[[int, str], Quantizer]] = {
    "lsq": _lsq,
    "lcq": _lcq,
    "pot": lambda bits, _: powers_of_two(bits),
    "apot": lambda bits, _: additive_powers_of_two(bits),
    "ternary": lambda *_: Signs(zero=True),
    "binary": lambda *_: Signs(zero=False),
    "stochastic": lambda bits, start: StochasticLSQ(bits, signed=True, start=start),
    "quant-noise": lambda bits, start: QuantNoise(_lsq(bits, start)),
}
"""Quantizers of weights by name, made from bits and a start. LCQ of two bits has levels -1, 0 and 1, which no function
bends; LSQ with four is taken then."""


def _lsq_plus(bits: int, like: Inputs) -> Quantizer:
    return LSQ(bits, signed=like.signed, start=like.start, offset="zero" if like.padded else "free")


ACTIVATIONS: dict[str, Callable[[int, Inputs], Quantizer]] = {
    "lsq": lambda bits, like: LSQ(bits, signed=like.signed, start=like.start),
    "lsq+": _lsq_plus,
    "lcq": lambda bits, _: LCQ(bits),
    "pact": lambda bits, _: PACT(bits),
    "apot": lambda bits, _: additive_powers_of_two(bits, signed=False),
}
"""Quantizers of activations by name, made from bits and what is known of a layer's inputs."""


class Quantized:
    """What quantized layers share: `weight_quantizer` and `input_quantizer`."""

    weight_quantizer: Quantizer
    input_quantizer: Quantizer

    def attach(self, weights: Quantizer, inputs: Quantizer) -> None:
        """Take quantizers."""
        weights.features = False
        self.weight_quantizer, self.input_quantizer = weights, inputs


class QuantConv2d(nn.Conv2d, Quantized):
    """A convolution of quantized inputs with quantized weights."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As the convolution, on what the quantizers give."""
        return self._conv_forward(self.input_quantizer(input), self.weight_quantizer(self.weight), self.bias)


class QuantLinear(nn.Linear, Quantized):
    """A fully connected layer of quantized inputs with quantized weights."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As the layer, on what the quantizers give."""
        return functional.linear(self.input_quantizer(input), self.weight_quantizer(self.weight), self.bias)


SWAPPED: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: QuantConv2d, nn.Linear: QuantLinear}


def prepare(module: nn.Module, config: Config | None = None) -> nn.Module:
    """A copy of `module` whose convolutions and fully connected layers are quantized, to be trained.

    Quantizers set themselves from the first batch; run one through the module before an optimizer takes parameters.

    Raises
    ------
    InputError : for an unknown quantizer or layer
    """
    config = config or Config()
    if config.weights_by not in WEIGHTS:
        raise InputError(unknown("quantizer of weights", config.weights_by, WEIGHTS))
    if config.activations_by not in ACTIVATIONS:
        raise InputError(unknown("quantizer of activations", config.activations_by, ACTIVATIONS))
    result = deepcopy(module)
    names = [name for name, layer in result.named_modules() if type(layer) in SWAPPED]
    for name in config.layers:
        if name not in names:
            raise InputError(unknown("layer", name, names))
    for name in names:
        layer = result.get_submodule(name)
        layer.__class__ = SWAPPED[type(layer)]
        assert isinstance(layer, Quantized)
        layer.attach(*quantizers(config, name, name in (names[0], names[-1]), _pads(layer)))
    return result


def quantizers(config: Config, name: str, end: bool, padded: bool) -> tuple[Quantizer, Quantizer]:
    """The quantizers of a layer's weights and inputs."""
    weights, activations = config.layers.get(name, (config.weights, config.activations))
    if end and name not in config.layers:
        weights, activations = max(weights, config.ends), max(activations, config.ends)
        return _lsq(weights, config.weights_start), _lsq_plus(activations, Inputs(config.signed, "mse", padded))
    inputs = ACTIVATIONS[config.activations_by](activations, Inputs(config.signed, config.start, padded))
    return WEIGHTS[config.weights_by](weights, config.weights_start), inputs


def _pads(layer: nn.Module) -> bool:
    padding: Any = getattr(layer, "padding", 0)
    return padding == "same" or (padding != "valid" and any(padding if isinstance(padding, tuple) else (padding,)))
