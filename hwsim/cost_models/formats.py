"""A network's work in another number format of its weights, to see formats side by side before anything is trained."""

import re
from dataclasses import replace

import numpy as np

from hwsim.cost_models.work import Network, Table, Work
from hwsim.errors import InputError, unknown
from hwsim.graph import Levels
from hwsim.quantizers.powers import apot_magnitudes

RANGES = {"": (1, 8), "lcq": (2, 8), "codebook": (1, 8), "pot": (2, 4), "apot": (2, 7), "product": (2, 8)}
"""Formats of a number of bits, by the name before it: plain codes, and levels behind tables."""

FIXED = {"binary": 1, "ternary": 2}
PRODUCT = Table("product", 8, 0, 0, vector=2, code_bits=4)
OUTER_BITS = 8
"""Of the levels of LCQ and codebooks, as LCQ re-quantizes them."""


def in_format(network: Network, name: str) -> Network:
    """`network` with the weights of all layers but the first and the last in the format `name`.

    Parameters
    ----------
    name : bits of plain codes ('4'), 'lcq', 'codebook', 'pot' or 'apot' and bits ('lcq3'), 'binary' or 'ternary'; one
        table per layer; 'product' and an even number of bits ('product4'): codes of 4 bits for pairs of weights, 16
        pairs for each two columns and stage

    Raises
    ------
    InputError : for a format that does not exist, or not at these bits
    """
    bits, table = _format(name)
    weighted = [i for i, work in enumerate(network.works) if work.weights]
    works = list(network.works)
    for index in weighted[1:-1]:
        works[index] = replace(works[index], weight_bits=bits, weight_table=_of_layer(table, works[index], bits))
    shrunk = sum(_bytes(new) - _bytes(old) for new, old in zip(works, network.works, strict=True))
    flash = network.flash_bytes + shrunk
    return replace(network, name=f"{network.name}, weights {name}", works=tuple(works), flash_bytes=flash, graph=None)


def _bytes(work: Work) -> int:
    """Bytes of packed weights and their table."""
    return -(-work.weights * work.weight_bits // 8) + (work.weight_table.size_bytes if work.weight_table else 0)


def _of_layer(table: Table | None, work: Work, bits: int) -> Table | None:
    """The table of one layer: product quantization has vectors for every few of the weights of a channel."""
    if table is None or table.kind != "product":
        return table
    vectors = -(-work.weights // work.output_size[2] // table.vector)
    return replace(table, size_bytes=vectors * 2**table.code_bits * table.vector * table.stages(bits))


def _format(name: str) -> tuple[int, Table | None]:
    if name in FIXED:
        levels = [-1, 1] if name == "binary" else [-1, 0, 1]
        return FIXED[name], _table(levels, FIXED[name])
    found = re.fullmatch(r"([a-z]*)(\d+)", name)
    if found is None or found[1] not in RANGES:
        raise InputError(unknown("weight format", name, ["8", "4", "lcq4", "codebook4", "pot4", "apot4", *FIXED]))
    kind, bits = found[1], int(found[2])
    low, high = RANGES[kind]
    if not low <= bits <= high:
        raise InputError(f"weight format {name!r} has {bits} bits; {kind or 'plain codes'} takes {low} to {high}")
    if kind == "":
        return bits, None
    if kind == "codebook":
        return bits, Table("levels", OUTER_BITS, OUTER_BITS - 1, 2**bits)
    if kind == "product":
        if bits % 2:
            raise InputError(f"weight format {name!r} has {bits} bits; product takes an even number")
        return bits, PRODUCT
    if kind == "lcq" and bits == 2:
        return bits, _table([-1, 0, 1], bits)
    if kind == "lcq":
        return bits, Table("levels", OUTER_BITS, OUTER_BITS - 1, 2**bits - 1)
    magnitudes = apot_magnitudes(bits - 1) if kind == "apot" else [0, *(1 << i for i in range(2 ** (bits - 1) - 1))]
    return bits, _table([-m for m in magnitudes[:0:-1]] + magnitudes, bits)


def _table(levels: list[int], bits: int) -> Table:
    return Table.of(Levels(np.array([levels], np.int32), np.ones(1, np.float32), bits))
