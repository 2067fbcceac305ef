"""ABI codecs, made once per function and event.

Words (integers, addresses, booleans, bytes32) are coded here, everything else by eth_abi's coders
looked up in advance, so that a call costs microseconds beside the EVM. Structs come back as named
tuples and may be passed as tuples, dicts or dataclasses.
"""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import ContextFramesBytesIO, TupleDecoder
from eth_abi.encoding import TupleEncoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import registry
from eth_utils import keccak
from eth_utils.address import to_checksum_address as _checksum

from ballast.errors import AbiError

_CODEC = ABICodec(registry)
_WORD = 32
_ERROR_SELECTOR = keccak(text="Error(string)")[:4]

Abi = list[dict[str, Any]]


@lru_cache(maxsize=1 << 17)
def checksum(address: str) -> str:
    """The checksummed form of a hex address."""
    return str(_checksum(address))


def canonical(entry: Mapping[str, Any]) -> str:
    """The canonical type of one ABI input, tuples written out: `(uint256,bytes)[]`."""
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(canonical(part) for part in entry["components"])
    return f"({inner}){kind[5:]}"


def decode_reason(data: bytes) -> str:
    """The reason string in revert data; "" where there is none."""
    if data[:4] != _ERROR_SELECTOR:
        return "" if not data else "0x" + data.hex()
    return str(_CODEC.decode(["string"], data[4:])[0])


def _to_word(kind: str) -> Callable[[Any], bytes] | None:
    if kind == "address":
        return lambda value: bytes(12) + bytes.fromhex(value[2:])
    if kind == "bool":
        return lambda value: (1 if value else 0).to_bytes(_WORD, "big")
    if kind == "bytes32":
        return _bytes32
    if kind.startswith("uint") and kind[4:].isdigit():
        return _unsigned(int(kind[4:]))
    if kind.startswith("int") and kind[3:].isdigit():
        return _signed(int(kind[3:]))
    return None


def _bytes32(value: Any) -> bytes:
    raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
    if len(raw) != _WORD:
        raise AbiError(f"bytes32 expected, got {len(raw)} bytes")
    return raw


def _unsigned(bits: int) -> Callable[[Any], bytes]:
    bound = 1 << bits

    def encode(value: int) -> bytes:
        if not 0 <= value < bound:
            raise AbiError(f"{value} is no uint{bits}")
        return value.to_bytes(_WORD, "big")

    return encode


def _signed(bits: int) -> Callable[[Any], bytes]:
    bound = 1 << (bits - 1)

    def encode(value: int) -> bytes:
        if not -bound <= value < bound:
            raise AbiError(f"{value} is no int{bits}")
        return value.to_bytes(_WORD, "big", signed=True)

    return encode


def _from_word(kind: str) -> Callable[[bytes], Any] | None:
    if kind == "address":
        return lambda word: checksum("0x" + word[12:].hex())
    if kind == "bool":
        return lambda word: word[-1] != 0
    if kind == "bytes32":
        return bytes
    if kind.startswith("uint"):
        return lambda word: int.from_bytes(word, "big")
    if kind.startswith("int"):
        return lambda word: int.from_bytes(word, "big", signed=True)
    return None


def _plain(value: Any, entry: Mapping[str, Any]) -> Any:
    """`value` in the form eth_abi takes: structs as tuples, in the ABI's order."""
    kind = str(entry["type"])
    if kind.endswith("]"):
        item = {**entry, "type": kind[: kind.rindex("[")]}
        return [_plain(part, item) for part in value]
    if kind == "tuple":
        parts = entry["components"]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            missing = [part["name"] for part in parts if part["name"] not in value]
            if missing or len(value) != len(parts):
                raise AbiError(f"struct {entry.get('name')!r}: fields missing or unknown {missing}")
            value = [value[part["name"]] for part in parts]
        if len(value) != len(parts):
            raise AbiError(f"struct {entry.get('name')!r}: {len(parts)} fields expected")
        return tuple(_plain(part, spec) for part, spec in zip(value, parts, strict=True))
    if kind == "bytes32":
        return _bytes32(value)
    return value


def _shape(entry: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """How a value decoded by eth_abi is dressed (checksums, named tuples); None: as it is."""
    kind = str(entry["type"])
    if kind == "address":
        return checksum
    if kind.endswith("]"):
        inner = _shape({**entry, "type": kind[: kind.rindex("[")]})
        return list if inner is None else lambda values: [inner(value) for value in values]
    if kind == "tuple":
        parts = entry["components"]
        fields = [part["name"] or f"field_{i}" for i, part in enumerate(parts)]
        record = namedtuple("Struct", fields, rename=True)  # type: ignore[misc]
        shapes = [_shape(part) or (lambda value: value) for part in parts]
        return lambda values: record(*(s(v) for s, v in zip(shapes, values, strict=True)))
    return None


class Codec:
    """Encodes and decodes one list of ABI parameters."""

    def __init__(self, params: list[dict[str, Any]]) -> None:
        self.params = params
        self.types = [canonical(param) for param in params]
        self.names = [str(param.get("name", "")) for param in params]
        words = [_to_word(kind) for kind in self.types]
        self._to_words = None if None in words else words
        unwords = [_from_word(kind) if _to_word(kind) else None for kind in self.types]
        self._from_words = None if None in unwords else unwords
        self._encoder = TupleEncoder(encoders=[registry.get_encoder(t) for t in self.types])
        self._decoder = TupleDecoder(decoders=[registry.get_decoder(t) for t in self.types])
        self._shapes = [_shape(param) for param in params]

    def encode(self, values: tuple[Any, ...]) -> bytes:
        """The ABI encoding of `values`. Raises `AbiError` where they do not fit."""
        if len(values) != len(self.types):
            raise AbiError(f"{len(self.types)} arguments expected {self.types}, got {len(values)}")
        try:
            if self._to_words is not None:
                return b"".join(
                    [code(value) for code, value in zip(self._to_words, values, strict=True)]  # type: ignore[misc]
                )
            plain = [_plain(v, param) for v, param in zip(values, self.params, strict=True)]
            return bytes(self._encoder(plain))
        except (EncodingError, TypeError, ValueError, OverflowError) as error:
            raise AbiError(f"{self.types}: {error}") from error

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The values in `data`. Raises `AbiError` where it does not hold them."""
        if self._from_words is not None:
            if len(data) < _WORD * len(self.types):
                raise AbiError(f"{len(data)} bytes returned, {self.types} expected")
            return tuple(
                [
                    code(data[start : start + _WORD])  # type: ignore[misc]
                    for code, start in zip(
                        self._from_words, range(0, _WORD * len(self.types), _WORD), strict=True
                    )
                ]
            )
        try:
            values = self._decoder(ContextFramesBytesIO(data))
        except DecodingError as error:
            raise AbiError(f"{self.types}: {error}") from error
        return tuple(
            value if shape is None else shape(value)
            for shape, value in zip(self._shapes, values, strict=True)
        )


class Function:
    """One function of an ABI: its selector and its two codecs."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name = str(entry["name"])
        self.is_view = entry.get("stateMutability") in ("view", "pure")
        self.inputs = Codec(entry.get("inputs", []))
        self.outputs = Codec(entry.get("outputs", []))
        self.signature = f"{self.name}({','.join(self.inputs.types)})"
        self.selector = keccak(text=self.signature)[:4]

    def encode(self, args: tuple[Any, ...]) -> bytes:
        """Call data for `args`."""
        return self.selector + self.inputs.encode(args)

    def decode(self, data: bytes) -> Any:
        """What the function returned: None, one value, or a tuple."""
        values = self.outputs.decode(data)
        if len(values) == 1:
            return values[0]
        return values or None


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """A decoded event. `args` maps names to values; they are attributes too (`event.size`)."""

    name: str
    address: str
    args: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.args[name]
        except KeyError:
            raise AttributeError(name) from None


class EventType:
    """One event of an ABI: its topic and codecs."""

    def __init__(self, entry: dict[str, Any]) -> None:
        inputs = entry.get("inputs", [])
        self.name = str(entry["name"])
        self.names = [str(item["name"]) for item in inputs]
        self._indexed = [item for item in inputs if item.get("indexed")]
        self._topics = [Codec([item]) for item in self._indexed]
        self._rest = Codec([item for item in inputs if not item.get("indexed")])
        types = ",".join(canonical(item) for item in inputs)
        self.topic = keccak(text=f"{self.name}({types})")

    def decode(self, address: str, topics: list[bytes], data: bytes) -> Event:
        """The event in a log's topics (the first one is the event's own) and data."""
        values = dict(zip(self._rest.names, self._rest.decode(data), strict=True))
        for item, codec, topic in zip(self._indexed, self._topics, topics[1:], strict=True):
            values[str(item["name"])] = codec.decode(topic)[0]
        return Event(self.name, address, {name: values[name] for name in self.names})
