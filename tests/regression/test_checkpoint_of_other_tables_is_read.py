"""A keeper's checkpoint is read again by code whose tables have changed.

`code_digest` is to be of the code a mirror's state depends on; the tables themselves, and `state`
and `restore`, stand in ballast/indexed.py, which it leaves out. A change of a row there alone (as
MarketRow has lost a field) would put old values in other fields' places, or end the keeper's start
with a TypeError that nothing catches.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast import indexed
from ballast.keeper.follower import code_digest


def test_other_tables_have_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes
    before = code_digest()

    def changed(path: Path) -> bytes:
        return read(path) + b"\n" if path == Path(str(indexed.__file__)) else read(path)

    monkeypatch.setattr(Path, "read_bytes", changed)
    assert code_digest() != before
