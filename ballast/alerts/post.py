"""Alerts to webhooks: forms, retries, rate; nothing is lost because a webhook is down.

An alert is delivered in order, or waits in the queue and is tried again at the next round; after
`GIVE_UP_SECONDS`, or where `MOST_WAITING` wait, the oldest is given up, which is logged as an error
with its whole text.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from ballast.alerts.memory import Memory, Queued
from ballast.alerts.rules import CRITICAL, INFO, WARNING, Alert
from ballast.errors import BallastError, ConfigError
from ballast.web import http_url

FORMS = ("json", "slack", "discord")
ATTEMPTS = 3
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0
TIMEOUT_SECONDS = 10
A_MINUTE = 60.0
PER_MINUTE = 30
GIVE_UP_SECONDS = 86_400
MOST_WAITING = 1_000
DISCORD_LENGTH = 2_000
SLACK_LENGTH = 4_000
_SIGNS = {INFO: "ℹ️", WARNING: "⚠️", CRITICAL: "🚨"}
_LOG = structlog.get_logger("webhook")


class PostError(BallastError):
    """A webhook did not take an alert; `wait_seconds` is how long it asked to be left alone."""

    def __init__(self, text: str, wait_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds


class Held(BallastError):
    """The rate is used up: alerts wait for the next round."""


@dataclass(frozen=True)
class Webhook:
    """Where alerts go, and in which form: `json`, `slack` or `discord`."""

    url: str
    form: str = "json"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ConfigError(f"form {self.form!r} is none of {', '.join(FORMS)}")
        http_url(self.url, "webhook")

    @property
    def name(self) -> str:
        """The host: the rest of the address is a secret."""
        return httpx.URL(self.url).host

    @property
    def fingerprint(self) -> str:
        """Tells webhooks apart in files, without their secret."""
        return hashlib.sha256(f"{self.form} {self.url}".encode()).hexdigest()[:16]

    def body(self, alert: Alert) -> dict[str, Any]:
        """An alert in this webhook's form."""
        if self.form == "slack":
            escaped = alert.text
            for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
                escaped = escaped.replace(sign, name)
            return {"text": _cut(_line(alert, escaped), SLACK_LENGTH)}
        if self.form == "discord":
            # No text of ours may call on everybody.
            line = _cut(_line(alert, alert.text), DISCORD_LENGTH)
            return {"content": line, "allowed_mentions": {"parse": []}}
        return alert.as_json()


def _line(alert: Alert, text: str) -> str:
    where = f" ({alert.transaction})" if alert.transaction else f" (block {alert.block})"
    return f"{_SIGNS[alert.severity]} {text}{where}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


class Post:
    """Delivers what is in a memory's queue to some webhooks."""

    def __init__(
        self,
        hooks: Sequence[Webhook],
        memory: Memory,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hooks, self._memory = list(hooks), memory
        self._clock, self._sleep = clock, sleep
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._sent: dict[str, deque[float]] = {hook.fingerprint: deque() for hook in hooks}
        self.metrics = CollectorRegistry()
        self._delivered = self._counter("delivered", "Alerts delivered", "hook")
        self._failed = self._counter("failed_attempts", "Attempts that failed", "hook")
        self._given_up = self._counter("given_up", "Alerts given up", "hook")
        self._waiting = Gauge(
            "ballast_alerts_waiting", "Alerts not delivered yet", registry=self.metrics
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"ballast_alerts_{name}", text, labels, registry=self.metrics)

    def add(self, alerts: Sequence[Alert]) -> None:
        """Queue alerts for every webhook."""
        now = self._clock()
        for alert in alerts:
            for hook in self._hooks:
                self._memory.queue.append(Queued(hook.fingerprint, alert, now))

    def flush(self) -> None:
        """Deliver what can be delivered; the rest waits for the next call."""
        known = {hook.fingerprint for hook in self._hooks}
        for item in [item for item in self._memory.queue if item.hook not in known]:
            self._drop(item, "its webhook is not named any more")
        for hook in self._hooks:
            own = [item for item in self._memory.queue if item.hook == hook.fingerprint]
            for item in own[: max(0, len(own) - MOST_WAITING)]:
                self._drop(item, "too many wait")
            self._flush(hook, own[max(0, len(own) - MOST_WAITING) :])
        self._waiting.set(len(self._memory.queue))

    def _flush(self, hook: Webhook, items: Sequence[Queued]) -> None:
        for number, item in enumerate(items):
            try:
                self._deliver(hook, item.alert)
            except Held:
                return
            except PostError as error:
                _LOG.error(
                    "webhook does not answer: alerts wait, and are tried again",
                    hook=hook.name,
                    error=str(error),
                    waiting=len(items) - number,
                )
                for old in items[number:]:
                    if self._clock() - old.since > GIVE_UP_SECONDS:
                        self._drop(old, "it waited for too long")
                return
            self._memory.queue.remove(item)
            self._memory.save()
            self._delivered.labels(hook.name).inc()

    def _drop(self, item: Queued, why: str) -> None:
        self._memory.queue.remove(item)
        self._memory.save()
        self._given_up.labels(item.hook).inc()
        _LOG.error("alert given up", why=why, hook=item.hook, alert=item.alert.as_json())

    def _deliver(self, hook: Webhook, alert: Alert) -> None:
        attempts = Retrying(
            retry=retry_if_exception_type(PostError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        attempts(self._attempt, hook, alert)

    def _attempt(self, hook: Webhook, alert: Alert) -> None:
        recent, now = self._sent[hook.fingerprint], self._clock()
        while recent and now - recent[0] >= A_MINUTE:
            recent.popleft()
        if len(recent) >= PER_MINUTE:
            raise Held(f"{hook.name}: {PER_MINUTE} a minute")
        recent.append(now)
        try:
            answer = self._client.post(hook.url, json=hook.body(alert))
        except httpx.HTTPError as error:
            self._failed.labels(hook.name).inc()
            raise PostError(f"{hook.name}: {type(error).__name__}") from error
        if not answer.is_success:
            self._failed.labels(hook.name).inc()
            asked = answer.headers.get("Retry-After", "")
            wait = float(asked) if asked.replace(".", "", 1).isdigit() else 0.0
            raise PostError(f"{hook.name}: answered {answer.status_code}", wait)


def _wait(state: RetryCallState) -> float:
    """What the webhook asked for, or longer from attempt to attempt; bounded."""
    random_wait = wait_random_exponential(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)(state)
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait_seconds if isinstance(error, PostError) else 0.0
    return min(max(asked, random_wait), LONGEST_WAIT_SECONDS)
