"""An in-process chain that remembers what was sent to it, so that a finding can be replayed."""

from __future__ import annotations

from typing import Any

from ballast.errors import Reverted
from ballast.evm import Revm, RevmReceipt

Step = tuple[Any, ...]
"""`("block", number, timestamp)`, `("send", sender, to, data as hex, refusal or "")` or
`("deploy", sender, initcode as hex)`."""


class TapedRevm(Revm):
    """`Revm` with a tape of blocks and sends. What is rolled back leaves the tape."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.tape: list[Step] = []
        self._lengths: dict[int, int] = {}
        super().__init__(*args, **options)

    def set_block(self, number: int, timestamp: int) -> None:
        """As of `Revm`."""
        self.tape.append(("block", number, timestamp))
        super().set_block(number, timestamp)

    def send(self, to: str, data: bytes, *, sender: str, **options: Any) -> RevmReceipt:
        """As of `Revm`."""
        try:
            receipt = super().send(to, data, sender=sender, **options)
        except Reverted as refusal:
            self.tape.append(("send", sender, to, data.hex(), refusal.reason or "no reason"))
            raise
        self.tape.append(("send", sender, to, data.hex(), ""))
        return receipt

    def deploy(self, initcode: bytes, *, sender: str, **options: Any) -> tuple[str, RevmReceipt]:
        """As of `Revm`."""
        made = super().deploy(initcode, sender=sender, **options)
        self.tape.append(("deploy", sender, initcode.hex()))
        return made

    def snapshot(self, exact_gas: bool = False) -> int:
        """As of `Revm`."""
        mark = super().snapshot(exact_gas)
        self._lengths[mark] = len(self.tape)
        return mark

    def revert(self, snapshot: int) -> None:
        """As of `Revm`."""
        super().revert(snapshot)
        del self.tape[self._lengths.pop(snapshot) :]

    def release(self, snapshot: int) -> None:
        """As of `Revm`."""
        super().release(snapshot)
        self._lengths.pop(snapshot)
