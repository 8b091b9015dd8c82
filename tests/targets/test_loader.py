import re
from pathlib import Path

import pytest

from hwsim.engines import engines
from hwsim.errors import InputError
from hwsim.targets import FOLDER, names, read, target, targets

SYSTOLIC = (FOLDER / "systolic.toml").read_text()
UNSOURCED = 'clock_hz = { value = 1e9, source = "example" }'


@pytest.fixture
def changed(tmp_path):
    """Reads the systolic target with one text in its file replaced by another."""

    def load(old: str, new: str):
        assert old in SYSTOLIC
        path = tmp_path / "systolic.toml"
        path.write_text(SYSTOLIC.replace(old, new, 1))
        return read(path)

    return load


@pytest.mark.parametrize("name", names())
def test_every_target_loads_and_sources_every_number(name):
    found = targets()[name]
    assert found.name == name
    assert all(number.source.strip() for number in found.provenance.values())


@pytest.mark.parametrize("name", names())
def test_every_board_of_every_target_loads(name):
    for board, settings in targets()[name].profile.boards.items():
        there = target(f"{name}@{board}")
        for path, value in settings.items():
            assert there.provenance[path].value == value


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (UNSOURCED, "clock_hz = 1e9", "clock_hz is 1000000000.0 without a source; write clock_hz = "),
        (UNSOURCED, "clock_hz = { value = 1e9 }", "clock_hz has no source; add source = "),
        ("clock_hz =", "clok_hz =", "top level: unknown key 'clok_hz'; did you mean 'clock_hz'?"),
        ("rows =", "row =", "array: unknown key 'row'; did you mean 'rows'?"),
        ('"ws"', '"wx"', "array.dataflow is 'wx'; Input should be 'os', 'ws' or 'is'"),
        ("rows = { value = 32", "rows = { value = -3", "array.rows is -3; Input should be greater than or equal to 1"),
        ("rows = { value = 32", "rows = { value = nan", "array.rows is nan; expected a number with its source"),
        ('kind = "systolic"', 'kind = "sistolic"', "unknown kind 'sistolic'; did you mean 'systolic'?"),
        ('name = "systolic"', 'name = "other"', "name is 'other'; expected the file's own, 'systolic'"),
        ('source = "horowitz"', 'sauce = "x"', "process_nm: unknown key 'sauce'; did you mean 'source'?"),
        ("[array]", "[array", "is not TOML"),
        ("[energy]", '[boards.b]\nclock = { value = 1, source = "s" }\n[energy]', "boards.b: unknown number 'clock'"),
    ],
)
def test_a_bad_target_names_key_value_and_remedy(changed, old, new, message):
    with pytest.raises(InputError, match="^" + re.escape(f"systolic.toml: {message}")):
        changed(old, new)


def test_free_limits_must_hold_the_value(changed):
    with pytest.raises(InputError, match=r"clock_hz: free is \[1, 2\]; expected \[low, high\] around the value 1"):
        changed(UNSOURCED, 'clock_hz = { value = 1e9, source = "s", free = [1, 2] }')


def test_a_number_is_set_by_its_path_and_says_so():
    found = target("systolic").with_values({"memories.sram.bytes_per_cycle": 128})
    assert found.profile.memories["sram"].bytes_per_cycle == 128
    assert found.provenance["memories.sram.bytes_per_cycle"].source == "set by the user"
    assert target("systolic").profile.memories["sram"].bytes_per_cycle == 64


def test_an_unknown_number_names_the_nearest():
    with pytest.raises(InputError, match=r"^systolic.toml: unknown number 'clok_hz'; did you mean 'clock_hz'\?$"):
        target("systolic").with_values({"clok_hz": 1})


def test_an_unknown_target_names_the_nearest():
    with pytest.raises(InputError, match=r"^unknown target 'sistolic'; did you mean 'systolic'\?; or give the path"):
        target("sistolic")


def test_an_unknown_board_says_so():
    with pytest.raises(InputError, match=r"^systolic.toml: unknown board 'x'"):
        target("systolic@x")


def test_a_missing_file_says_so():
    with pytest.raises(InputError, match=r"^nowhere.toml: cannot be read"):
        target(Path("nowhere.toml"))


@pytest.mark.parametrize("name", names())
def test_every_target_names_an_engine_that_hwsim_has(name):
    assert targets()[name].profile.engine in engines()
