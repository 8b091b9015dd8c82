"""Weights in narrow formats on a processor core: the ways to run a layer that is multiplied at 8 bits by its library.

No library has kernels for most formats, so hwsim counts its own (scripts/instruction_counts/formats.c), inner loops of
two rows by two columns as CMSIS-NN's:

    unpack      the layer's weights go to bytes in SRAM once per run, levels by a table, grouped codes times their
                multiplier; then the library's own kernel
    decode      in the inner loop: masks take pairs of codes apart (as CMix-NN, github EEESlab/CMix-NN, does for 2 and 4
                bits), or a table of pairs of levels is read; only where output positions share the work
    shift_add   an activation shifted and added for each power of two in a level
    bit_serial  for each bit of the weights a sum of 4 activations is read, whose 16 are made first (T-MAC)
    xnor        for each bit of the activations 32 signs are compared and counted, by 12 instructions
    product     for each code the sum of a vector's products is read, which are made first, 16 for each 2 activations

The offset of unsigned codes is the same for all channels and goes to the bias. Unpacked weights and sums made first
need room beside the layer's activations. Sums by index (`codebook`) are left out: each product then takes a read, an
add and a write of a sum in memory, which no multiplier of one cycle is slower than.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hwsim.cost_models.work import Table, Work
from hwsim.targets.cpu import CpuProfile

SHARING = ("conv2d", "pointwise")
"""Kernels whose positions share what the inner loop decodes."""

BEHIND = ("levels", "product", "grouped")
"""Kinds of tables whose codes are not the integers that are multiplied, but for an offset."""

SUM_BYTES = {"bit_serial": 2 * 8, "product": 2 * 32}
"""Of the sums made for each activation under the kernel, at two positions: 16 of 2 bytes for 4, 16 of 4 bytes for 2."""

UNPACKED, PAIRS_READ, OTHER = (1, 2, 3, 4), (2, 4), ""
PLAIN_BITS = 8


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a layer.

    Parameters
    ----------
    name : what reports call it
    work : what the library's kernel then does
    products : the loop that stands in for the library's inner one, and how often per product; None for the library's
    extra : further loops, by name in the table of formats, and how often at their level
    scratch_bytes : of SRAM beside the activations
    """

    name: str
    work: Work
    products: tuple[str, float] | None
    extra: Mapping[str, float]
    scratch_bytes: int = 0


def ways(work: Work, kernel: str, profile: CpuProfile) -> Iterator[Way]:
    """The ways to run a layer with weights of less than 8 bits, or behind a table, whose kernel is `kernel`."""
    plain = replace(work, weight_bits=PLAIN_BITS, weight_table=None, activation_table=None)
    read = {"look": work.inputs / work.weights} if work.activation_table else {}  # per weight, as all unpacking
    table = work.weight_table if work.weight_table and work.weight_table.kind in BEHIND else None
    room = profile.memories["sram"].size_bytes - work.input_bytes - work.output_bytes
    if plain.weights <= room:
        yield Way("unpack", plain, None, {**read, **_unpacking(work.weight_bits, table)}, plain.weights)
    if kernel not in SHARING or work.activation_table:
        return
    for name, products, extra in _inline(work, table):
        made = round(SUM_BYTES.get(name, 0) * work.gemm[1] * (table.stages(work.weight_bits) if table else 1))
        if made <= room:
            yield Way(name, work, products, extra, made)


def _unpacking(bits: int, table: Table | None) -> dict[str, float]:
    if table and table.kind == "product":
        return {"look_product": table.stages(bits)}
    if table and table.kind == "grouped":
        return {f"unpack{bits if bits in UNPACKED else OTHER}": 1.0, "multiply_runs": 1.0}
    if table:
        return {f"look{bits if bits in PAIRS_READ else OTHER}": 1.0}
    return {f"unpack{bits if bits in UNPACKED else OTHER}": 1.0} if bits < PLAIN_BITS else {}


def _inline(work: Work, table: Table | None) -> Iterator[tuple[str, tuple[str, float], Mapping[str, float]]]:
    bits = work.weight_bits
    if table and table.kind == "product":
        yield "product", ("product", table.stages(bits)), {"product_tables": table.stages(bits)}
        return
    if table and table.kind == "grouped":
        return
    if table:
        yield "decode", (f"t{bits}" if bits in UNPACKED else "t8", 1.0), {}
        if table.terms:
            yield "shift_add", ("shift_add", table.terms), {}
        return
    if bits in UNPACKED:
        yield "decode", (f"w{bits}", 1.0), {}
    yield "bit_serial", ("bit_serial", bits), {"bit_serial_tables": 1.0}
    if work.weight_table and work.weight_table.kind == "binary":
        yield "xnor", ("xnor", work.activation_bits), {"xnor_planes": work.activation_bits / PLAIN_BITS}
