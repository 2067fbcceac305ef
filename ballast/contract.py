"""A contract on any chain: `vault.view.balance_of(key)`, `vault.send.deposit(key, 5, sender=a)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from ballast.abi import Abi, Event, EventType, Function, checksum
from ballast.chain import ZERO_ADDRESS, Chain, Log, Receipt
from ballast.errors import AbiError


class Interface:
    """An ABI's functions (by name and number of arguments) and events (by topic)."""

    def __init__(self, *abis: Abi) -> None:
        self.functions: dict[str, dict[int, Function]] = {}
        self.events: dict[bytes, EventType] = {}
        for entry in (entry for abi in abis for entry in abi):
            if entry["type"] == "function":
                function = Function(entry)
                overloads = self.functions.setdefault(function.name, {})
                overloads.setdefault(len(function.inputs.types), function)
            elif entry["type"] == "event":
                event = EventType(entry)
                self.events.setdefault(event.topic, event)

    def function(self, name: str, args: int) -> Function:
        """The function `name` that takes `args` arguments. Raises `AbiError`."""
        overloads = self.functions.get(name)
        if overloads is None:
            raise AbiError(f"no function {name!r}")
        if args not in overloads:
            raise AbiError(f"{name}: {sorted(overloads)} arguments expected, got {args}")
        return overloads[args]

    def decode_logs(self, logs: Iterable[Log], address: str | None = None) -> list[Event]:
        """The events in `logs` this ABI knows (of `address` only, where it is given)."""
        found = []
        for log in logs:
            if address is not None and log.address != address:
                continue
            kind = self.events.get(log.topics[0]) if log.topics else None
            if kind is not None:
                found.append(kind.decode(log.address, log.topics, log.data))
        return found


_T = TypeVar("_T")


class _Methods(Generic[_T]):
    """Attribute access to a contract's functions; each is made at its first use."""

    def __init__(self, make: Callable[[str], Callable[..., _T]]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Callable[..., _T]:
        method = self._make(name)
        self.__dict__[name] = method
        return method


class Contract:
    """A contract at an address.

    `view.f(*args, sender=, value=)` calls any function without leaving a trace and returns its
    result. `send.f(*args, sender=, value=)` sends a transaction and returns its receipt. `data.f`
    gives the call data alone. Several ABIs are joined (the clearinghouse answers for its lens).
    """

    def __init__(self, chain: Chain, address: str, *abis: Abi | Interface) -> None:
        self.chain = chain
        self.address = checksum(address)
        if len(abis) == 1 and isinstance(abis[0], Interface):
            self.interface = abis[0]
        else:
            self.interface = Interface(*(abi for abi in abis if not isinstance(abi, Interface)))
        self.view: _Methods[Any] = _Methods(self._viewer)
        self.send: _Methods[Receipt] = _Methods(self._sender)
        self.data: _Methods[bytes] = _Methods(self._encoder)

    def __repr__(self) -> str:
        return f"Contract({self.address})"

    def at(self, address: str) -> Contract:
        """The same interface at another address."""
        return Contract(self.chain, address, self.interface)

    def events(self, receipt: Receipt) -> list[Event]:
        """This contract's events in a receipt."""
        return self.interface.decode_logs(receipt.logs, self.address)

    def event(self, receipt: Receipt, name: str) -> Event:
        """The only event `name` in a receipt. Raises `AbiError` where there are none or several."""
        found = [event for event in self.events(receipt) if event.name == name]
        if len(found) != 1:
            raise AbiError(f"{len(found)} events {name!r} in the receipt")
        return found[0]

    def returned(self, receipt: Receipt, name: str, args: int) -> Any:
        """What function `name` (of `args` arguments) returned in the transaction of `receipt`."""
        if receipt.return_data is None:
            raise AbiError("this chain's receipts hold no return data")
        return self.interface.function(name, args).decode(receipt.return_data)

    def _overloads(self, name: str) -> dict[int, Function]:
        if name not in self.interface.functions:
            raise AttributeError(f"no function {name!r}")
        return self.interface.functions[name]

    def _encoder(self, name: str) -> Callable[..., bytes]:
        self._overloads(name)

        def encode(*args: Any) -> bytes:
            return self.interface.function(name, len(args)).encode(args)

        return encode

    def _viewer(self, name: str) -> Callable[..., Any]:
        overloads = self._overloads(name)
        call, address = self.chain.call, self.address

        def view(*args: Any, sender: str = ZERO_ADDRESS, value: int = 0) -> Any:
            function = overloads.get(len(args)) or self.interface.function(name, len(args))
            return function.decode(call(address, function.encode(args), sender=sender, value=value))

        return view

    def _sender(self, name: str) -> Callable[..., Receipt]:
        overloads = self._overloads(name)
        send, address = self.chain.send, self.address

        def transact(*args: Any, sender: str, value: int = 0, **options: Any) -> Receipt:
            function = overloads.get(len(args)) or self.interface.function(name, len(args))
            return send(address, function.encode(args), sender=sender, value=value, **options)

        return transact
