"""How curved the loss is in each layer's weights: traces of the Hessian, by Hutchinson's estimator.

Source: Dong et al., HAWQ-V2 (arXiv 1911.03852): a layer's sensitivity is the mean trace of its Hessian times the
squared error of its weights. E[z^T H z] is the trace of H for z of independent signs; H z is a second backward pass.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from hwsim.errors import InputError
from hwsim.torch_bridge._importer import LAYERS
from hwsim.torch_bridge.module import read, trace
from hwsim.torch_bridge.quantizer import Quantizer

Tensors = Mapping[str, torch.Tensor]


class Traces(dict[str, float]):
    """The mean Hessian trace per weight of each layer, {'4_conv2d': 0.1}: what `hwsim.solve` takes as `traces`.

    Parameters
    ----------
    means : by layer
    standard_errors : of the means, by layer; they say what the choice of signs adds, not what the choice of images does
    """

    def __init__(self, means: Mapping[str, float], standard_errors: Mapping[str, float]) -> None:
        super().__init__(means)
        self.standard_errors = dict(standard_errors)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a layer's weights are in the module.

    Parameters
    ----------
    weights : their path in it
    factor : what turns the trace of the module's parameter into the mean trace of the graph's weights
    """

    weights: str
    factor: float


def hessian_traces(
    module: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor | None = None,
    *,
    samples: int = 32,
    batch: int = 64,
    seed: int = 0,
) -> Traces:
    """Estimate the mean trace of the loss's Hessian in each layer's weights, layers named as `import_module` has them.

    The loss is the mean cross-entropy over `x`; the module runs in evaluation, batch norm with its running statistics.
    Where batch norm is folded into a layer, the solver's errors are those of the folded weights: the trace of the
    module's own is multiplied by their sum of squares over that of the folded ones. That is exact where all channels
    have one factor; elsewhere it takes each channel's error for proportional to its weights. A parameter that several
    layers share is counted once, in equal parts.

    Parameters
    ----------
    module : from images to logits, float32 (images, classes); with weights that are not quantized
    x : float32 (images, ...), where the module is
    y : int64 (images,), classes; without them, the probabilities that the module itself gives, which makes traces the
        Fisher information's, never negative
    samples : vectors of signs, at least 2; each costs a backward pass per layer and batch
    batch : images that go through the module together
    seed : of the signs; the same signs are taken for every batch

    Raises
    ------
    InputError : for samples, images, labels or logits of another kind, and weights that are no parameter
    UnsupportedError : for a module that cannot be imported
    """
    _check(x, y, samples, batch)
    places = _places(module, x[:1])
    drawn = _drawn(module, {place.weights for place in places.values()}, _batches(x, y, batch), samples, seed, len(x))
    means, errors = {}, {}
    for layer, place in places.items():
        values = drawn[place.weights] * place.factor
        means[layer], errors[layer] = float(values.mean()), float(values.std(ddof=1)) / samples**0.5
        if not np.isfinite(means[layer]):
            raise InputError(f"layer {layer}: the trace is {means[layer]}; expected finite weights, inputs and logits")
    return Traces(means, errors)


def _check(x: torch.Tensor, y: torch.Tensor | None, samples: int, batch: int) -> None:
    if samples < 2 or batch < 1:
        raise InputError(f"samples {samples} must be at least 2 and batch {batch} at least 1")
    if len(x) == 0:
        raise InputError("x has no images; expected at least one")
    if y is not None and (y.dtype != torch.int64 or y.shape != (len(x),)):
        raise InputError(f"y is {y.dtype} {tuple(y.shape)}; expected torch.int64 {(len(x),)}, a class of each image")


def _places(module: nn.Module, example: torch.Tensor) -> dict[str, _Place]:
    """The parameter behind each layer of the imported graph, by the layer's name."""
    if any(isinstance(part, Quantizer) for part in module.modules()):
        raise InputError(f"{type(module).__name__} has quantizers; give the float module, from before `prepare`")
    program = trace(module, (example,))
    signature = program.graph_signature
    first = _first_paths(module)
    paths = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    importer = read(program, module)
    graph = importer.graph()
    layers = {f"{i}_{node.op}": node.inputs[1] for i, node in enumerate(graph.nodes) if node.op in LAYERS}
    if not layers:
        raise InputError(f"{type(module).__name__} has no layers with weights")
    sources = {layer: importer.sources[index].name for layer, index in layers.items()}
    found = {}
    for layer, source in sources.items():
        if source not in paths:
            raise InputError(
                f"layer {layer}: its weights {source!r} are no parameter; give the module before `prepare`"
            )
        own, folded = importer.stored[source], graph.tensors[layers[layer]].data
        assert folded is not None
        uses = list(sources.values()).count(source)
        found[layer] = _Place(first[paths[source]], _energy_ratio(own, folded) / (own.size * uses))
    return found


def _first_paths(module: nn.Module) -> dict[str, str]:
    """Every path of a parameter or buffer, and the first of those that lead to the same one."""
    every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    known: dict[int, str] = {}
    return {path: known.setdefault(id(value), path) for path, value in every}


def _energy_ratio(own: NDArray[np.float32], folded: NDArray[np.float32]) -> float:
    """The sum of squares of a layer's weights before batch norm was folded into them over that after; 1 for zeros."""
    after = float(np.square(folded, dtype=np.float64).sum())
    return float(np.square(own, dtype=np.float64).sum()) / after if after else 1.0


def _batches(x: torch.Tensor, y: torch.Tensor | None, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        yield x[part], None if y is None else y[part]


def _drawn(
    module: nn.Module,
    names: set[str],
    batches: Iterator[tuple[torch.Tensor, torch.Tensor | None]],
    samples: int,
    seed: int,
    images: int,
) -> dict[str, NDArray[np.float64]]:
    """z^T H z of each named parameter, its own block of the Hessian alone: float64 (samples,)."""
    state: Tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    weights = {name: state[name].detach().clone().requires_grad_() for name in sorted(names)}
    others = {name: value.detach() for name, value in state.items() if name not in names}
    found = {name: np.zeros(samples) for name in weights}
    was_training = module.training
    module.eval()
    try:
        for x, y in batches:
            logits = torch.func.functional_call(module, {**others, **weights}, (x,))
            for name, values in _products(_loss(logits, y) / images, weights, samples, seed):
                found[name] += values
    finally:
        module.train(was_training)
    return found


def _loss(logits: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
    """The sum over images of the cross-entropy against `y`, or against the logits' own probabilities."""
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise InputError(f"the module gives {shape}; expected logits (images, classes)")
    if y is not None and not 0 <= int(y.min()) <= int(y.max()) < logits.shape[1]:
        raise InputError(f"y has classes {int(y.min())} to {int(y.max())}; the logits have 0 to {logits.shape[1] - 1}")
    target = functional.softmax(logits, 1).detach() if y is None else y
    return functional.cross_entropy(logits, target, reduction="sum")


def _products(
    loss: torch.Tensor, weights: Tensors, samples: int, seed: int
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    generator = torch.Generator().manual_seed(seed)
    for (name, weight), slope in zip(weights.items(), slopes, strict=True):
        values = np.zeros(samples)
        for k in range(samples):
            signs = (2 * torch.randint(0, 2, weight.shape, generator=generator) - 1).to(weight)
            (curved,) = torch.autograd.grad(slope, weight, signs, retain_graph=True)
            values[k] = float((signs * curved).sum(dtype=torch.float64))
        yield name, values
