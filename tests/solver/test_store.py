import json

import numpy as np
import pytest

from hwsim.solver import tabulate
from hwsim.solver.measures import Judge
from hwsim.solver.store import default_folder, sensitivity_store
from tests.solver.networks import residual, samples


@pytest.fixture
def graph():
    return residual()


def tabulated(graph, folder, x=None, **options):
    x = samples() if x is None else x
    return tabulate(graph, "cortex-m7", x, engine="dyadic", cache=folder, **options).table["degradation"].tolist()


def test_measured_once(graph, tmp_path, monkeypatch):
    first = tabulated(graph, tmp_path)
    (file,) = tmp_path.iterdir()
    assert len(json.loads(file.read_text())) == 7  # the whole, and three free layers at two widths
    monkeypatch.setattr(Judge, "degradation", lambda *_: pytest.fail("measured again"))
    assert tabulated(graph, tmp_path) == first


def test_more_choices_add_to_the_file(graph, tmp_path):
    tabulated(graph, tmp_path, choices=["w4a8"])
    (file,) = tmp_path.iterdir()
    before = json.loads(file.read_text())
    tabulated(graph, tmp_path)
    after = json.loads(file.read_text())
    assert len(before) == 4
    assert len(after) == 7
    assert before.items() <= after.items()


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"": "x"}', '{"": true}', '{"": NaN}', "[" * 100_000])
def test_a_broken_file_is_measured_again(graph, tmp_path, text):
    first = tabulated(graph, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    assert tabulated(graph, tmp_path) == first


def test_everything_that_matters_is_another_file(graph, tmp_path):
    judge = Judge.of(graph, samples(), engine="dyadic")
    changed = samples()
    changed[3, 2, 1, 0] += 1e-6
    paths = [
        sensitivity_store(graph, judge, "mse", tmp_path).path,
        sensitivity_store(graph, judge, "min_max", tmp_path).path,
        sensitivity_store(residual(seed=5), judge, "mse", tmp_path).path,
        sensitivity_store(graph, Judge.of(graph, changed, engine="dyadic"), "mse", tmp_path).path,
        sensitivity_store(graph, Judge.of(graph, samples(), engine="litert-reference"), "mse", tmp_path).path,
        sensitivity_store(graph, Judge.of(graph, samples(), measure="kl", engine="dyadic"), "mse", tmp_path).path,
        sensitivity_store(graph, Judge.of(graph, samples(), np.arange(24) % 5, engine="dyadic"), "mse", tmp_path).path,
    ]
    assert len(set(paths)) == len(paths)
    assert sensitivity_store(residual(), judge, "mse", tmp_path).path == paths[0]


def test_a_folder_that_cannot_be_written(graph, tmp_path):
    (tmp_path / "file").write_text("")
    assert len(tabulated(graph, tmp_path / "file" / "below")) > 0


def test_where_numbers_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "hwsim" / "sensitivities"
