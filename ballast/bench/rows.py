"""The hot operations, each staged and sent as a cold transaction of its own.

Every row begins with the same world: the deploy script's wiring, a real ERC-20, traders whose
accounts are flat and have traded before, others who hold positions, funding that moves. Prices were
reported in the block before, so that the transaction itself fixes the price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ballast.bench.exchange import BTC, Exchange, local_config
from ballast.bench.trace import Breakdown, Transaction, measure
from ballast.config import WAD
from ballast.signing import key_from_label

PRICE = 100_000 * WAD
SIZE = WAD // 50
MAKERS = 20
CROSS_MARKETS = (1, 4, 16)
_VICTIM_CASH = 3_000
_INSURANCE_KEY, _RESERVE_KEY = 1, 3
_MAKER_NAMES = [f"maker {number}" for number in range(MAKERS)]


@dataclass(frozen=True, slots=True)
class Row:
    """An operation: what is staged, and whether it is a row of the peers' table."""

    name: str
    holds: str
    stage: Callable[[Exchange], Transaction]
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """A row and where its gas went."""

    row: Row
    breakdown: Breakdown


def world() -> Exchange:
    """What all rows begin with: `taker` and the makers flat with history, positions of others in
    the buckets that will be used, `new` and `newer` with a deposit and no history."""
    exchange = Exchange()
    for label in ("taker", *_MAKER_NAMES, "new", "newer", "crowd", "others", "eager", "patient"):
        exchange.trader(label)
    exchange.client.donate(_RESERVE_KEY, 10**9, sender=_funded(exchange, "donor"))
    exchange.trader("keeper")  # sends what anyone may send
    _traded(exchange, "eager", "patient", PRICE * 101 // 100)  # a premium: funding moves
    _traded(exchange, "crowd", "others", PRICE)
    for buys in (True, False):
        exchange.send(exchange.trade("taker", _MAKER_NAMES, SIZE, PRICE, buys=buys))
    return exchange


def rows() -> list[Row]:
    """All rows but those of cross margin, in the order shown."""
    first = "first deposit of an account, into a vault that holds others' tokens"
    both = "taker and maker hold positions"
    flat = "two flat accounts with history, occupied buckets"
    forced = "by anyone; a bankrupt long against one larger short; the pool has a history"
    taken = "the whole of a weak long, by a flat account; occupied buckets"
    return [
        Row("deposit_fresh", first, _deposit_fresh),
        Row("deposit", "into an account with cash", _deposit),
        Row("trade", flat, _trade),
        Row("increase", f"{both} and add as much; same buckets", _increase),
        Row("partial_close", f"{both} and halve them", _partial_close),
        Row("close", f"{both} and end them", _close),
        Row("trade_5_makers", "one taker, five makers, all flat with history", _makers(5)),
        Row("withdraw", "of a flat account, to an owner who holds tokens", _withdraw),
        Row("liquidate", taken, _liquidate),
        Row("deleverage", forced, _deleverage),
        Row("trade_never_traded", "accounts that never traded, occupied buckets", _fresh, True),
        Row("trade_empty_buckets", "flat accounts with history, empty buckets", _empty, True),
        Row("trade_20_makers", "one taker, twenty makers, all flat", _makers(20), True),
        Row("increase_elsewhere", f"{both}; at another price, new buckets", _increase_away, True),
        Row("close_at_a_profit", f"{both} and end them 1 % higher", _close_up, True),
        Row("withdraw_to_a_stranger", "to an address without tokens", _withdraw_away, True),
        Row("withdraw_with_position", "of an account with a position", _withdraw_open, True),
        Row("settle", "an account with a position, nothing due", _settle, True),
        Row("price_report", "one market, three publishers", _report, True),
    ]


def first_rows() -> list[Row]:
    """What is measured on a deployment that nobody has used."""
    return [Row("deposit_first", "the vault's first deposit of all", _deposit_fresh, True)]


def cross_rows() -> list[Row]:
    """An increase by two accounts that hold positions in so many markets."""
    return [
        Row(
            f"cross_{count}_markets",
            f"an increase; both accounts hold positions in {count} market{'s' * (count > 1)}",
            _cross(count),
            True,
        )
        for count in CROSS_MARKETS
    ]


def run(exchange: Exchange, chosen: list[Row]) -> Iterator[Measured]:
    """Measure rows, each on its own copy of the world. Raises `Reverted`, `BreakdownError`."""
    for row in chosen:
        with exchange.chain.rolled_back(exact_gas=True):
            kept = exchange.salt, dict(exchange.prices)
            _, breakdown = measure(exchange.chain, row.stage(exchange))
            exchange.salt, exchange.prices = kept
        yield Measured(row, breakdown)


def total() -> int:
    """How many rows there are."""
    return len(rows()) + len(first_rows()) + len(cross_rows())


def run_all() -> Iterator[Measured]:
    """Measure them all."""
    yield from run(world(), rows())
    yield from run(Exchange(), first_rows())
    yield from run(cross_world(), cross_rows())


def cross_world() -> Exchange:
    """Sixteen markets; for each count two accounts that hold positions in so many of them."""
    exchange = Exchange(local_config(max(CROSS_MARKETS)))
    exchange.prices = dict.fromkeys(range(1, max(CROSS_MARKETS) + 1), PRICE)
    for label in ("eager", "patient"):
        exchange.trader(label)
    for market in exchange.prices:
        _traded(exchange, "eager", "patient", PRICE * 101 // 100, market=market)
    for count in CROSS_MARKETS:
        left, right = _sides(count)
        exchange.trader(left)
        exchange.trader(right)
        for market in range(1, count + 1):
            _traded(exchange, left, right, PRICE, market=market)
    _traded(exchange, "eager", "patient", PRICE)  # funding is paid: the pool has a history
    return exchange


def _sides(count: int) -> tuple[str, str]:
    return f"left {count}", f"right {count}"


def _cross(count: int) -> Callable[[Exchange], Transaction]:
    left, right = _sides(count)
    return lambda exchange: exchange.trade(left, [right], SIZE, PRICE)


def _funded(exchange: Exchange, label: str) -> str:
    exchange.mint(label, 10**6)
    return key_from_label(label).address


def _traded(
    exchange: Exchange, buyer: str, seller: str, price: int, size: int = SIZE, market: int = BTC
) -> None:
    exchange.prices.setdefault(market, PRICE)
    exchange.send(exchange.trade(buyer, [seller], size, price, market=market))


def _opened(exchange: Exchange) -> tuple[str, str]:
    """The taker and a maker with positions beside the crowd's."""
    _traded(exchange, "taker", _MAKER_NAMES[0], PRICE, 2 * SIZE)
    return "taker", _MAKER_NAMES[0]


def _deposit_fresh(exchange: Exchange) -> Transaction:
    exchange.mint("depositor", 1_000)
    exchange.chain.mine()
    return exchange.deposit("depositor", 500)


def _deposit(exchange: Exchange) -> Transaction:
    exchange.mint("taker", 1_000)
    exchange.chain.mine()
    return exchange.deposit("taker", 500)


def _trade(exchange: Exchange) -> Transaction:
    return exchange.trade("taker", _MAKER_NAMES[:1], SIZE, PRICE)


def _fresh(exchange: Exchange) -> Transaction:
    return exchange.trade("new", ["newer"], SIZE, PRICE)


def _empty(exchange: Exchange) -> Transaction:
    return exchange.trade("taker", _MAKER_NAMES[:1], SIZE, PRICE * 98 // 100)


def _makers(count: int) -> Callable[[Exchange], Transaction]:
    return lambda exchange: exchange.trade("taker", _MAKER_NAMES[:count], SIZE, PRICE)


def _increase(exchange: Exchange) -> Transaction:
    taker, maker = _opened(exchange)
    return exchange.trade(taker, [maker], 2 * SIZE, PRICE)


def _increase_away(exchange: Exchange) -> Transaction:
    taker, maker = _opened(exchange)
    return exchange.trade(taker, [maker], 2 * SIZE, PRICE * 97 // 100)


def _partial_close(exchange: Exchange) -> Transaction:
    taker, maker = _opened(exchange)
    return exchange.trade(taker, [maker], SIZE, PRICE, buys=False)


def _close(exchange: Exchange) -> Transaction:
    taker, maker = _opened(exchange)
    return exchange.trade(taker, [maker], 2 * SIZE, PRICE, buys=False)


def _close_up(exchange: Exchange) -> Transaction:
    taker, maker = _opened(exchange)
    higher = PRICE * 101 // 100
    exchange.price(higher)
    return exchange.trade(taker, [maker], 2 * SIZE, higher, buys=False)


def _withdraw(exchange: Exchange) -> Transaction:
    exchange.mint("taker", 1)
    exchange.price(PRICE)
    return exchange.withdraw("taker", 500)


def _withdraw_away(exchange: Exchange) -> Transaction:
    exchange.price(PRICE)
    return exchange.withdraw("taker", 500, key_from_label("stranger").address)


def _withdraw_open(exchange: Exchange) -> Transaction:
    exchange.mint("crowd", 1)
    exchange.price(PRICE)
    return exchange.withdraw("crowd", 500)


def _settle(exchange: Exchange) -> Transaction:
    exchange.price(PRICE)
    return exchange.settle("crowd")


def _report(exchange: Exchange) -> Transaction:
    exchange.price(PRICE)
    return exchange.report(PRICE)


def _weak_longs(exchange: Exchange, labels: list[str], counterparties: list[str]) -> None:
    for number, label in enumerate(labels):
        exchange.trader(label, _VICTIM_CASH)
        _traded(exchange, label, counterparties[number % len(counterparties)], PRICE, WAD)


def _liquidate(exchange: Exchange) -> Transaction:
    """The same liquidation twice; the first leaves its positions in the second's buckets, and a
    third account stays where the victim is."""
    _weak_longs(exchange, ["victim", "earlier victim", "later victim"], _MAKER_NAMES[10:])
    exchange.price(PRICE * 98 // 100)
    exchange.send(exchange.liquidate("earlier victim", _MAKER_NAMES[1]))
    exchange.price(PRICE * 98 // 100)
    return exchange.liquidate("victim", "taker")


def _deleverage(exchange: Exchange) -> Transaction:
    """After another one, so that the pool, the claims and the fund have been used before."""
    donor = _funded(exchange, "donor")
    _weak_longs(exchange, ["victim", "earlier victim", "later victim"], _MAKER_NAMES[10:11])
    lower = PRICE * 95 // 100
    exchange.client.donate(_INSURANCE_KEY, 10**6, sender=donor)
    exchange.price(lower)
    exchange.send(exchange.deleverage(exchange.account("earlier victim")))
    exchange.client.donate(_INSURANCE_KEY, 10**6, sender=donor)
    exchange.price(lower)
    return exchange.deleverage(exchange.account("victim"))
