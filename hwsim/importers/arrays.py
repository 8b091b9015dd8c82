"""Arrays that a user hands in: .npy and .npz files, never pickled, never larger than they say."""

import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError

LARGEST_BYTES = 8 << 30


def read_arrays(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Arrays by name; an .npy file's only array is called 'input'.

    Raises InputError naming the file where it cannot be read.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{file}: no such file; expected a .npy or .npz file")
    try:
        if file.suffix == ".npz":
            _check_size(file)
        loaded = np.load(file, allow_pickle=False, mmap_mode="r" if file.suffix == ".npy" else None)
        if isinstance(loaded, np.ndarray):
            return {"input": np.asarray(loaded)}
        with loaded:
            return {name: _array(loaded[name], name) for name in loaded.files}
    except InputError:
        raise
    except Exception as error:  # of a dozen kinds, out of numpy, zipfile, the decompressors and the tokenizer
        raise InputError(f"{file}: not a readable .npy or .npz file ({error})") from None


def _array(value: Any, name: str) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name!r} in it is no array")
    return value


def _check_size(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    if total > LARGEST_BYTES:
        raise InputError(f"{file}: unpacks to {total} bytes; the limit is {LARGEST_BYTES}")
