"""What every target says of its machine; each kind of machine adds a section of its own in a file of its own.

Numbers in a TOML file are tables `{ value = 120e6, source = "..." }`; `free = [low, high]` marks one that `hwsim fit`
may change within these limits. Once loaded, a number is a float, and its source is in the target's provenance.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _value_of(number: Any) -> Any:
    value = number.get("value") if isinstance(number, Mapping) else number
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError('expected a number with its source, { value = 1.5, source = "..." }')
    return value


Number = Annotated[float, BeforeValidator(_value_of)]
"""A number with a source."""

Positive = Annotated[float, BeforeValidator(_value_of), Field(gt=0)]
NotNegative = Annotated[float, BeforeValidator(_value_of), Field(ge=0)]
Count = Annotated[int, BeforeValidator(_value_of), Field(ge=1)]


class Section(BaseModel):
    """A table of a target's file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Memory(Section):
    """One memory.

    Parameters
    ----------
    size_bytes : what it holds
    bytes_per_cycle : sustained, at the target's clock; 0 where accesses are priced by wait states alone
    wait_states : cycles that an access waits beyond the first
    read_pj_per_byte, write_pj_per_byte : energy of an access
    """

    size_bytes: Positive
    bytes_per_cycle: NotNegative = 0.0
    wait_states: NotNegative = 0.0
    read_pj_per_byte: NotNegative = 0.0
    write_pj_per_byte: NotNegative = 0.0


class Energy(Section):
    """Energy beside that of memory accesses.

    Parameters
    ----------
    base_power_w : drawn by the board for as long as it runs: clock tree, regulator, leakage, idle memories
    mac_pj : of one multiply-accumulate of 8 by 8 bits; other widths scale with the product of the widths
    instruction_pj : of one instruction of a processor beside what its multiply costs
    """

    base_power_w: NotNegative = 0.0
    mac_pj: NotNegative = 0.0
    instruction_pj: NotNegative = 0.0


class Decoder(Section):
    """How a machine without a datapath for tables turns codes into what its multipliers take.

    Parameters
    ----------
    values_per_cycle : codes looked up in a cycle
    value_pj : energy of one
    entries : of the largest table it holds; layers with larger ones are stored as levels
    overlaps : whether it works while products are formed
    vectors : 1 where it looks up the vectors of product quantization too, in tables of any size
    """

    values_per_cycle: Positive
    value_pj: NotNegative = 0.0
    entries: Count = 256
    overlaps: bool = False
    vectors: Annotated[NotNegative, Field(le=1)] = 0.0


class Band(Section):
    """How far measurements of devices that were not fitted lay from the estimate.

    Parameters
    ----------
    low, high : measured over estimated; nine of ten held-out rows lie between
    median_error : of the held-out rows, as a share
    rows : how many they are
    """

    low: Positive
    high: Positive
    median_error: NotNegative
    rows: Count


class Bands(Section):
    """The bands of a target's figures; None where no device of its class was ever compared."""

    latency: Band | None = None
    energy: Band | None = None


class Runtime(Section):
    """A runtime library on this machine; kinds of machine add their constants."""

    summary: str = ""


class Profile(Section):
    """A target. `kind` says which cost model reads it.

    Parameters
    ----------
    name : as users call it, the file's name
    summary : one line
    engine : whose arithmetic `hwsim run --target` uses
    engine_assumed : whether `engine` is a guess: the maker keeps the arithmetic secret, or hwsim has no engine of it
    accumulator_bits, wide_accumulator_bits : of the sums of products with activations of up to 8 bits, and of 16; None
        where the maker does not say
    measured_class : the class of devices in docs/accuracy.md whose measurements judge this target; empty for none
    clock_hz : of the compute units
    process_nm : of the energy table
    memories : by name; 'sram' holds activations, 'flash' or 'dram' weights
    decoder : of codes behind tables; None where weights are stored as the levels they stand for
    whole_bytes : whether a narrower weight takes a byte all the same
    default_runtime : used where the user names none
    boards : named settings, each `{"clock_hz": 120e6, "memories.flash.wait_states": 5}`
    sources : what `source = "key"` in this file stands for
    """

    name: str
    summary: str
    kind: str
    engine: str
    engine_assumed: bool = False
    accumulator_bits: Count | None = None
    wide_accumulator_bits: Count | None = None
    measured_class: str = ""
    clock_hz: Positive
    process_nm: Number | None = None
    memories: Mapping[str, Memory]
    energy: Energy = Energy()
    decoder: Decoder | None = None
    whole_bytes: bool = False
    default_runtime: str = ""
    boards: Mapping[str, Mapping[str, Number]] = Field(default_factory=dict)
    bands: Bands = Bands()
    sources: Mapping[str, str] = Field(default_factory=dict)

    def keeps_table(self, entries: int) -> bool:
        """Whether weights stay codes behind a table of so many levels; otherwise they are stored as the levels."""
        return self.decoder is not None and entries <= self.decoder.entries

    @property
    def keeps_vectors(self) -> bool:
        """Whether codes of product quantization stay codes; otherwise weights are stored as the sums of vectors."""
        return self.decoder is not None and self.decoder.vectors > 0
