"""Turns: who goes first among keepers that know each other only from the chain."""

from __future__ import annotations

from hashlib import sha256

from ballast.keeper.turns import FORGET_BLOCKS, LAST, NAMES, PATIENCE, SETBACK, Turns
from ballast.signing import key_from_label

KEEPERS = [key_from_label(f"keeper {number}").address for number in range(5)]
ACCOUNTS = [bytes([number]) * 32 for number in range(200)]


def name(block: int) -> str:
    """A block's hash."""
    return "0x" + sha256(block.to_bytes(8, "big")).hexdigest()


def begun(address: str, seen: list[str], block: int = 1, sent: int = 0, vain: int = 0) -> Turns:
    turns = Turns(address)
    turns.saw(seen, block - 1)
    turns.begin(block, name(block), sent, vain)
    return turns


def test_of_those_seen_exactly_one_is_first_for_an_account() -> None:
    for count in (2, 5):
        known = KEEPERS[:count]
        orders = [begun(address, known) for address in known]
        firsts = [0] * count
        for account in ACCOUNTS:
            waits = [turns.wait(account) for turns in orders]
            # An account in eight is left for newcomers to begin at: all wait a turn more.
            first = min(waits)
            assert first in (0, 1)
            assert sorted(waits)[: LAST + 1] == [first + k for k in range(min(count, LAST + 1))]
            firsts[waits.index(first)] += 1
        assert min(firsts) > len(ACCOUNTS) // count // 2


def test_the_order_is_drawn_anew_at_every_block() -> None:
    turns = begun(KEEPERS[0], KEEPERS[:2])
    before = [turns.wait(account) for account in ACCOUNTS]
    turns.begin(2, name(2), 0, 0)
    assert [turns.wait(account) for account in ACCOUNTS] != before


def test_who_is_alone_waits_for_nobody() -> None:
    turns = begun(KEEPERS[0], KEEPERS[:1])
    assert {turns.wait(account) for account in ACCOUNTS} == {0}


def test_while_nobody_was_seen_each_waits_for_a_time_of_its_own() -> None:
    waits = [{begun(address, []).wait(account) for account in ACCOUNTS} for address in KEEPERS]
    assert all(len(own) == 1 for own in waits)
    drawn = [wait for own in waits for wait in own]
    assert len(set(drawn)) == len(KEEPERS)
    assert all(0 <= wait < LAST for wait in drawn)


def test_a_newcomer_goes_after_the_known_except_where_they_leave_it_room() -> None:
    known, newcomer = KEEPERS[:2], KEEPERS[2]
    orders, new = [begun(address, known) for address in known], begun(newcomer, known)
    leads = 0
    for account in ACCOUNTS:
        waits = [turns.wait(account) for turns in orders]
        if min(waits) == 1:
            assert 0 <= new.wait(account) < 1
            leads += 1
        else:
            assert new.wait(account) > max(waits)
    assert 0 < leads < len(ACCOUNTS) // 4
    # What it does is seen, and from the next block on it has a place like the others.
    for turns in (*orders, new):
        turns.saw([newcomer], 1)
        turns.begin(2, name(2), 0, 0)
    assert 0 in {new.wait(account) for account in ACCOUNTS}


def test_a_place_is_lost_after_some_time() -> None:
    turns = begun(KEEPERS[0], KEEPERS[:2])
    turns.saw([KEEPERS[0]], FORGET_BLOCKS)
    turns.begin(FORGET_BLOCKS + 1, name(2), 0, 0)
    assert {turns.wait(account) for account in ACCOUNTS} == {0}


def test_many_names_hold_nobody_up() -> None:
    crowd = [f"0x{number:040x}" for number in range(10 * NAMES)]
    turns = begun(KEEPERS[0], crowd)
    turns.saw([KEEPERS[0]], 1)
    turns.begin(2, name(2), 0, 0)
    waits = [turns.wait(account) for account in ACCOUNTS]
    assert max(waits) <= LAST + 1
    assert min(waits) == 0


def test_who_came_to_nothing_too_often_lets_others_go_first() -> None:
    known = KEEPERS[:2]
    usual, often = begun(KEEPERS[0], known, sent=10, vain=2), begun(KEEPERS[0], known, 1, 10, 3)
    for account in ACCOUNTS:
        assert often.wait(account) == usual.wait(account) + SETBACK


def test_nobody_holds_an_account_back_for_ever() -> None:
    (account,) = ACCOUNTS[:1]
    crowd = [f"0x{number:040x}" for number in range(10 * NAMES)]
    turns = begun(KEEPERS[0], crowd)
    for block in range(2, PATIENCE + LAST + 2):
        turns.leave([account])
        turns.begin(block, name(block), 0, 0)
    assert turns.is_overdue(account)
    assert turns.wait(account) == 0
    turns.leave([])
    assert not turns.is_overdue(account)


def test_what_is_being_done_is_waited_for_longer_but_not_for_ever() -> None:
    (account,) = ACCOUNTS[:1]
    turns = begun(KEEPERS[0], KEEPERS[:1])
    blocks = 0
    while not turns.is_overdue(account):
        turns.moved([account])
        turns.leave([account])
        blocks += 1
    assert PATIENCE < blocks <= 4 * PATIENCE
