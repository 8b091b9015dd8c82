"""Where compiled kernels lie, and processes that share the place."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import pytest

from hwsim import kernels
from hwsim.kernels import vector_instructions
from tests.conftest import CHECKOUT

compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")
owned = pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")

CHILD = """
import sys
import numpy as np
from hwsim.kernels import on_compilation
from hwsim.kernels.conv2d import Window, gather_patches

said = []
on_compilation(lambda: said.append("compiling"))
image, patches = np.full((1, 1, 1), 200, np.uint8).view(sys.argv[1]), np.zeros((1, 1), np.int16)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(2):
    gather_patches(image, 0, 0, Window(1, 1, 1, 1, 1, 1, 0, 0), 0, patches)
print(patches[0, 0], *said)
"""
"""Runs one kernel on the byte 200 once it hears a line; says what it makes of it, and whether it compiled."""


@pytest.fixture
def places(monkeypatch, tmp_path) -> tuple[Path, Path]:
    """The home of caches, and the folder for temporary files."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return home, temporary


def folder() -> Path:
    """What a fresh process would choose."""
    return kernels.cache_folder.__wrapped__()


def shared(temporary: Path) -> Path:
    """The folder of this user among the temporary ones."""
    return temporary / f"hwsim-{os.getuid()}"


def test_cache_lies_in_the_users_cache(places):
    home, _ = places
    assert folder().parent == home / "hwsim"
    assert folder() == folder()
    assert folder().stat().st_mode & 0o777 == 0o700


def aged(parent: Path, ages: list[float]) -> list[Path]:
    """Folders of kernels last used so many seconds ago."""
    folders = []
    for number, age in enumerate(ages):
        other = parent / f"kernels-{number:016x}"
        other.mkdir(mode=0o700)
        (other / "kernel.nbc").write_bytes(b"code")
        os.utime(other, (time.time() - age,) * 2)
        folders.append(other)
    return folders


def test_cache_keeps_what_was_used_last(places):
    mine = folder()
    days = 24 * 3600.0
    kept, also, third, young, old, oldest = aged(
        mine.parent, [9 * days, 10 * days, 11 * days, 60, 20 * days, 30 * days]
    )
    assert folder() == mine
    assert [p.exists() for p in (mine, kept, also, young, third, old, oldest)] == [True] * 4 + [False] * 3


def test_cache_keeps_young_folders_however_many(places):
    mine = folder()
    others = aged(mine.parent, [60.0 * i for i in range(9)])
    folder()
    assert all(other.exists() for other in others)


def test_cache_use_makes_a_folder_young(places, monkeypatch):
    mine = folder()
    os.utime(mine, (1.0, 1.0))
    folder()
    assert time.time() - mine.stat().st_mtime < 3600


def test_cache_survives_a_folder_that_vanishes(places, monkeypatch):
    mine = folder()
    aged(mine.parent, [1e8 + i for i in range(6)])

    def gone(path, **_):
        raise FileNotFoundError(path)

    monkeypatch.setattr(kernels, "rmtree", gone)
    assert folder() == mine


def test_cache_lies_under_home_where_no_other_place_is_set(places, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert folder().parent == tmp_path / ".cache" / "hwsim"


def test_cache_changes_with_any_kernels_source(places, monkeypatch, tmp_path):
    copy = tmp_path / "kernels"
    copy.mkdir()
    for source in Path(kernels.__file__).parent.glob("*.py"):
        (copy / source.name).write_bytes(source.read_bytes())
    original = folder()
    monkeypatch.setattr(kernels, "__file__", str(copy / "__init__.py"))
    assert folder() == original
    (copy / "integers.py").write_text((copy / "integers.py").read_text() + "\n")
    changed = folder()
    assert changed != original
    (copy / "another.py").write_text("")
    (copy / "notes.txt").write_text("no kernel")
    assert folder() == changed


def test_cache_changes_with_the_instructions(places, monkeypatch):
    found = set()
    for host in ((0, False), (8, False), (16, False), (16, True)):
        monkeypatch.setattr(vector_instructions, "host", lambda host=host: host)
        found.add(folder())
    assert len(found) == 4


@owned
@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_cache_refuses_a_folder_that_others_may_write(places, mode):
    home, temporary = places
    (home / "hwsim").mkdir()
    (home / "hwsim").chmod(mode)
    assert folder().parent == shared(temporary)


@owned
def test_cache_refuses_a_folder_within_that_others_may_write(places):
    _, temporary = places
    folder().chmod(0o777)
    assert folder().parent == shared(temporary)


@owned
def test_cache_refuses_what_belongs_to_another_user(places, monkeypatch):
    home, temporary = places
    folder()
    (temporary / "hwsim-4242").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    chosen = folder()
    assert chosen.parent == temporary
    assert chosen.name not in ("hwsim-4242", home.name)


@owned
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o000, 0o077])
def test_cache_is_the_same_under_every_umask(places, mask):
    home, _ = places
    before = os.umask(mask)
    try:
        assert folder().parent == home / "hwsim"
    finally:
        os.umask(before)


@owned
def test_cache_falls_back_where_home_is_read_only(places, monkeypatch):
    home, temporary = places
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: home not in Path(path).parents and allowed(path, mode))
    assert folder().parent == shared(temporary)
    assert folder() == folder()


@owned
def test_cache_falls_back_where_home_is_a_file(places, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert folder().parent == shared(places[1])


@owned
def test_cache_is_new_and_private_where_no_place_will_do(places, monkeypatch):
    home, temporary = places
    for parent in (home / "hwsim", shared(temporary)):
        parent.mkdir()
        parent.chmod(0o777)
    first, second = folder(), folder()
    assert first != second
    assert first.parent == second.parent == temporary
    assert first.stat().st_mode & 0o777 == 0o700


def start(cache: Path, dtype: str = "uint8") -> subprocess.Popen[str]:
    """The child, waiting."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(CHECKOUT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", CHILD, dtype], cwd=CHECKOUT, env=environment, text=True, **pipes)


def finish(*children: subprocess.Popen[str]) -> list[str]:
    """What they print when let go together."""
    for child in children:
        assert child.stdout.readline() == "ready\n", child.communicate()[1][-2000:]
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    printed = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * len(children), [err[-2000:] for _, err in printed]
    return [out.strip() for out, _ in printed]


@compiled
def test_two_processes_fill_an_empty_cache_at_once(tmp_path):
    """Each says once that it compiles; a third finds what it needs."""
    assert finish(start(tmp_path), start(tmp_path)) in (["200 compiling"] * 2, ["200 compiling", "200"])
    assert finish(start(tmp_path)) == ["200"]


@compiled
def test_processes_that_compile_for_other_types_at_once_do_not_mix_them_up(tmp_path):
    """Numba writes a kernel's index, then its code: whose index comes last may find the other's code in its place."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert finish(start(first, "int8"), start(second, "uint8")) == ["-56 compiling", "200 compiling"]
    for code in first.rglob("*.nbc"):
        shutil.copy(code, second / code.relative_to(first))
    assert finish(start(second, "uint8"))[0].split()[0] == "200"
