"""Fixtures that every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_models() -> Callable[[str], Path]:
    """The path of a published network by its name; skips where the networks are not at hand."""
    folder = Path(os.environ.get("HWSIM_SHARED", CHECKOUT.parent / "shared" / "models"))

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip("needs the networks in ../shared/models")
        return folder / name

    return find
