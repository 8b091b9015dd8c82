"""How wide sums get, in words and as JSON: guaranteed, seen, and where the accumulator of a machine is narrower."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwsim.simulate.sum_bounds import PAIR_BITS, Accumulator, Range
from hwsim.targets import Profile

EIGHT_BITS = 8


def sum_facts(found: Accumulator) -> dict[str, Any]:
    """What a command's JSON says of the sum of one layer."""
    named = {"width": found.width, "total": found.total, "running": found.running}
    pairs = {"pairs": found.pairs, "pairs_seen": found.pairs_seen}
    own = {"node": found.node, "op": found.op, "index": found.index, **_range_facts(found.bound)}
    more = {key: _range_facts(value) if isinstance(value, Range) else value for key, value in (named | pairs).items()}
    return own | {key: value for key, value in more.items() if value is not None}


def summary(sums: Sequence[Accumulator]) -> str:
    """The widest sums in one line: what is guaranteed, and what was seen; nothing where no layer has weights."""
    if not sums:
        return ""
    widest = max(sums, key=lambda one: one.bits)
    said = f"sums need at most {widest.bits} bits, whatever the input ({_name(widest)})"
    seen = [one for one in sums if one.seen_bits is not None]
    if not seen:
        return said
    most = max(seen, key=lambda one: one.seen_bits or 0)
    wrapping = max(one.wrapping_bits or 0 for one in seen)
    return f"{said}; these inputs needed {most.seen_bits} ({_name(most)}), {wrapping} where sums wrap"


def engine_overflows(sums: Sequence[Accumulator], engine: str) -> list[str]:
    """Which layers' sums may leave what the engine sums in, of `accumulators(..., engine)`."""
    return [*_leaving(sums, {one.index: one.width for one in sums}, engine), *_saturating(sums, engine)]


def target_overflows(sums: Sequence[Accumulator], profile: Profile) -> list[str]:
    """Which layers' sums may leave the target's accumulator."""
    wide, narrow = profile.wide_accumulator_bits, profile.accumulator_bits
    widths = {one.index: wide if one.input_bits > EIGHT_BITS else narrow for one in sums}
    return list(_leaving(sums, widths, profile.name))


def _leaving(sums: Sequence[Accumulator], widths: Mapping[int, int | None], machine: str) -> Iterator[str]:
    for one in sums:
        width = widths[one.index]
        if width is None or one.bits <= width:
            continue
        seen = ""
        if one.seen_bits is not None and one.seen_bits > width:
            seen = f"; on these inputs they do: {one.seen_bits} bits"
        elif one.seen_bits is not None:
            seen = f"; on these inputs {one.seen_bits} were enough"
        yield f"{_name(one)}: its sums may need {one.bits} bits, {machine} accumulates in {width}{seen}"


def _saturating(sums: Sequence[Accumulator], machine: str) -> Iterator[str]:
    """One line for all layers: in a network of 8 bits most can."""
    named = [one for one in sums if one.pairs is not None and one.pairs.bits > PAIR_BITS]
    if not named:
        return
    said = f"{machine} adds pairs of products in {PAIR_BITS} bits and may saturate in {', '.join(map(_name, named))}"
    seen = [(one, one.pairs_seen) for one in named if one.pairs_seen is not None]
    if seen:
        did = ", ".join(_name(one) for one, pairs in seen if pairs.bits > PAIR_BITS)
        said += f"; on these inputs it did in {did or 'none'}"
    yield said


def _range_facts(found: Range) -> dict[str, int]:
    return {"low": found.low, "high": found.high, "bits": found.bits}


def _name(one: Accumulator) -> str:
    return f"{one.op} {one.index}"
