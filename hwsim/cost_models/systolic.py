"""Systolic arrays: stall-free cycles of a matrix product in three dataflows.

Source: SCALE-Sim (Samajdar et al., arXiv 1811.02883) and its simulator's "Total Cycles" without bandwidth stalls.
"""

from hwsim.errors import InputError, unknown

_MAPPINGS = {"os": ("m", "n", "k"), "ws": ("k", "n", "m"), "is": ("k", "m", "n")}


def gemm_cycles(*, dataflow: str, rows: int, cols: int, m: int, k: int, n: int) -> int:
    """Cycles of an (m, k) by (k, n) product on an array of `rows` by `cols`, without stalls.

    Parameters
    ----------
    dataflow : 'os' (outputs stay), 'ws' (weights stay) or 'is' (inputs stay)
    rows, cols, m, k, n : each at least 1; of a convolution, m is output positions, k filter taps, n filters

    Raises
    ------
    InputError : for another dataflow or a size below 1
    """
    if dataflow not in _MAPPINGS:
        raise InputError(unknown("dataflow", dataflow, _MAPPINGS))
    sizes = {"rows": rows, "cols": cols, "m": m, "k": k, "n": n}
    for name, value in sizes.items():
        if value < 1:
            raise InputError(f"{name} is {value}; must be at least 1")
    down, across, time = (sizes[name] for name in _MAPPINGS[dataflow])
    folds = -(-down // rows) * -(-across // cols)
    fill = rows if dataflow == "os" else 2 * rows
    return folds * (time + fill + cols - 2) - 1
