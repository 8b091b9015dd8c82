"""What an exported graph computes, against an independent reference and against the float module that was trained."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwsim.errors import InputError, unknown
from hwsim.graph import Graph
from hwsim.simulate import simulate
from hwsim.torch_bridge._reference import DYADIC, reference
from hwsim.torch_bridge._reference_ibert import IBERT

ENGINE = "dyadic"
REFERENCES = {"dyadic": DYADIC, "ibert": IBERT}


@dataclass(frozen=True, slots=True)
class Proof:
    """How many codes of each tensor differ between hwsim and the integer reference.

    Parameters
    ----------
    differing : by tensor name, in the order of the graph; all 0 where hwsim is right
    codes : how many were compared
    """

    differing: dict[str, int]
    codes: int

    @property
    def exact(self) -> bool:
        """Whether every code of every tensor is equal."""
        return not any(self.differing.values())


@dataclass(frozen=True, slots=True)
class Difference:
    """Integers beside the float forward of the module with its quantizers.

    Parameters
    ----------
    samples : compared
    flips : samples whose largest output is another one
    codes : outputs that differ after both are codes of the output's format, as a share
    largest : of these differences, in codes
    integer_outputs, float_outputs : (samples, classes) as real values
    """

    samples: int
    flips: int
    codes: float
    largest: int
    integer_outputs: NDArray[np.float64]
    float_outputs: NDArray[np.float64]


def encode(graph: Graph, x: torch.Tensor) -> NDArray[Any]:
    """Real inputs as torch takes them as codes of the graph's input; images turn to (samples, height, width, channels).

    Ties go to even.
    """
    tensor = graph.tensors[graph.inputs[0]]
    form = tensor.affine
    values = (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).numpy()
    bits = form.bits or 8 * np.dtype(tensor.dtype).itemsize
    codes = np.rint(values / form.scale[0]) + form.zero_point[0]
    return np.clip(codes, -(1 << (bits - 1)), (1 << (bits - 1)) - 1).astype(tensor.dtype)


def prove(graph: Graph, x: torch.Tensor, engine: str = ENGINE) -> Proof:
    """Compare every tensor that hwsim computes with the reference of an engine, on real inputs `x`.

    engine : 'dyadic' or 'ibert'; InputError for others

    Raises
    ------
    UnsupportedError : for an operator that the reference lacks
    """
    if engine not in REFERENCES:
        raise InputError(unknown("engine with a reference", engine, REFERENCES))
    codes = encode(graph, x)
    ours = simulate(graph, codes, engine, keep_tensors=True).tensors
    expected = reference(graph, torch.from_numpy(codes), REFERENCES[engine])
    differing = {name: int((ours[name] != value.numpy()).sum()) for name, value in expected.items()}
    return Proof(differing, sum(value.numel() for value in expected.values()))


def compare(graph: Graph, module: nn.Module, x: torch.Tensor, *, chunk: int = 128, engine: str = ENGINE) -> Difference:
    """The graph's outputs under an engine beside what the module, with its quantizers if any, gives in float."""
    module.eval()
    with torch.no_grad():
        real = torch.cat([module(x[i : i + chunk]) for i in range(0, len(x), chunk)]).double()
    real = (real.permute(0, 2, 3, 1) if real.ndim == 4 else real).numpy()
    output = graph.tensors[graph.outputs[0]]
    codes = simulate(graph, encode(graph, x), engine).outputs[0].astype(np.int64)
    integer = (codes - output.zero_point) * np.float64(output.scale)
    ends = np.iinfo(output.dtype)
    wanted = np.clip(np.rint(real / output.scale) + output.zero_point, ends.min, ends.max).astype(np.int64)
    off = np.abs(codes - wanted)
    flips = int((integer.argmax(-1) != real.argmax(-1)).sum())
    return Difference(len(x), flips, float((off != 0).mean()), int(off.max(initial=0)), integer, real)
