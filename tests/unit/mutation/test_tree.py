"""Copies of the tree, and what becomes of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ballast.errors import MutationError
from ballast.mutation import tree

PATCH = """Why.

--- a/contracts/Vault.vy
+++ b/contracts/Vault.vy
@@ -1,2 +1,2 @@
 one
-two
+three
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in tree.COPIED:
        (tmp_path / "source" / name).mkdir(parents=True)
    (tmp_path / "source" / "pyproject.toml").write_text("")
    (tmp_path / "source" / "contracts" / "Vault.vy").write_text("one\ntwo\n")
    return tmp_path / "source"


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    (tmp_path / "fault.patch").write_text(PATCH)
    return tmp_path / "fault.patch"


def test_a_copy_is_changed_and_the_source_is_not(source: Path, patch: Path) -> None:
    with tree.copy(source) as copied:
        tree.apply_patch(copied, patch)
        assert (copied / "contracts" / "Vault.vy").read_text() == "one\nthree\n"
    assert (source / "contracts" / "Vault.vy").read_text() == "one\ntwo\n"
    assert not copied.exists()


def test_a_patch_of_other_sources_is_refused(source: Path, patch: Path) -> None:
    (source / "contracts" / "Vault.vy").write_text("two\none\n")
    with pytest.raises(MutationError, match=r"fault\.patch does not apply"):
        tree.apply_patch(source, patch)


def test_a_copy_inside_a_repository_is_patched_all_the_same(source: Path, patch: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(source.parent)], check=True)
    tree.apply_patch(source, patch)
    assert (source / "contracts" / "Vault.vy").read_text() == "one\nthree\n"


def test_leftovers_of_dead_runs_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = (tmp_path / f"{tree.PREFIX}{pid}-x" for pid in (ended.pid, 1))
    for folder in (dead, alive):
        folder.mkdir()
    tree.remove_leftovers()
    assert not dead.exists()
    assert alive.exists()
