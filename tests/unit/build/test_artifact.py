"""Compiling: cached by what it was made of, and honest about what does not compile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ballast import build
from ballast.errors import AbiError, BuildError
from ballast.evm import Revm
from ballast.signing import key_from_label

CALLER = key_from_label("caller").address
MODULE = """# pragma version 0.4.3
@internal
@pure
def _seven() -> uint256:
    return 7
"""
SOURCE = """# pragma version 0.4.3
# pragma optimize codesize
from . import part

FIXED: immutable(uint256)


@deploy
def __init__(fixed: uint256):
    FIXED = fixed


@external
@view
def both() -> (uint256, uint256):
    return FIXED, part._seven()
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "part.vy").write_text(MODULE)
    path = tmp_path / "Whole.vy"
    path.write_text(SOURCE)
    return path


def test_artifact_says_what_it_is(source: Path) -> None:
    made = build.compile_file(source, None)
    assert (made.name, made.optimize, made.evm_version) == ("Whole", "codesize", "prague")
    assert sorted(Path(name).name for name in made.sources) == ["Whole.vy", "part.vy"]
    chain = Revm()
    address, _ = chain.deploy(made.deploy_code(5), sender=CALLER)
    code = chain.code(address)
    assert len(code) == made.runtime_size
    assert code == made.runtime + (5).to_bytes(32, "big")


def test_constructor_arguments_are_checked(source: Path) -> None:
    made = build.compile_file(source, None)
    with pytest.raises(AbiError):
        made.deploy_code()


def test_cache_is_used_until_a_module_changes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = build.compile_file(source, cache)
    monkeypatch.setattr(build, "_compile", lambda path: pytest.fail("compiled again"))
    assert build.compile_file(source, cache) == first
    monkeypatch.undo()
    (source.parent / "part.vy").write_text(MODULE.replace("7", "8"))
    assert build.compile_file(source, cache).runtime != first.runtime


def test_cache_of_another_compiler_is_not_used(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    build.compile_file(source, cache)
    monkeypatch.setattr(build, "vyper_version", lambda: "0.0.0")
    compiled: list[Path] = []

    def compile_again(path: Path) -> build.Artifact:
        compiled.append(path)
        raise BuildError("stop")

    monkeypatch.setattr(build, "_compile", compile_again)
    with pytest.raises(BuildError, match="stop"):
        build.compile_file(source, cache)
    assert compiled == [source]


@pytest.mark.parametrize("damage", ["{", "[]", '{"vyper": 1}'])
def test_damaged_cache_is_not_used(source: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    made = build.compile_file(source, cache)
    (stored,) = cache.iterdir()
    stored.write_text(damage)
    assert build.compile_file(source, cache) == made
    assert json.loads(stored.read_text())["name"] == "Whole"
    assert not [name for name in os.listdir(cache) if name.endswith(".tmp")]


def test_source_that_does_not_compile_is_named(source: Path) -> None:
    source.write_text(SOURCE.replace("part._seven()", "part._eight()"))
    with pytest.raises(BuildError, match=r"Whole\.vy"):
        build.compile_file(source, None)


def test_unknown_contract_is_refused() -> None:
    with pytest.raises(BuildError, match="no contract 'Missing'"):
        build.artifact("Missing")


def test_every_deployable_fits_on_chain() -> None:
    sizes = {name: build.artifact(name).runtime_size for name in build.deployables()}
    assert sizes
    assert {name: size for name, size in sizes.items() if size >= build.MAX_RUNTIME_BYTES} == {}
