"""Webhooks: forms, retries, what waits, what is given up; over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ballast.alerts import post as module
from ballast.alerts.memory import Memory
from ballast.alerts.post import ATTEMPTS, PER_MINUTE, Post, Webhook
from ballast.alerts.rules import Alert, Band, Condition
from ballast.errors import ConfigError
from tests.support.webhook import Receiver

ALERT = Alert("oracle_stale", "warning", "BTC: <stale> & @everyone", "oracle_stale/BTC", 7, 1_000)


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def post(receiver: Receiver, memory: Memory, time: Time, form: str = "json") -> Post:
    return Post([Webhook(receiver.url, form)], memory, time.clock, time.sleep)


def test_forms() -> None:
    url = "https://example.org/x"
    assert Webhook(url).body(ALERT)["kind"] == "oracle_stale"
    assert Webhook(url).body(ALERT)["details"] == {}
    slack = Webhook(url, "slack").body(ALERT)
    assert slack == {"text": "⚠️ BTC: &lt;stale&gt; &amp; @everyone (block 7)"}
    discord = Webhook(url, "discord").body(ALERT)
    assert discord == {
        "content": "⚠️ BTC: <stale> & @everyone (block 7)",
        "allowed_mentions": {"parse": []},
    }
    long = Alert("k", "info", "x" * 5_000, "k", transaction="0xcafe")
    assert len(Webhook(url, "discord").body(long)["content"]) == 2_000
    for bad in (("ftp://x", "json"), (url, "email")):
        with pytest.raises(ConfigError):
            Webhook(*bad)


def test_delivers_in_order(receiver: Receiver) -> None:
    memory, time = Memory(), Time()
    made = post(receiver, memory, time)
    made.add([Alert("a", "info", str(i), "a") for i in range(5)])
    made.flush()
    assert [body["text"] for body in receiver.bodies] == list("01234")
    assert memory.queue == []


def test_nothing_is_lost_while_a_webhook_is_down(receiver: Receiver, tmp_path: Path) -> None:
    path, time = tmp_path / "told.json", Time()
    memory = Memory.load(path)
    receiver.status = 503
    made = post(receiver, memory, time)
    made.add([ALERT, ALERT])
    memory.save()
    with capture_logs() as said:
        made.flush()
    # Tried a bounded number of times, and then said so.
    assert receiver.requests == ATTEMPTS == len(time.slept) + 1
    assert [entry["waiting"] for entry in said if entry["log_level"] == "error"] == [2]
    assert receiver.url not in path.read_text()
    # Another process, later.
    receiver.status = 200
    time.now += 3_600
    memory = Memory.load(path)
    made = post(receiver, memory, time)
    made.flush()
    assert [body["text"] for body in receiver.bodies] == [ALERT.text] * 2
    assert Memory.load(path).queue == []


def test_a_webhook_says_how_long_to_wait(receiver: Receiver) -> None:
    time = Time()
    receiver.status, receiver.retry_after = 429, "5"
    made = post(receiver, Memory(), time)
    made.add([ALERT])
    made.flush()
    assert all(5 <= seconds <= module.LONGEST_WAIT_SECONDS for seconds in time.slept)
    time.slept.clear()
    receiver.retry_after = "3600"
    made.flush()
    assert time.slept == [module.LONGEST_WAIT_SECONDS] * (ATTEMPTS - 1)


def test_gives_up_after_a_day_and_says_so(receiver: Receiver) -> None:
    memory, time = Memory(), Time()
    receiver.status = 404
    made = post(receiver, memory, time)
    made.add([ALERT])
    made.flush()
    time.now += module.GIVE_UP_SECONDS - 100
    made.add([ALERT])
    made.flush()
    assert len(memory.queue) == 2
    time.now += 200
    with capture_logs() as said:
        made.flush()
    assert len(memory.queue) == 1
    given_up = [entry for entry in said if entry["event"] == "alert given up"]
    assert [entry["alert"]["text"] for entry in given_up] == [ALERT.text]


def test_too_many_wait(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    memory, time = Memory(), Time()
    receiver.status = 500
    made = post(receiver, memory, time)
    made.add([Alert("a", "info", str(i), "a") for i in range(5)])
    made.flush()
    assert [item.alert.text for item in memory.queue] == ["2", "3", "4"]


def test_rate(receiver: Receiver) -> None:
    memory, time = Memory(), Time()
    made = post(receiver, memory, time)
    made.add([ALERT] * (PER_MINUTE + 5))
    made.flush()
    assert len(receiver.bodies) == PER_MINUTE
    assert len(memory.queue) == 5
    time.now += 60
    made.flush()
    assert memory.queue == []


def test_one_webhook_down_does_not_stop_the_other(receiver: Receiver) -> None:
    memory, time = Memory(), Time()
    down = Webhook("http://127.0.0.1:1/x")
    made = Post([down, Webhook(receiver.url)], memory, time.clock, time.sleep)
    made.add([ALERT])
    made.flush()
    assert len(receiver.bodies) == 1
    assert [item.hook for item in memory.queue] == [down.fingerprint]
    # A webhook that is not named any more gets nothing.
    other = post(receiver, memory, time)
    other.flush()
    assert memory.queue == []


def test_memory(tmp_path: Path) -> None:
    path = tmp_path / "a" / "told.json"
    memory = Memory.load(path)
    memory.block = 5
    memory.conditions = {"k": Condition(ALERT, 3)}
    memory.bands = {"b": Band(4, 9)}
    memory.save()
    assert Memory.load(path) == memory
    Memory().save()
    path.write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        Memory.load(path)
