"""Who listens to what over WebSocket. Every message is written once, whoever gets it.

A client has a bounded queue; one that does not keep up is cut off, so that it begins again with a
snapshot instead of running behind.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from typing import Any

from ballast.relay.kept import hexed
from ballast.relay.refusal import Refusal

QUEUE = 512
CHANNELS = 32


class Listener:
    """One connection. `outbox` holds texts to be sent, and None where it is to be cut off."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.channels: set[str] = set()
        self.outbox: asyncio.Queue[str | None] = asyncio.Queue()

    def send(self, text: str) -> None:
        """Queue a message; too many, and the connection ends."""
        if self.outbox.qsize() < QUEUE:
            self.outbox.put_nowait(text)
        elif self.outbox.qsize() == QUEUE:
            self.outbox.put_nowait(None)


class Hub:
    """All connections by channel."""

    def __init__(self, most_a_client: int) -> None:
        self._most_a_client = most_a_client
        self._by_channel: dict[str, set[Listener]] = defaultdict(set)
        self._by_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_client.total()

    def join(self, client: str) -> Listener:
        """A new connection. Raises `Refusal`."""
        if self._by_client[client] >= self._most_a_client:
            raise Refusal(
                "too_many_streams",
                f"{self._most_a_client} streams are open from this address",
                "close one; a stream takes several channels",
                retry_after=10,
            )
        self._by_client[client] += 1
        return Listener(client)

    def leave(self, listener: Listener) -> None:
        """The connection is gone."""
        for channel in list(listener.channels):
            self.unsubscribe(listener, channel)
        self._by_client[listener.client] -= 1
        if not self._by_client[listener.client]:
            del self._by_client[listener.client]

    def subscribe(self, listener: Listener, channel: str) -> None:
        """Add a channel. Raises `Refusal`."""
        if channel not in listener.channels and len(listener.channels) >= CHANNELS:
            raise Refusal(
                "too_many_streams",
                f"{CHANNELS} channels are subscribed on this connection",
                "unsubscribe from one, or open another connection",
                retry_after=10,
            )
        listener.channels.add(channel)
        self._by_channel[channel].add(listener)

    def unsubscribe(self, listener: Listener, channel: str) -> None:
        """Take a channel away."""
        listener.channels.discard(channel)
        others = self._by_channel.get(channel)
        if others is not None:
            others.discard(listener)
            if not others:
                del self._by_channel[channel]

    @property
    def accounts(self) -> list[bytes]:
        """The accounts whose channels somebody listens to."""
        names = (channel.partition(":0x") for channel in self._by_channel)
        return [bytes.fromhex(rest) for kind, _, rest in names if kind == "account"]

    def hears(self, channel: str) -> bool:
        """Whether anybody listens."""
        return channel in self._by_channel

    def publish(self, channel: str, kind: str, **content: Any) -> None:
        """Send a message to all that listen."""
        listeners = self._by_channel.get(channel)
        if listeners:
            text = message(channel, kind, **content)
            for listener in listeners:
                listener.send(text)


def account_channel(name: bytes) -> str:
    """The channel of an account's own."""
    return f"account:{hexed(name)}"


def message(channel: str, kind: str, **content: Any) -> str:
    """A message of a channel."""
    return json.dumps({"channel": channel, "type": kind, **content}, separators=(",", ":"))
