"""A file to go on from: the float network so far, its coding and the record, replaced whole after every step.

It is a .npz without pickles: arrays, a JSON document and the bytes of a .hwsim file. A checkpoint of another network,
other data or other settings is refused.
"""

import json
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, UnsupportedError
from hwsim.graph import Affine, Graph
from hwsim.graph.file import read
from hwsim.ptq.history import Entry
from hwsim.ptq.lower import Coding, Weights
from hwsim.ptq.steps import Settings, State
from hwsim.simulate import SampleBatch

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where to keep what is done, and of which run it is.

    Parameters
    ----------
    path : the file, None to keep nothing
    run : a fingerprint of network, data and settings
    steps : of the whole run
    """

    path: Path | None
    run: str
    steps: tuple[str, ...]

    @classmethod
    def of(
        cls, path: Path | None, graph: Graph, batch: SampleBatch, settings: Settings, steps: tuple[str, ...]
    ) -> "Checkpoint":
        """The checkpoint at `path` of this run."""
        solver = getattr(settings.solver, "__qualname__", repr(settings.solver))
        told = {**asdict(replace(settings, statistics=None, solver=None)), "solver": solver}
        seen = sha256(repr((told, [(n.op, n.inputs, dict(n.attributes)) for n in graph.nodes])).encode())
        for data in (*(t.data for t in graph.tensors if t.data is not None), *batch.values.values()):
            seen.update(np.ascontiguousarray(data).tobytes())
        return cls(path, seen.hexdigest(), steps)

    def resume(self, start: State) -> tuple[State, list[Entry]]:
        """The state after the last step that was kept, and the record; `start` where there is none."""
        if self.path is None or not self.path.exists():
            return start, []
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            notes = json.loads(arrays.pop("notes").tobytes())
            done = [Entry(**entry) for entry in notes["history"]]
            same = notes["run"] == self.run and self.steps[: len(done)] == tuple(e.step for e in done)
            state = State(read(arrays.pop("graph").tobytes(), str(self.path)), _coding(arrays))
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path}: not a checkpoint ({error}); delete it to begin again") from None
        if not same:
            raise InputError(
                f"{self.path}: a checkpoint of another network, data or settings; delete it or name another"
            )
        return state, done

    def write(self, state: State, history: list[Entry]) -> None:
        """Replace the file by the state after the last step of `history`."""
        if self.path is None or state.coding is None:
            return
        part = self.path.with_name(f".{self.path.name}.part")
        notes = {"run": self.run, "history": [asdict(entry) for entry in history]}
        try:
            state.graph.save(part)
            arrays: dict[str, Any] = {"notes": _bytes(json.dumps(notes).encode()), "graph": _bytes(part.read_bytes())}
            with part.open("wb") as stream:
                np.savez(stream, **{**arrays, **_arrays(state.coding)})
            part.replace(self.path)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None
        finally:
            with suppress(OSError):
                part.unlink()


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _arrays(coding: Coding) -> Arrays:
    arrays: Arrays = {}
    for kind, forms in (("activations", coding.activations), ("inputs", coding.inputs)):
        for i, form in forms.items():
            arrays |= _format_arrays(f"{kind}/{i}", form)
    for i, weights in coding.weights.items():
        if not isinstance(weights.format, Affine):
            raise UnsupportedError("checkpoints hold uniform weights only; leave the checkpoint out")
        arrays |= {f"weights/{i}/codes": weights.codes, **_format_arrays(f"weights/{i}", weights.format)}
    return arrays | {f"biases/{i}": bias for i, bias in coding.biases.items()}


def _format_arrays(name: str, form: Affine) -> Arrays:
    axis, bits = (-1 if value is None else value for value in (form.axis, form.bits))
    return {f"{name}/scale": form.scale, f"{name}/zero": form.zero_point, f"{name}/kind": np.array([axis, bits])}


def _coding(arrays: Arrays) -> Coding:
    def form(name: str) -> Affine:
        axis, bits = (None if value < 0 else int(value) for value in arrays[f"{name}/kind"])
        return Affine(arrays[f"{name}/scale"], arrays[f"{name}/zero"], axis, bits)

    def keys(kind: str) -> list[int]:
        return sorted({int(name.split("/")[1]) for name in arrays if name.startswith(f"{kind}/")})

    return Coding(
        {i: form(f"activations/{i}") for i in keys("activations")},
        {i: Weights(arrays[f"weights/{i}/codes"], form(f"weights/{i}")) for i in keys("weights")},
        {i: arrays[f"biases/{i}"] for i in keys("biases")},
        {i: form(f"inputs/{i}") for i in keys("inputs")},
    )
