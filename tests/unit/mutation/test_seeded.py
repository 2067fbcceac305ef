"""The patches of tests/seeded/ keep up with the sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ballast.build import ROOT
from ballast.mutation import tree
from ballast.mutation.seeded import FOLDER, read, seeded

PATCHES = sorted(FOLDER.glob("*.patch"))


def test_there_are_enough() -> None:
    assert len(seeded()) >= 25


@pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)
def test_it_applies_says_why_and_changes_one_contract(path: Path) -> None:
    assert tree.applies(ROOT, path), "make it anew: the source has changed"
    assert read(path).fault
    assert len(re.findall(r"^\+\+\+ b/contracts/\S+\.vy$", path.read_text(), re.MULTILINE)) == 1


def test_prose_without_an_invariant_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fault.patch"
    path.write_text("Why.\n\n--- a/x\n+++ b/x\n")
    with pytest.raises(ValueError, match="does not say which invariant"):
        read(path)
