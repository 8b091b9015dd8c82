"""What readers and writers of model files share: one boundary for damage, checks of what was read, arrays as bytes."""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError, HwsimError, ModelFormatError
from hwsim.graph.formats import Affine
from hwsim.graph.graph import DTYPES, Tensor

LARGEST_RANK = 32
OPAQUE_DTYPES = ("string", "resource", "variant", "complex64", "complex128", "bfloat16")
"""What a file's tensors may be besides `DTYPES`: kept by name, never with a value."""

DAMAGE = (
    struct.error,
    LookupError,
    ArithmeticError,
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
    RecursionError,
)


@contextmanager
def boundary(name: str, where: Callable[[], str]) -> Iterator[None]:
    """Put the file's name before every error of hwsim, and turn whatever damaged bytes cause into ModelFormatError.

    Parameters
    ----------
    name : the file, for messages
    where : says what was being read when it happened ('tensor 12')
    """
    try:
        yield
    except HwsimError as error:
        raise type(error)(f"{name}: {error}") from None
    except DAMAGE as error:
        raise ModelFormatError(
            f"{name}: cannot read {where()} ({type(error).__name__}: {error}); the file is damaged, get it anew"
        ) from error


def check_dtype(dtype: str, label: str) -> None:
    """ModelFormatError where no tensor can have this dtype."""
    if dtype not in DTYPES and dtype not in OPAQUE_DTYPES:
        raise ModelFormatError(f"{label}: has dtype {dtype!r}; expected one of {', '.join(DTYPES + OPAQUE_DTYPES)}")


def checked_shape(sizes: Sequence[int], label: str) -> tuple[int, ...]:
    """The shape as a tuple; ModelFormatError where no tensor can have it."""
    if len(sizes) > LARGEST_RANK:
        raise ModelFormatError(f"{label}: has {len(sizes)} dimensions; at most {LARGEST_RANK} are possible")
    for axis, size in enumerate(sizes):
        if size < 0:
            raise ModelFormatError(f"{label}: dimension {axis} is {size}; must be 0 or more")
    return tuple(sizes)


def checked_affine(
    scale: NDArray[np.float32],
    zero_point: NDArray[np.int64],
    axis: int | None,
    tensor: Tensor,
    label: str,
) -> Affine:
    """A number format for `tensor`, of private read-only copies; ModelFormatError where it contradicts the tensor."""
    check_not_negative(scale, label)
    check_axis(scale.size, axis, tensor.shape, label)
    _check_zero_points(zero_point, tensor.dtype, label)
    return Affine(frozen(scale, np.float32), frozen(zero_point, np.int64), axis)


def constant(raw: NDArray[np.uint8], dtype: str, shape: tuple[int, ...], label: str) -> NDArray[Any]:
    """Little-endian bytes as a read-only array: a view of `raw` where its alignment allows, else a copy."""
    expected = prod(shape) * np.dtype(dtype).itemsize
    if raw.size != expected:
        raise ModelFormatError(
            f"{label}: holds {raw.size} bytes; {list(shape)} of {dtype} needs {expected}: the file is damaged"
        )
    if dtype == "bool" and raw.max(initial=0) > 1:
        raise ModelFormatError(f"{label}: byte {int((raw > 1).argmax())} is {raw[raw > 1][0]}; a bool is 0 or 1")
    native = raw.view(np.dtype(dtype).newbyteorder("<")).astype(dtype, copy=False)
    array = np.require(native, requirements="A").reshape(shape)
    array.setflags(write=False)
    return array


def constant_bytes(tensor: Tensor) -> bytes:
    """The constant of `tensor` as little-endian bytes, b'' where there is none."""
    data = tensor.data
    if data is None:
        return b""
    if data.shape != tensor.shape or data.dtype.name != tensor.dtype:
        raise GraphError(
            f"tensor {tensor.name!r}: its value is {data.dtype.name} {list(data.shape)}; "
            f"expected {tensor.dtype} {list(tensor.shape)}, as the tensor declares"
        )
    return little_endian(data)


def little_endian(array: NDArray[Any]) -> bytes:
    """The array's bytes in C order, low byte first."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def check_not_negative(scale: NDArray[np.float32], label: str) -> None:
    """ModelFormatError where a scale is negative or no finite number."""
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(~np.isfinite(scale) | (scale < 0))
    if wrong.size:
        raise ModelFormatError(
            f"{label}: scale[{wrong[0]}] is {float(scale[wrong[0]])}; must be finite and not negative"
        )


def check_axis(scales: int, axis: int | None, shape: tuple[int, ...], label: str) -> None:
    """ModelFormatError where `scales` scales do not run along `axis` of a tensor of `shape`."""
    if axis is None:
        if scales != 1:
            raise ModelFormatError(f"{label}: has {scales} scales and no axis; expected 1")
    elif not 0 <= axis < len(shape):
        raise ModelFormatError(f"{label}: its {scales} scales run along axis {axis}; it has axes 0..{len(shape) - 1}")
    elif shape[axis] != scales:
        raise ModelFormatError(f"{label}: has {scales} scales; expected 1, or {shape[axis]} along axis {axis}")


def _check_zero_points(zero_point: NDArray[np.int64], dtype: str, label: str) -> None:
    if dtype not in ("int8", "uint8", "int16"):
        return
    info = np.iinfo(dtype)
    wrong = np.flatnonzero((zero_point < info.min) | (zero_point > info.max))
    if wrong.size:
        raise ModelFormatError(
            f"{label}: zero_point[{wrong[0]}] is {zero_point[wrong[0]]}; {dtype} must be in [{info.min}, {info.max}]"
        )


def frozen(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """A private read-only copy in `dtype`."""
    copy = np.array(values, dtype)
    copy.setflags(write=False)
    return copy
