"""Runs one real engine: a script of its own, so that a crash in the engine ends this process and not the user's.

`hwsim.verify.reference` starts it by its path, so that it imports nothing of hwsim, with a FOLDER that holds

request.json  reference (a key of `RUNNERS`), samples, keep, stateful, elements (of all tensors together), and indices
              in subgraph 0: inputs, outputs, tensors (to bring back)
model.tflite  the file's bytes
input_N.npy   input N, shape (samples, *declared shape)

and the script adds

result.json   {"tensors": {index: [dtype, shape, offset]}, "missing": {index: why}}, or {"error": text}
tensors.bin   tensor after tensor, each with the samples one after another
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Request = Mapping[str, Any]
ALIGNMENT = 64
ARENA_FLOOR_BYTES = 64 << 20
ARENA_BYTES_PER_ELEMENT = 16


class Session(Protocol):
    """A model loaded into an engine, about to run one sample."""

    def run(self, inputs: Sequence[Array]) -> None:
        """Compute every tensor from the inputs, in input order."""

    def read(self, index: int) -> Array:
        """The value of a tensor after `run`; ValueError where the engine has none."""


class LiteRt:
    """LiteRT with one of its three sets of kernels."""

    def __init__(self, resolver: str, model: bytes, request: Request) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.inputs = request["inputs"]
        self.engine = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType[resolver],
            experimental_preserve_all_tensors=request["keep"],
        )
        self.engine.allocate_tensors()
        self.folded = self._folded(request) if resolver == "AUTO" else frozenset()

    def run(self, inputs: Sequence[Array]) -> None:
        """Compute every tensor from the inputs, in input order."""
        for index, value in zip(self.inputs, inputs, strict=True):
            self.engine.set_tensor(index, value)
        self.engine.invoke()

    def read(self, index: int) -> Array:
        """A copy of the tensor's value; LiteRT raises ValueError where there is none."""
        if index in self.folded:
            raise ValueError("XNNPACK unpacks this constant for itself and stores nothing here")
        return np.asarray(self.engine.get_tensor(index))

    def _folded(self, request: Request) -> frozenset[int]:
        """Unpacked constants: XNNPACK says that it writes them, and leaves whatever was in memory."""
        computed = set(request["tensors"])
        folded: set[int] = set()
        for operator in self.engine._get_ops_details():
            if operator["op_name"] in ("DEQUANTIZE", "DENSIFY") and operator["inputs"][0] not in computed - folded:
                folded |= {int(index) for index in operator["outputs"]}
        return frozenset(folded - set(request["outputs"]))


class TfliteMicro:
    """TensorFlow Lite for Microcontrollers.

    Too small an arena is reported by an error or by a crash, too large a one costs nothing (untouched pages are never
    committed); reading an index that the file does not have crashes.
    """

    def __init__(self, model: bytes, request: Request) -> None:
        from tflite_micro import runtime

        self.outputs = None if request["keep"] else request["outputs"]
        modes = runtime.InterpreterConfig
        mode = modes.kPreserveAllTensors if request["keep"] else modes.kAllocationRecording
        arena = ARENA_FLOOR_BYTES + ARENA_BYTES_PER_ELEMENT * request["elements"]
        self.engine = runtime.Interpreter.from_bytes(model, arena_size=arena, intrepreter_config=mode)

    def run(self, inputs: Sequence[Array]) -> None:
        """Compute every tensor from the inputs, in input order."""
        for position, value in enumerate(inputs):
            self.engine.set_input(value, position)
        self.engine.invoke()

    def read(self, index: int) -> Array:
        """A copy of the tensor's value."""
        if self.outputs is not None:
            return np.asarray(self.engine.get_output(self.outputs.index(index)))
        return np.asarray(self.engine.GetTensor(index, 0)["tensor_data"])


RUNNERS: dict[str, Callable[[bytes, Request], Session]] = {
    "litert-reference": partial(LiteRt, "BUILTIN_REF"),
    "litert-optimized": partial(LiteRt, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    "xnnpack": partial(LiteRt, "AUTO"),
    "tflite-micro": TfliteMicro,
}


class Store:
    """One file in which every tensor has its place, filled sample by sample."""

    def __init__(self, file: BinaryIO, samples: int) -> None:
        self.file = file
        self.samples = samples
        self.places: dict[int, tuple[str, tuple[int, ...], int]] = {}
        self.missing: dict[int, str] = {}
        self.end = ALIGNMENT

    def put(self, index: int, sample: int, value: Array) -> None:
        """Write one sample of one tensor, or note why it cannot be kept."""
        if value.dtype.kind not in "biufc":
            return self.drop(index, f"its values are {value.dtype}, which is no number")
        if index not in self.places:
            self.places[index] = (value.dtype.str, value.shape, self.end)
            self.end += -(-value.nbytes * self.samples // ALIGNMENT) * ALIGNMENT
        dtype, shape, offset = self.places[index]
        if (dtype, shape) != (value.dtype.str, value.shape):
            return self.drop(
                index, f"its shape is {shape} in sample 0 and {value.shape} in sample {sample}; run them one by one"
            )
        self.file.seek(offset + sample * value.nbytes)
        self.file.write(value.tobytes())
        return None

    def drop(self, index: int, why: str) -> None:
        """Note that the engine does not give this tensor."""
        self.places.pop(index, None)
        self.missing[index] = why

    def close(self) -> dict[str, Any]:
        """Pad the file to its full length and describe it."""
        self.file.truncate(self.end)
        return {"tensors": self.places, "missing": self.missing}


def write_request(folder: Path, request: Request, model: bytes, inputs: Sequence[Array]) -> None:
    """Leave in `folder` what the child needs."""
    (folder / "request.json").write_text(json.dumps(request))
    (folder / "model.tflite").write_bytes(model)
    for position, array in enumerate(inputs):
        np.save(folder / f"input_{position}.npy", array, allow_pickle=False)


def read_back(folder: Path, places: Mapping[str, Any], samples: int) -> dict[int, Array]:
    """Views into what `Store` wrote, loaded only where the system cannot delete a file that is mapped."""
    path = folder / "tensors.bin"
    raw = np.fromfile(path, np.uint8) if os.name == "nt" else np.asarray(np.memmap(path, np.uint8, mode="c"))
    found = {}
    for index, (dtype, shape, offset) in places.items():
        end = offset + samples * prod(shape) * np.dtype(dtype).itemsize
        found[int(index)] = raw[offset:end].view(dtype).reshape(samples, *shape)
    return found


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Say in an error's text what was being done."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise RuntimeError(f"could not {what}: {text}") from error


def collect(session: Session, request: Request, sample: int, store: Store) -> None:
    """Keep what the engine gives of one sample."""
    for index in request["tensors"]:
        if index in store.missing:
            continue
        try:
            value = session.read(index)
        except (ValueError, RuntimeError) as error:
            store.drop(index, " ".join(str(error).split()))
        else:
            store.put(index, sample, value)


def execute(folder: Path, request: Request) -> dict[str, Any]:
    """Run every sample in a new session, so that state left by one sample never reaches the next; or steps in one."""
    model = (folder / "model.tflite").read_bytes()
    inputs = [np.load(folder / f"input_{n}.npy", mmap_mode="r") for n in range(len(request["inputs"]))]
    with (folder / "tensors.bin").open("wb") as file:
        store = Store(file, request["samples"])
        for sample in range(request["samples"]):
            if sample == 0 or not request.get("stateful"):
                with stage("load the model"):
                    session = RUNNERS[request["reference"]](model, request)
            with stage(f"run sample {sample}"):
                session.run([np.array(values[sample]) for values in inputs])
            collect(session, request, sample, store)
        return store.close()


def main(folder: Path) -> int:
    """Answer the request in `folder`; 0 if it was answered, 1 if the engine refused."""
    try:
        result = execute(folder, json.loads((folder / "request.json").read_text()))
    except Exception as error:
        result = {"error": str(error)}
    (folder / "result.json").write_text(json.dumps(result))
    return int("error" in result)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
