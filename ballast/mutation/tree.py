"""Copies of the working tree in which the sources can be changed without anybody noticing.

A run takes one copy at its start, so that it is not disturbed by later edits, and from it one for
each fault. `ballast.build` finds sources and compiled contracts beside its own file, so whatever
runs in a copy uses the copy's. Unchanged contracts are not compiled again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ballast.errors import MutationError

COPIED = ("ballast", "contracts", "parameters", "scripts", "tests", "build/artifacts")
PREFIX = "ballast-tree-"


@contextmanager
def copy(source: Path) -> Iterator[Path]:
    """A copy of a tree in the system's folder for temporary files, removed at the end."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        target = Path(folder)
        for name in COPIED:
            shutil.copytree(source / name, target / name)
        shutil.copy2(source / "pyproject.toml", target)
        yield target


def apply_patch(tree: Path, patch: Path) -> None:
    """Apply a unified diff to a tree. Raises `MutationError` where it does not apply."""
    done = _git_apply(tree, patch)
    if done.returncode != 0:
        raise MutationError(f"{patch.name} does not apply: {done.stderr.strip()}")


def applies(tree: Path, patch: Path) -> bool:
    """Whether a patch would apply."""
    return _git_apply(tree, patch, "--check").returncode == 0


def remove_leftovers() -> None:
    """Remove the copies of runs that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdecimal() and not _is_running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _git_apply(tree: Path, patch: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # The ceiling keeps git from taking a repository around the folder for the patch's.
    return subprocess.run(
        ["git", "apply", *options, str(patch.resolve())],
        cwd=tree,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.resolve().parent)},
        capture_output=True,
        text=True,
    )


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
