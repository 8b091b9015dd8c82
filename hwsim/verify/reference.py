"""Run a real engine on a model in a child process, and bring back every tensor.

In a child, because real engines crash on some models (LiteRT does on an int8-state SVDF, TensorFlow Lite Micro on an
arena that is too small), print what the user did not ask for, and bring heavy libraries along.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Engine
from hwsim.errors import InputError, ModelFormatError, ReferenceEngineError
from hwsim.graph import Graph
from hwsim.verify import _reference_child
from hwsim.verify._reference_child import RUNNERS, read_back, write_request

__all__ = ["RUNNERS", "ReferenceRun", "ReferenceSession", "installed", "run_reference"]

Array = NDArray[Any]

TIMEOUT_S = 600.0
_CHATTER = re.compile(r"\s*(INFO|WARNING|VERBOSE|[IW]\d{4} |$)")


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceRun:
    """What a real engine computed.

    Parameters
    ----------
    tensors : index in subgraph 0 to array, shape (samples, *shape): inputs, state, and everything that a node computes
        (constants are in the file). The arrays lie in a file that is already deleted: they are read from disk on use,
        and writing to one changes a private copy.
    outputs : the model's outputs in order, each (samples, *shape)
    version : the package and its version
    missing : index to the reason, for tensors that the engine computes but does not give
    """

    tensors: dict[int, Array]
    outputs: list[Array]
    version: str
    missing: dict[int, str]


def installed(engine: Engine) -> str | None:
    """The version of the package that brings the real engine, None where it is not installed; imports nothing of it."""
    try:
        return metadata.version(engine.package) if engine.package else None
    except metadata.PackageNotFoundError:
        return None


def run_reference(
    engine: Engine,
    model: bytes,
    inputs: Sequence[Array],
    *,
    keep_tensors: bool = True,
    stateful: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> ReferenceRun:
    """Run the real `engine` on every sample, each in a fresh interpreter, so that no state passes from one to the next.

    Parameters
    ----------
    model : the bytes of a .tflite file
    inputs : in input order, each (samples, *declared shape), the file's own batch included; of the file's dtypes.
        Results take samples times the sizes of all tensors on disk; samples are independent, so hand in fewer at a time
        where that is too much.
    keep_tensors : whether to bring back intermediates; without them only the outputs come back, and the engine runs as
        in an application, where XNNPACK may join operators
    stateful : the samples are consecutive steps in one interpreter
    timeout_s : for all samples together

    Raises
    ------
    ReferenceEngineError : the engine is not installed, refused the model or an input, crashed or took too long
    InputError : an input's shape does not fit the model
    ModelFormatError : the bytes are no .tflite file
    """
    version = _version(engine)
    label = f"{engine.name} ({version})"
    layout = _Layout.of(model)
    arrays = [np.asarray(array) for array in inputs]
    samples = layout.samples(arrays)
    request = {
        "reference": engine.reference,
        "samples": samples,
        "keep": keep_tensors,
        "stateful": stateful,
        "elements": layout.elements,
        "inputs": layout.inputs,
        "outputs": layout.outputs,
        "tensors": layout.computed if keep_tensors else sorted({*layout.outputs}),
    }
    with TemporaryDirectory(prefix="hwsim-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_request(folder, request, model, arrays)
        result = _result(folder, label, _run_child(folder, label, timeout_s))
        tensors = read_back(folder, result["tensors"], samples)
    missing = {int(index): why for index, why in result["missing"].items()}
    for index in layout.outputs:
        if index in missing:
            raise ReferenceEngineError(f"{label} gives no value for output tensor {index}: {missing[index]}")
    return ReferenceRun(tensors, [tensors[index] for index in layout.outputs], version, missing)


class ReferenceSession:
    """A graph and a real engine, for comparing in chunks of samples.

    Parameters
    ----------
    graph : with the .tflite bytes that it was read from; otherwise it is written as .tflite first
    engine : a real one, see `Engine.reference`
    stateful : the samples of a chunk are consecutive steps, the first from reset state
    """

    def __init__(self, graph: Graph, engine: Engine, *, stateful: bool = False) -> None:
        self.version = _version(engine)
        self.missing: dict[int, str] = {}
        self._graph, self._engine, self._stateful = graph, engine, stateful
        self._model = _tflite_bytes(graph)

    def tensors(self, inputs: Mapping[int, Array]) -> dict[int, Array]:
        """Every tensor that the engine gives, by index, for inputs by index; `missing` then says which it does not."""
        arrays = [inputs[index] for index in self._graph.inputs]
        run = run_reference(self._engine, self._model, arrays, stateful=self._stateful)
        self.missing.update(run.missing)
        return run.tensors


def _tflite_bytes(graph: Graph) -> bytes:
    if graph.source is not None and graph.source_format == "tflite":
        return graph.source
    from hwsim.importers.tflite_writer import to_tflite

    return to_tflite(graph)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """What a run needs to know of the file's subgraph 0: tensor indices, and the inputs' names and shapes."""

    inputs: list[int]
    outputs: list[int]
    computed: list[int]
    expected: list[tuple[str, tuple[int, ...]]]
    elements: int

    @classmethod
    def of(cls, model: bytes) -> "_Layout":
        try:
            return cls._read(model)
        except Exception as error:
            raise ModelFormatError(f"model of {len(model)} bytes is no well-formed .tflite file: {error!r}") from error

    @classmethod
    def _read(cls, model: bytes) -> "_Layout":
        import tflite

        graph = tflite.Model.GetRootAs(model).Subgraphs(0)
        tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
        shapes = [tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength())) for tensor in tensors]
        nodes = [graph.Operators(i) for i in range(graph.OperatorsLength())]
        inputs = [graph.Inputs(i) for i in range(graph.InputsLength())]
        outputs = [graph.Outputs(i) for i in range(graph.OutputsLength())]
        computed = {i for i, tensor in enumerate(tensors) if tensor.IsVariable()} | {*inputs, *outputs}
        computed |= {node.Outputs(i) for node in nodes for i in range(node.OutputsLength())} - {-1}
        computed -= {
            i for i in computed if tensors[i].Type() in (tflite.TensorType.RESOURCE, tflite.TensorType.VARIANT)
        }
        expected = [((tensors[i].Name() or b"").decode(), shapes[i]) for i in inputs]
        return cls(inputs, outputs, sorted(computed), expected, sum(prod(shapes[i]) for i in computed))

    def samples(self, inputs: Sequence[Array]) -> int:
        """How many samples the inputs hold; InputError where they do not fit the model."""
        if len(inputs) != len(self.inputs):
            raise InputError(f"{len(inputs)} arrays for {len(self.inputs)} inputs; hand in one per input, in order")
        samples = inputs[0].shape[0] if inputs and inputs[0].ndim else 1
        for (name, shape), array in zip(self.expected, inputs, strict=True):
            if array.shape != (samples, *shape) or samples < 1:
                wanted = [max(samples, 1), *shape]
                raise InputError(f"input {name!r} has shape {[*array.shape]}; expected {wanted}, samples first")
        return samples


def _version(engine: Engine) -> str:
    if engine.reference is None:
        raise ReferenceEngineError(
            f"engine {engine.name!r} is no Python package and cannot be run here; record its tensors and give them as "
            f"a golden .npz, or name one of {', '.join(RUNNERS)}"
        )
    if engine.reference not in RUNNERS:
        raise ReferenceEngineError(f"engine {engine.name!r} cannot be run here; expected one of {', '.join(RUNNERS)}")
    if (version := installed(engine)) is None:
        raise ReferenceEngineError(
            f"engine {engine.name!r} needs {engine.package!r}, which is not installed; run: pip install 'hwsim[verify]'"
        )
    return f"{engine.package} {version}"


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-P", "-W", "ignore", _reference_child.__file__, str(folder)]


def _run_child(folder: Path, label: str, timeout_s: float) -> int:
    """The child's exit status; it is gone, and what it printed is in log.txt, when this returns or raises."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            _command(folder), cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            return child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ReferenceEngineError(
                f"{label} did not finish within {timeout_s:g} s; allow more time or hand in fewer samples"
            ) from None
        finally:
            child.kill()
            child.wait()


def _result(folder: Path, label: str, status: int) -> dict[str, Any]:
    """What the child answered; ReferenceEngineError where it did not."""
    answer = folder / "result.json"
    result: dict[str, Any] = json.loads(answer.read_text()) if status in (0, 1) and answer.exists() else {}
    if "tensors" in result:
        return result
    ended = f"crashed ({signal.strsignal(-status)})" if status < 0 else f"ended with exit status {status}"
    said = _last_words(folder / "log.txt")
    raise ReferenceEngineError(f"{label} {result.get('error', ended)}{said}; compare with another engine")


def _last_words(log: Path) -> str:
    """The last two lines that an engine printed and that say something."""
    lines = log.read_bytes()[-65536:].decode(errors="replace").splitlines()
    telling = [line.strip() for line in lines if not _CHATTER.match(line)]
    return f"; it said: {' | '.join(telling[-2:])}" if telling else ""
