import re
from dataclasses import replace

import numpy as np
import pytest

from hwsim.cost_models import estimate
from hwsim.cost_models.fit import Problem, fit
from hwsim.cost_models.fitted_file import fitted_file
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.errors import InputError
from hwsim.targets import FOLDER, read, target
from tests.cost_models.test_estimate import HEADER

FREE = {
    'layer_cycles = { value = 0, source = "SCALE-Sim counts no start of a layer" }':
        'layer_cycles = { value = 500, source = "a guess", free = [1, 1e5] }  # a comment that stays',
    'bytes_per_cycle = { value = 16, source = "example" }':
        'bytes_per_cycle = { value = 16, source = "a guess", free = [0.1, 100] }',
}  # fmt: skip
TRUTH = {"array.layer_cycles": 3000.0, "memories.dram.bytes_per_cycle": 0.5}


@pytest.fixture
def machine(tmp_path):
    text = (FOLDER / "systolic.toml").read_text()
    for old, new in FREE.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "systolic.toml").write_text(text)
    return read(tmp_path / "systolic.toml")


@pytest.fixture
def measured(tmp_path, machine):
    """Rows that a machine with the constants TRUTH would give, on three devices."""
    lines = ["network,device,latency_ms"]
    for i, channels in enumerate((4, 16, 48, 96, 128, 256)):
        path = tmp_path / f"net{channels}.csv"
        path.write_text(f"{HEADER}\nc,Conv2D,8,8,{channels},8,8,{channels},3,3,1,1,,\n")
        seconds = estimate(path, machine.with_values(TRUTH)).latency_s
        lines.append(f"{path},board{i % 3},{seconds * 1e3!r}")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    return read_measurements(tmp_path / "m.csv")


def test_fit_finds_the_constants_of_a_known_machine(machine, measured):
    found = fit([machine], measured)
    assert dict(zip(found.constants["path"], found.constants["after"], strict=True)) == pytest.approx(TRUTH, rel=1e-4)
    assert found.rows["held_out_s"].to_numpy() == pytest.approx(found.rows["measured_s"].to_numpy(), rel=1e-3)


def test_held_out_rows_are_not_seen(machine, measured):
    """One device that lies: the fit without it predicts the truth for it, not the lie."""
    lying = [replace(m, latency_s=m.latency_s * 10) if m.device == "board1" else m for m in measured]
    rows = fit([machine], lying).rows
    liar = rows[rows["device"] == "board1"]
    assert (liar["held_out_s"] * 10).to_numpy() == pytest.approx(liar["measured_s"].to_numpy(), rel=1e-2)


def test_values_of_an_earlier_fit_are_not_known_to_the_next(machine, measured, tmp_path):
    """A file whose values were fitted to rows that are held out now gives the same estimates as any other."""
    (tmp_path / "other").mkdir()
    text = machine.path.read_text()
    for old, new in (
        ("value = 500,", "value = 90000,"),
        ('value = 16, source = "a guess"', 'value = 90, source = "a guess"'),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "other" / "systolic.toml").write_text(text)
    one, other = (fit([m], measured) for m in (machine, read(tmp_path / "other" / "systolic.toml")))
    assert one.constants["before"].tolist() != other.constants["before"].tolist()
    assert one.constants["after"].tolist() == other.constants["after"].tolist()
    assert one.rows["held_out_s"].tolist() == other.rows["held_out_s"].tolist()


def test_fitted_file_keeps_comments_and_says_where_numbers_are_from(machine, measured, tmp_path):
    text = fitted_file(fit([machine], measured), machine, "m.csv")
    assert "# a comment that stays" in text
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "systolic.toml").write_text(text)
    again = read(tmp_path / "again" / "systolic.toml")
    number = again.provenance["array.layer_cycles"]
    assert (number.value, number.free) == (pytest.approx(3000, rel=1e-4), (1, 1e5))
    assert number.source == "fitted to m.csv (6 rows of this target) by hwsim fit"
    assert again.profile.bands.latency.rows == 6


def test_limits_hold(machine, measured):
    rows = [replace(m, latency_s=m.latency_s * 1e-4) for m in measured]
    found = fit([machine], rows, hold_out="none").constants
    assert (found["after"] >= found["low"]).all()
    assert (found["after"] <= found["high"]).all()


def test_nothing_free_says_what_to_do(measured):
    with pytest.raises(InputError, match=r"^no number is free; give one limits: \{ value = 2"):
        fit([read(FOLDER / "systolic.toml")], measured)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network,latency_ms\nn,1", "m.csv: column 'device' is missing; expected target, network"),
        ("network,device,latency_ms\n", "m.csv: has no rows"),
        ("network,device,latency_ms\nn,d,-1", "m.csv line 2: latency_ms is '-1'; expected a number above 0"),
        ("network,device,latency_ms\nn,d,nan", "m.csv line 2: latency_ms is 'nan'; expected a number above 0"),
        ("network,device,latency_ms,settings\nn,d,1,clock_hz", "m.csv line 2: setting 'clock_hz' has no value"),
    ],
)
def test_bad_measurements_name_line_and_value(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match="^" + re.escape(message)):
        read_measurements(tmp_path / "m.csv")


def test_what_only_held_out_rows_could_tell_is_not_held_out(tmp_path, measured):
    """A runtime seen on one device only has no held-out estimate; a board's own constant falls back to the target's."""
    m4 = target("cortex-m4")
    names = {"board0": "hale", "board1": "hale", "board2": "onnc"}
    rows = [replace(m, target="cortex-m4@psoc62", runtime=names[m.device]) for m in measured]
    held = fit([m4], rows).rows.set_index("device")["held_out_s"]
    assert held["board2"].isna().all()
    assert held["board0"].notna().all()
    on = {"board0": "cortex-m4", "board1": "cortex-m4@psoc62", "board2": "cortex-m4"}
    alone = [replace(m, target=on[m.device], runtime="hale") for m in measured]
    problem = Problem([m4], alone, shipped_network)
    aside = np.array([m.device == "board1" for m in alone])
    place = [c.path for c in problem.constants].index("boards.psoc62.core.fetch_misses")
    point = problem.neutral
    point[place] = 0.2
    assert problem.forget(point, aside)[place] == 0.0
    assert problem.forget(point, ~aside)[place] == 0.2
