"""`hwsim.quantize`: a float graph or a torch module to integers, in widths that are given or chosen within budgets."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.pipeline import Quantized, quantize_with_history
from hwsim.simulate import Inputs
from hwsim.solver.allocation import SIZE, Allocator
from hwsim.solver.costs import KIB, Machine, totals
from hwsim.targets import Target
from hwsim.targets import target as target_called


def quantize(network: Any, calibration: Inputs, **options: Any) -> Graph:
    """The integer graph of a float network; parameters as for `quantize_network`."""
    return quantize_network(network, calibration, **options).graph


def quantize_network(
    network: Any,
    calibration: Inputs,
    *,
    labelled: tuple[Inputs, ArrayLike] | None = None,
    choices: Sequence[int] | None = None,
    budgets: Mapping[str, float] | None = None,
    max_degradation: float | None = None,
    target: str | Path | Target | None = None,
    runtime: str | None = None,
    **options: Any,
) -> Quantized:
    """Quantize a float network from samples of its input, with a record of what each step bought.

    Parameters
    ----------
    network : a Graph, or a torch.nn.Module, which is imported as in evaluation
    calibration : samples as for `simulate`; a few hundred do. Of a module: as the module takes them, in its order of
        axes (images are batch, channels, height, width), an array or a tensor, or a list of them where it takes
        several. The integer graph takes images as (batch, height, width, channels), as every Graph of hwsim does
    labelled : samples, in the same order of axes, and their classes
    choices : widths that the weights of a layer may have, 2 to 8 bits; first and last layer keep 8
    budgets : {'weights_kib': limit}, and on a target also 'latency_ms', 'energy_uj', 'flash_kib', 'sram_kib', 'gbops'
    max_degradation : the smallest weights whose layers add no more than this to the divergence from the float answers
    target, runtime : where budgets are kept
    options : see `hwsim.ptq.pipeline.quantize_with_history`

    With `choices`, `budgets` or `max_degradation` the weights' widths are chosen layer by layer (by default among all
    that the target runs, at most the bytes that uniform `weights` take); otherwise every layer has the widths given.

    Raises
    ------
    InputError : for data, names, widths or budgets that do not do
    UnsupportedError : where the network has operators that cannot be quantized
    """
    if choices is not None or budgets or max_degradation is not None:
        allocator = Allocator(dict(budgets or {}), max_degradation, target, runtime)
        options |= {"solver": allocator, "choices": allocator.widths() if choices is None else choices}
    elif target is not None:
        raise InputError("a target without budgets changes nothing; give budgets, such as {'latency_ms': 5}")
    if not isinstance(network, Graph):
        graph, calibration = _imported(network, calibration)
        if labelled is not None:
            labelled = _channels_last(_arrays(labelled[0], "labelled data")), labelled[1]
        network = graph
    return quantize_with_history(network, calibration, labelled=labelled, **options)


def costs(found: Quantized, target: str | Path | Target | None = None, runtime: str | None = None) -> dict[str, float]:
    """What an integer network takes: KiB of packed weights, and its costs as a whole on a target if there is one."""
    sizes = {found.real.nodes[i].name: weights.codes.size for i, weights in found.coding.weights.items()}
    size = {SIZE: sum(sizes[name] * bits for name, bits in found.weight_bits.items()) / 8 / KIB}
    return size if target is None else size | totals(Machine(target_called(target), runtime).estimate(found.graph))


def _imported(module: Any, calibration: Inputs) -> tuple[Graph, Inputs]:
    """A torch module's float graph, and the samples as this takes them."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        raise InputError(f"network is a {type(module).__name__}; expected a hwsim.Graph or a torch.nn.Module")
    from hwsim.torch_bridge import import_module

    arrays = _arrays(calibration)
    single = tuple(torch.from_numpy(np.ascontiguousarray(array[:1])) for array in arrays)
    _check_taken(module, single, torch)
    return import_module(module, single), _channels_last(arrays)


def _check_taken(module: Any, single: Sequence[Any], torch: Any) -> None:
    """InputError where the module does not take the samples, most likely because their axes are in another order."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            module(*single)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = ", ".join(str(["batch", *part.shape[1:]]) for part in single)
        raise InputError(
            f"{type(module).__name__} does not take samples of shape {shapes} ({str(error).splitlines()[0]}); "
            "give them as the module takes them, images as (batch, channels, height, width)"
        ) from None
    finally:
        module.train(was_training)


def _arrays(x: Any, what: str = "calibration data") -> list[np.ndarray[Any, Any]]:
    """The samples of each input, float32; InputError where they are no numbers."""
    if isinstance(x, Mapping):
        raise InputError("a module's inputs have no names; give its samples as a list in the order of its arguments")
    found = []
    for part in x if isinstance(x, (list, tuple)) else [x]:
        array = np.asarray(part.detach().cpu() if hasattr(part, "detach") else part)
        if array.dtype.kind not in "fiu" or array.ndim < 1 or not len(array):
            raise InputError(
                f"{what} are {array.dtype} of shape {list(array.shape)}; expected numbers, one row a sample"
            )
        with np.errstate(over="ignore"):
            found.append(array.astype(np.float32))
    return found


def _channels_last(arrays: Sequence[np.ndarray[Any, Any]]) -> list[ArrayLike]:
    return [array.transpose(0, 2, 3, 1) if array.ndim == 4 else array for array in arrays]
