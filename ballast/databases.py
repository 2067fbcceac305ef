"""Databases by SQLAlchemy, SQLite or Postgres: opened, tuned and failing in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import Engine, String, TypeDecorator, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from ballast.errors import BallastError


class StoreError(BallastError):
    """The database cannot be used, or is another's."""


class Amount(TypeDecorator[int]):
    """An integer of any size, as decimal digits."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> int | None:
        return None if value is None else int(value)


def open_engine(url: str, synchronous: Literal["NORMAL", "FULL"], **options: Any) -> Engine:
    """A database by its SQLAlchemy address (`sqlite:///keeper.db`, `postgresql://...`), with
    options of `create_engine`. `synchronous` is for SQLite alone: with FULL what is committed
    outlives the machine, with NORMAL the process. Raises `StoreError`."""
    try:
        engine = create_engine(url, **options)
    except (SQLAlchemyError, ImportError, TypeError) as error:
        raise StoreError(f"no database can be opened by this address: {error}") from error

    def tune(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")

    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", tune)
    return engine


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """One database transaction. Raises `StoreError`."""
    with _store_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """A connection that nothing is written through. Raises `StoreError`."""
    with _store_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"the database fails: {error}") from error
