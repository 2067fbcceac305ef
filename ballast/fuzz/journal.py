"""The exact model, and what has been done to it since it was last marked: a call can be taken back.

The model's own calls copy its state before each of them, to leave no trace where they refuse. Here
one copy serves for many calls: a refusal is rare, and what was done since the copy is done again.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from ballast import model

Change = Callable[[model.Clearing], Any]
"""A call of the model, or anything else done to it."""


class Journal:
    """A model and its changes. Whoever replaces `model.state` marks it after that."""

    def __init__(self, exact: model.Clearing) -> None:
        self.model = exact
        self._changes: list[Change] = []
        self._saved = b""
        self.mark()

    def __len__(self) -> int:
        """Changes since the last mark."""
        return len(self._changes)

    def mark(self) -> None:
        """From here on changes are noted; nothing earlier is taken back."""
        self._saved = self._copy()
        self._changes.clear()

    def apply(self, change: Change) -> Any:
        """Change the model; what the change returns."""
        result = change(self.model)
        self._changes.append(change)
        return result

    def call(self, call: Change) -> None:
        """Make one of the model's calls. Raises `ModelError`, and has then done nothing."""
        try:
            self.apply(lambda exact: call(_unguarded(exact)))
        except model.ModelError:
            self.model.state = pickle.loads(self._saved)
            for change in self._changes:
                change(self.model)
            raise

    def refusal(self, call: Change) -> str | None:
        """Why the model would refuse a call, None if it would not. Nothing is done."""
        before = self._copy()
        try:
            call(_unguarded(self.model))
        except model.ModelError as refusal:
            return str(refusal)
        finally:
            self.model.state = pickle.loads(before)
        return None

    def _copy(self) -> bytes:
        return pickle.dumps(self.model.state, pickle.HIGHEST_PROTOCOL)


def _unguarded(exact: model.Clearing) -> model.Clearing:
    return _Unguarded(exact)  # type: ignore[return-value]


class _Unguarded:
    """The model's calls without `atomic`, and nothing else of it."""

    def __init__(self, exact: model.Clearing) -> None:
        self._exact = exact

    def __getattr__(self, name: str) -> Any:
        call = getattr(type(self._exact), name).__wrapped__
        exact = self._exact
        return lambda *args: call(exact, *args)
