"""What number formats cost: work in the steps of each datapath, and decoding where a machine has none for a format.

Steps of a layer of `macs`, weights of w bits and activations of a bits:

    multiply    macs
    lut         macs: read a product of two codes from a table of 2^(w+a), add it
    codebook    macs + outputs * 2^w: add an activation to the sum of its weight's code; then a multiply for each code
    shift_add   macs * terms: shift an activation, add it; levels are sums of so many powers of two
    bit_serial  macs / 4 * w + inputs under the kernel / 4 * 16: read the sum that 4 bits of weights choose from a table
                of 16, which is made for every 4 activations
    xnor        macs / 64 * a: compare 64 signs with a plane of activations, count; weights are -1 and 1
    ternary     macs: add, subtract or leave; weights are -1, 0 and 1
    product     macs / vector * stages + inputs under the kernel * 2^code * stages: read the sum that a code chooses,
                add it; those of all vectors with the activations are made first, by multiplying

A machine without these looks up levels for codes (`Decoder`), once per layer and run, and multiplies as ever.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, sqrt

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import Network, Table, Work
from hwsim.errors import InputError, unknown
from hwsim.targets import Profile
from hwsim.targets.systolic import SystolicProfile

GROUP = 4
"""Weights whose bits choose a partial sum, as in T-MAC (Wei et al., arXiv 2407.00088)."""

NO_TABLE = ("product", "grouped")
"""Kinds whose codes no single table turns into levels."""

WORD = 64
SUM_BYTES = 4
PARTIAL_SUM_BYTES = 2
REFERENCE_TABLE_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Steps:
    """A layer on one datapath.

    Parameters
    ----------
    count : steps
    table_bytes : of the table that each unit holds
    touched_bytes : of it that a step reads and writes
    """

    count: float
    table_bytes: float = 0.0
    touched_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A datapath for a layer."""

    name: str
    cycles: float
    energy_pj: float


def steps(work: Work, datapath: str) -> Steps | None:
    """What `work` takes on a datapath; None where it cannot be done there."""
    if datapath not in DATAPATHS:
        raise InputError(unknown("datapath", datapath, DATAPATHS))
    if not work.macs or not work.weights:
        return None
    return _STEPS[datapath](work, work.weight_table.kind if work.weight_table else "codes")


def _multiply(work: Work, _kind: str) -> Steps:
    return Steps(work.macs)


def _lut(work: Work, kind: str) -> Steps | None:
    if kind in NO_TABLE:
        return None
    entry = ceil(sum(work.multiplied_bits) / 8)
    return Steps(work.macs, 2 ** (work.weight_bits + work.activation_bits) * entry, entry)


def _codebook(work: Work, kind: str) -> Steps | None:
    if kind in NO_TABLE:
        return None
    codes = 2**work.weight_bits
    return Steps(work.macs + work.outputs * codes, SUM_BYTES * codes, 2 * SUM_BYTES)


def _shift_add(work: Work, _kind: str) -> Steps | None:
    terms = work.weight_table.terms if work.weight_table else 0
    return Steps(work.macs * terms) if terms else None


def _bit_serial(work: Work, kind: str) -> Steps | None:
    if kind in ("levels", *NO_TABLE):
        return None
    made = work.macs / work.gemm[2] / GROUP * 2**GROUP
    return Steps(work.macs / GROUP * work.weight_bits + made, 2**GROUP * PARTIAL_SUM_BYTES, PARTIAL_SUM_BYTES)


def _xnor(work: Work, kind: str) -> Steps | None:
    return Steps(work.macs / WORD * work.activation_bits) if kind == "binary" and not work.activation_table else None


def _ternary(work: Work, kind: str) -> Steps | None:
    return Steps(work.macs) if kind in ("binary", "ternary") else None


def _product(work: Work, kind: str) -> Steps | None:
    table = work.weight_table
    if table is None or kind != "product":
        return None
    stages, vectors = table.stages(work.weight_bits), 2**table.code_bits
    made = work.macs / work.gemm[2] * vectors * stages
    return Steps(work.macs / table.vector * stages + made, vectors * SUM_BYTES, SUM_BYTES)


_STEPS: dict[str, Callable[[Work, str], Steps | None]] = {
    "multiply": _multiply,
    "lut": _lut,
    "codebook": _codebook,
    "shift_add": _shift_add,
    "bit_serial": _bit_serial,
    "xnor": _xnor,
    "ternary": _ternary,
    "product": _product,
}
DATAPATHS = tuple(_STEPS)


def cheapest(work: Work, multiply_cycles: float, multiply_pj: float, profile: SystolicProfile) -> Choice | None:
    """The datapath beside the array that is sooner done, or as soon with less energy; None for the array.

    Other units are as busy as the array would be, whose `multiply_cycles` are more than a full one's.
    """
    best, least = None, (round(multiply_cycles), multiply_pj)
    fill = multiply_cycles * profile.array.rows * profile.array.cols / work.macs if work.macs else 0.0
    for name, units in profile.datapaths.items():
        asked = steps(work, name)
        if asked is None or asked.table_bytes > units.table_bytes:
            continue
        table_pj = units.table_pj_per_byte * sqrt(asked.table_bytes / REFERENCE_TABLE_BYTES)
        energy = asked.count * (units.step_pj + asked.touched_bytes * table_pj)
        cycles = fill * asked.count / units.steps_per_cycle
        if (round(cycles), energy) < least:
            best, least = Choice(name, cycles, energy), (round(cycles), energy)
    return best


def deployed(network: Network, profile: Profile) -> Network:
    """`network` as the target stores it: where it has no decoder for a table, its levels; whole bytes where it must."""
    works = tuple(_deployed(work, profile) for work in network.works)
    grown = sum(new.weight_bytes - old.weight_bytes for new, old in zip(works, network.works, strict=True))
    return replace(network, works=works, flash_bytes=network.flash_bytes + round(grown))


def decoded(work: Work, cost: LayerCost, profile: Profile) -> LayerCost:
    """`cost` with time and energy of looking up levels, where codes are behind tables and levels are multiplied."""
    tables = (work.weight_table, work.weight_bits, work.weights), (work.activation_table, 1, work.inputs)
    looked_up = (count * table.stages(bits) / table.vector for table, bits, count in tables if table)
    values = sum(looked_up) if work.macs else 0
    if not values or not cost.cycles or cost.datapath != "multiply" or profile.decoder is None:
        return cost
    cycles = values / profile.decoder.values_per_cycle
    waiting = max(0.0, cycles - cost.cycles) if profile.decoder.overlaps else cycles
    return replace(
        cost,
        cycles=cost.cycles + waiting,
        compute_cycles=cost.compute_cycles + waiting,
        decode_pj=values * profile.decoder.value_pj,
    )


def _deployed(work: Work, profile: Profile) -> Work:
    weight_bits, activation_bits = work.multiplied_bits
    if work.weight_table and not _keeps(work.weight_table, work.weight_bits, profile):
        work = replace(work, weight_table=None, weight_bits=_bytes(weight_bits))
    if work.activation_table and not profile.keeps_table(2**work.activation_bits):
        work = replace(work, activation_table=None, activation_bits=_bytes(activation_bits))
    if profile.whole_bytes:
        work = replace(work, weight_bits=_bytes(work.weight_bits), activation_bits=_bytes(work.activation_bits))
    return work


def _keeps(table: Table, bits: int, profile: Profile) -> bool:
    return profile.keeps_vectors if table.kind in NO_TABLE else profile.keeps_table(2**bits)


def _bytes(bits: int) -> int:
    return ceil(bits / 8) * 8
