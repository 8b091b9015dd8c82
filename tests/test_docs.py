"""The Python examples of README and guides run as they stand."""

import re
from pathlib import Path

import pytest

import hwsim
from hwsim.cost_models.fit import fit
from hwsim.cost_models.measurements import read_measurements
from hwsim.targets import read
from tests.random_graphs import MAKERS, dtypes

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [(page, code) for page in PAGES for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]


@pytest.mark.parametrize(("page", "code"), EXAMPLES, ids=[f"{page.name}-{i}" for i, (page, _) in enumerate(EXAMPLES)])
def test_example_runs(page, code):
    if "import torch" in code:
        pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
    exec(compile(code, str(page), "exec"), {})


def test_conformance_covers_every_operator_and_nothing_differs():
    page = (ROOT / "docs" / "conformance.md").read_text()
    nobody = re.search(r"^No engine runs: (.*)\.$", page, re.MULTILINE)[1].split(", ")
    for op in MAKERS:
        for dtype in dtypes(op):
            assert f"| {op} | {dtype} |" in page or f"{op} {dtype}" in nobody
    cells = re.findall(r"\| (\d+) of [\d,]+ ", page)
    assert len(cells) > 1000 and set(cells) == {"0"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_guide_s_target_is_costed_and_fitted(tmp_path):
    guide = (ROOT / "docs" / "add-a-target.md").read_text()
    assert len(guide.splitlines()) <= 40
    (tmp_path / "my-array.toml").write_text(re.search(r"```toml\n(.*?)```", guide, re.DOTALL)[1])
    (tmp_path / "boards.csv").write_text(re.search(r"```text\n(.*?)```", guide, re.DOTALL)[1])
    target = read(tmp_path / "my-array.toml")
    rows = read_measurements(tmp_path / "boards.csv")
    found = fit([target], rows)
    estimate = hwsim.estimate(hwsim.targets.NETWORKS / f"{rows[0].network}.csv", found.targets["my-array"])
    assert estimate.energy_j == pytest.approx(estimate.latency_s * 0.15)
