"""The table of sent transactions in Postgres: large amounts, nonces once, through a restart."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, make_transient

from tests.integration.test_keeper_postgres import postgres  # noqa: F401, a fixture
from tests.support.job import Site

pytestmark = pytest.mark.node


def test_postgres(postgres: str, anvil_url: str) -> None:  # noqa: F811, the fixture
    site = Site(anvil_url, postgres)
    first = site.do(site.action(1))
    assert site.do(site.action(2)).nonce == 1
    site.pass_by(3)
    assert site.what() == ["sent", "sent", "bumped", "bumped"]
    site.sender = site.start()
    site.mine()
    assert site.outcomes() == [(0, "mined", "done"), (1, "mined", "done")]
    row = site.sender.history.rows()[0]
    assert row.max_fee > first.max_fee > 10**9
    # A second row with a nonce that is held cannot be.
    make_transient(row)
    row.id = None
    with Session(site.store) as session:
        session.add(row)
        with pytest.raises(IntegrityError, match="one_nonce_once"):
            session.commit()
