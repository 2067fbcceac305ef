"""After an outage of feed or sequencer, liquidation waits a bounded time (peers 35)."""

from pathlib import Path

import pytest

from ballast.build import compile_file
from ballast.errors import Reverted

WAD = 10**18
STALE, GRACE = 1, 4


class TestFeed:
    def test_a_round_after_a_gap(self, s):
        s.chain.mine(3_600)
        assert s.status() == STALE
        time = s.round(3, 90 * 10**8, 0)
        assert s.observe() == (90 * WAD, time, GRACE)
        assert s.oracle.view.price(s.market) == (90 * WAD, time)
        assert s.oracle.view.grace_until(s.market) == time + 1_800
        s.chain.mine(1_799)
        assert s.status() == GRACE
        s.chain.mine(1)
        assert s.status() == 0

    def test_a_round_just_in_time(self, s):
        s.chain.mine(3_540)
        s.round(3, 90 * 10**8, 0)
        assert s.status() == 0
        assert s.oracle.view.grace_until(s.market) == 0

    def test_a_round_one_second_late(self, s):
        s.chain.mine(3_541)
        s.round(3, 90 * 10**8, 0)
        assert s.status() == GRACE

    def test_the_first_round_of_an_aggregator(self, make):
        s = make()
        s.round(1, 10**10, 0)
        assert s.status() == 0

    def test_what_a_feed_says_of_a_round_zero(self, make):
        """Rounds count from one: the one before belongs to another aggregator, if to any."""
        s = make()
        s.round(0, 10**10, 0)
        s.chain.mine(10_000)
        s.round(1, 10**10, 0)
        assert s.status() == 0

    def test_a_feed_that_answers_nothing_about_its_history(self, s):
        made = compile_file(Path(__file__).parent / "ShortFeed.vy")
        address, _ = s.chain.deploy(made.deploy_code(), sender=s.keeper)
        s.oracle.send.set_feed(2, address, 3_600, sender=s.owner)
        assert s.oracle.view.observe(2) == (100 * WAD, s.chain.timestamp, 0)

    def test_a_feed_without_history(self, s):
        s.chain.mine(4_000)
        s.round(3, 10**10, 0)
        s.feed.send.set_broken(False, True, sender=s.keeper)
        assert s.status() == 0
        assert s.oracle.view.price(s.market)[0] == 100 * WAD

    def test_a_feed_with_a_hole_in_its_history(self, s):
        s.chain.mine(4_000)
        s.round(4, 10**10, 0)
        assert s.status() == 0

    def test_a_history_from_the_future(self, s):
        far = 2**256 - 1
        s.feed.send.set_round(s.phase + 3, 10**10, far, far, s.phase + 3, sender=s.keeper)
        s.round(4, 10**10, 0)
        assert s.status() == 0

    def test_grace_of_zero(self, make):
        s = make(grace=0)
        s.round(1, 10**10, 0)
        s.chain.mine(10_000)
        s.round(2, 10**10, 0)
        assert s.status() == 0


class TestNoteOutage:
    @pytest.fixture
    def late(self, s):
        """Round 3 came after a gap, round 4 a minute later."""
        s.chain.mine(4_000)
        s.late_at = s.round(3, 10**10, 0)
        s.chain.mine(60)
        s.round(4, 10**10, 0)
        return s

    def note(self, s, number):
        return s.oracle.send.note_outage(s.market, s.phase + number, sender=s.keeper)

    def test_keeps_the_grace(self, late):
        assert late.status() == 0
        receipt = self.note(late, 3)
        assert late.oracle.event(receipt, "OutageNoted").args == {
            "market": late.market,
            "round_id": late.phase + 3,
            "grace_until": late.late_at + 1_800,
        }
        assert late.oracle.view.grace_until(late.market) == late.late_at + 1_800
        assert late.status() == GRACE
        late.chain.mine(1_739)
        assert late.status() == GRACE
        late.chain.mine(1)
        assert late.status() == 0

    def test_of_the_latest_round(self, s):
        s.chain.mine(4_000)
        s.round(3, 10**10, 0)
        self.note(s, 3)
        s.chain.mine(60)
        s.round(4, 10**10, 0)
        assert s.status() == GRACE

    def test_no_gap_no_note(self, late):
        for number in (4, 2, 1, 0, 5, 77):
            with pytest.raises(Reverted, match=r"^chainlink: no outage$"):
                self.note(late, number)

    def test_nothing_is_noted_twice(self, late):
        self.note(late, 3)
        with pytest.raises(Reverted, match=r"^chainlink: grace over$"):
            self.note(late, 3)

    def test_an_old_gap(self, late):
        late.chain.mine(1_740)
        with pytest.raises(Reverted, match=r"^chainlink: grace over$"):
            self.note(late, 3)

    def test_a_second_outage_extends(self, late):
        self.note(late, 3)
        late.chain.mine(3_601)
        time = late.round(5, 10**10, 0)
        assert late.status() == GRACE
        late.chain.mine(1)
        late.round(6, 10**10, 0)
        assert late.status() == 0
        self.note(late, 5)
        assert late.oracle.view.grace_until(late.market) == time + 1_800

    def test_an_unknown_market(self, late):
        with pytest.raises(Reverted, match=r"^chainlink: unknown market$"):
            late.oracle.send.note_outage(2, late.phase + 3, sender=late.keeper)

    def test_a_new_feed_keeps_the_note(self, late):
        self.note(late, 3)
        late.oracle.send.set_feed(late.market, late.feed.address, 7_200, sender=late.owner)
        assert late.status() == GRACE


class TestSequencer:
    def test_up(self, l2):
        assert l2.status() == 0
        assert l2.oracle.view.price(l2.market)[0] == 100 * WAD

    def test_down(self, l2):
        l2.set_sequencer(1, l2.chain.timestamp)
        assert l2.status() == STALE
        with pytest.raises(Reverted, match=r"^chainlink: sequencer down$"):
            l2.oracle.view.price(l2.market)

    def test_not_started(self, l2):
        l2.set_sequencer(0, 0)
        assert l2.status() == STALE

    def test_grace_after_a_restart(self, l2):
        l2.set_sequencer(0, l2.chain.timestamp)
        l2.round(3, 10**10, 0)
        assert l2.status() == GRACE
        assert l2.oracle.view.price(l2.market)[0] == 100 * WAD
        l2.chain.mine(1_799)
        assert l2.status() == GRACE
        l2.chain.mine(1)
        assert l2.status() == 0

    def test_a_price_from_before_the_restart(self, l2):
        """Within its heartbeat and yet from before the outage: nobody may trade at it."""
        l2.set_sequencer(0, l2.chain.timestamp)
        assert l2.status() == STALE | GRACE
        with pytest.raises(Reverted, match=r"^chainlink: from before the restart$"):
            l2.oracle.view.price(l2.market)
        l2.chain.mine(1_800)
        assert l2.status() == 0

    def test_a_restart_from_the_future(self, l2):
        l2.set_sequencer(0, 2**256 - 1)
        assert l2.status() & GRACE

    def test_its_feed_reverts(self, l2):
        l2.sequencer.send.set_broken(True, False, sender=l2.keeper)
        with pytest.raises(Reverted, match=r"^aggregator: broken$"):
            l2.observe()
