"""The building: where things are, and what must not be where."""

import re
from pathlib import Path

import pytest

from hwsim.ops import operators

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hwsim"
SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", ["kernels", "cost_models", "reports"])
def test_top_level_links_lead_to_their_rooms(name):
    assert (ROOT / name).resolve() == PACKAGE / name


def test_an_operator_is_named_after_its_file():
    files = {file.stem for file in (PACKAGE / "ops").glob("*.py") if not file.stem.startswith("_")}
    assert files == {op.name for op in operators().values()}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(PACKAGE)))
def test_source_is_short_and_says_what_it_is(source):
    text = source.read_text()
    assert text.startswith(('"""', 'r"""'))
    assert len(text.splitlines()) <= 400


def test_only_the_decorator_compiles():
    users = [s for s in SOURCES if re.search(r"\bn?jit\(|@n?jit|fastmath", s.read_text())]
    assert users == [PACKAGE / "kernels" / "__init__.py"]


def test_kernels_import_only_kernels_and_errors():
    for source in (PACKAGE / "kernels").glob("*.py"):
        for module in re.findall(r"from hwsim\.(\w+)", source.read_text()):
            assert module in ("kernels", "errors"), f"{source.name} imports hwsim.{module}"
