"""Functions of int16 codes that engines interpolate between 513 float32 samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import NodeView
from hwsim.kernels.lookup_int16 import lookup_int16
from hwsim.quantizers.table_int16 import table_int16


def fill_interpolated(
    view: NodeView, function: Callable[[Any], Any], values: NDArray[np.int64], out: NDArray[Any]
) -> None:
    """Fill `out` with the codes of `function` for int16 codes `values`."""
    source, target = np.float32(view.input(0).scale), np.float32(view.output().scale)
    lookup_int16(values, table_int16(function, (source, 0), (target, 0)), out)
