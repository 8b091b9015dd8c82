"""Weights in every number format, one scale per output channel, for layers that run in integers.

Levels that are no integers are re-quantized to 8 bits outside, as LCQ does (arXiv 2103.07156). Codebooks and companders
are fitted to all channels of a layer together, each divided by its deviation, so that a layer has one table; the scale
of a channel is then the best for that table. Several binary bases have a table for each channel.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, unknown
from hwsim.graph import Affine, Graph, Grouped, Levels
from hwsim.ptq.choose import GROUPED_BITS, fit_grouped, fit_weights, float_weights
from hwsim.ptq.lower import WEIGHTED, Weights
from hwsim.ptq.observe import Seen
from hwsim.quantizers import levels as fitted
from hwsim.quantizers.binary import BinaryBases, binary, ternary
from hwsim.quantizers.codebook import codebook
from hwsim.quantizers.companding import Companding
from hwsim.quantizers.granularity import Granularity, per_channel
from hwsim.quantizers.powers import additive_powers_of_two, logarithmic, powers_of_two
from hwsim.quantizers.product import ProductCodebooks

Reals = NDArray[np.float64]
OUTER_BITS = 8
SHORT_VECTOR = 2
GROUP = 16
"""Weights that share an integer multiplier, as in VS-Quant."""

CODE_BITS = 4
"""Of product quantization: codes of 4 bits for pairs of weights, 2 bits each; further stages add 2 each."""

FORMATS = {
    "uniform": (2, 8), "pot": (2, 4), "apot": (2, 6), "log": (2, 8), "codebook": (1, 8), "lcq": (2, 8),
    "bases": (1, 8), "binary": (1, 1), "ternary": (2, 2), "product": (2, 8), "grouped": (2, GROUPED_BITS),
}  # fmt: skip
"""Formats by name, with the fewest and most bits of each."""


def weights_in(graph: Graph, index: int, kind: str, bits: int) -> Weights:
    """The weights of layer `index` of a float graph in the format `kind`.

    Parameters
    ----------
    kind : a name in `FORMATS`
    bits : of a code; of 'product' per weight, an even number, whose codes stand for sums of 8-bit vectors that no table
        of single weights holds, so that the layer gets these sums

    Raises
    ------
    InputError : for a format that does not exist, or not at these bits
    """
    if kind not in FORMATS:
        raise InputError(unknown("weight format", kind, FORMATS))
    low, high = FORMATS[kind]
    if not low <= bits <= high:
        raise InputError(f"{kind} weights of {bits} bits; expected {low} to {high}")
    if kind == "uniform":
        return fit_weights(graph, index, bits, "mse")
    if kind == "grouped":
        return fit_grouped(graph, index, bits, GROUP)
    values, axis = float_weights(graph, index).astype(np.float64), WEIGHTED[graph.nodes[index].op]
    cut = per_channel(axis)
    if kind == "product":
        return _product(values, bits, axis)
    if kind == "bases":
        return _bases(values, bits, cut)
    form = _LEVELS[kind](values, bits, cut)
    return Weights(form.encode(values), Levels.of(_whole(form)))


def decoded(weights: Weights) -> Reals:
    """What the codes stand for, float64."""
    codes, form, shape = weights.codes, weights.format, weights.codes.shape
    axis = 0 if form.axis is None else form.axis
    along = np.arange(len(form.scale)).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    if isinstance(form, Levels):
        levels: Reals = form.table[along, codes] * form.scale.astype(np.float64)[along]
        return levels
    if isinstance(form, Grouped):
        products: Reals = codes * form.spread(shape) * form.scale.astype(np.float64)[along]
        return products
    real: Reals = (codes - form.zero_point[along]) * form.scale.astype(np.float64)[along]
    return real


def activation_levels(seen: Seen, bits: int) -> Levels:
    """LCQ's levels and thresholds for a tensor that is never negative, as after a ReLU."""
    if seen.low < 0:
        raise InputError(f"the smallest value seen is {seen.low:g}; companded activations hold none below 0")
    return Levels.of(Companding.fit(seen.values, bits, signed=False).levels().requantized(OUTER_BITS))


def product_codebooks(values: Reals, bits: int, axis: int) -> tuple[ProductCodebooks, Reals, Reals]:
    """Codebooks of pairs fitted to all channels, each divided by its deviation: codebooks, what they stand for, and the
    deviations; the matrix is (channels, rest), padded to pairs.
    """
    if bits % SHORT_VECTOR:
        raise InputError(f"product weights of {bits} bits; expected an even number")
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    spread = np.array([row.std() or 1.0 for row in rows])
    matrix = np.pad(rows / spread[:, None], ((0, 0), (0, -rows.shape[1] % SHORT_VECTOR)))
    stages = bits * SHORT_VECTOR // CODE_BITS
    return ProductCodebooks.fit(matrix, CODE_BITS, length=SHORT_VECTOR, stages=stages), matrix, spread


def _product(values: Reals, bits: int, axis: int) -> Weights:
    """Sums of vectors whose entries are rounded to steps so wide that every sum fits 8 bits."""
    books, matrix, spread = product_codebooks(values, bits, axis)
    stages = len(books.codebooks)
    step = float(np.abs(books.codebooks).max(axis=(1, 2, 3)).sum()) / (127 - stages) or 1.0
    whole = ProductCodebooks(books.bits, np.rint(books.codebooks / step))
    moved = np.moveaxis(values, axis, 0)
    sums = whole.decode(books.encode(matrix))[:, : moved[0].size].reshape(moved.shape)
    scale = (spread * step).astype(np.float32)
    return Weights(np.moveaxis(sums, 0, axis).astype(np.int64), Affine(scale, np.zeros(scale.size, np.int64), axis))


def _bases(values: Reals, bits: int, cut: Granularity) -> Weights:
    """ABC-Net's sums of signs, sorted into a table for each channel."""
    bases = BinaryBases.fit(values, bits, granularity=cut)
    order = np.argsort(bases.levels, axis=1, kind="stable")
    sorted_levels = np.take_along_axis(bases.levels, order, axis=1)
    rank = np.argsort(order, axis=1)[cut.index(values.shape), bases.encode(values)]
    thresholds = fitted.midpoints(sorted_levels)
    form = fitted.Levels(sorted_levels, np.ones(len(order)), thresholds, cut)
    return Weights(rank, Levels.of(_whole(form)))


def _whole(form: fitted.Levels) -> fitted.Levels:
    """Integer levels without a common factor, which goes to the scale: three levels of LCQ are -1, 0 and 1."""
    if not form.is_integer:
        form = form.requantized(OUTER_BITS)
    common = int(np.gcd.reduce(form.table, axis=None)) or 1
    return replace(form, table=form.table // common, scale=form.scale * common)


def _shared(values: Reals, cut: Granularity, fit: Callable[[Reals], fitted.Levels]) -> fitted.Levels:
    """A table fitted to all channels together, each divided by its deviation; then the best scale of each for it."""
    spread = np.array([part.std() or 1.0 for part in cut.split(values)])
    form = fit(values / cut.spread(spread, values.shape))
    scale = fitted.fit_scales(values, form.table[0].tolist(), cut)
    thresholds = scale[:, None] * (form.thresholds / form.scale[0])
    return fitted.Levels(np.repeat(form.table, scale.size, axis=0), scale, thresholds, cut)


_LEVELS: dict[str, Callable[[Reals, int, Granularity], fitted.Levels]] = {
    "pot": lambda values, bits, cut: powers_of_two(values, bits, granularity=cut),
    "apot": lambda values, bits, cut: additive_powers_of_two(values, bits, granularity=cut),
    "log": lambda values, bits, cut: logarithmic(values, bits, granularity=cut),
    "codebook": lambda values, bits, cut: _shared(values, cut, lambda v: codebook(v, bits)),
    "lcq": lambda values, bits, cut: _shared(values, cut, lambda v: Companding.fit(v, bits).levels()),
    "binary": lambda values, _bits, cut: binary(values, granularity=cut),
    "ternary": lambda values, _bits, cut: ternary(values, exact=True, granularity=cut),
}
