# pragma version 0.4.3
# @title Probe
# @notice What the tests of the in-process EVM look at: storage, transient storage, logs, reverts.

struct Pair:
    left: uint256
    right: int256


event Written:
    writer: indexed(address)
    key: indexed(uint256)
    value: uint256
    note: String[32]


number: public(uint256)
slots: public(HashMap[uint256, uint256])
_scratch: transient(uint256)


@deploy
@payable
def __init__(initial: uint256):
    self.number = initial


@external
def nop():
    pass


@external
def write(key: uint256, amount: uint256) -> uint256:
    old: uint256 = self.slots[key]
    self.slots[key] = amount
    log Written(writer=msg.sender, key=key, value=amount, note="hello")
    return old


@external
def write_many(count: uint256, amount: uint256):
    for i: uint256 in range(count, bound=100_000):
        self.slots[i] = amount


@external
def scratch(amount: uint256) -> uint256:
    old: uint256 = self._scratch
    self._scratch = amount
    return old


@external
def refuse(amount: uint256):
    self.number = 1
    assert amount > 100, "probe: too small"
    assert amount > 200
    raise UNREACHABLE


@external
@view
def must(amount: uint256):
    assert amount > 100, "probe: too small"


@external
@payable
def pay():
    pass


@external
@view
def clock() -> (uint256, uint256, uint256):
    return block.timestamp, block.number, chain.id


@external
@view
def swap(pairs: DynArray[Pair, 4], who: address) -> (DynArray[Pair, 4], address):
    out: DynArray[Pair, 4] = []
    for pair: Pair in pairs:
        out.append(Pair(left=convert(pair.right, uint256), right=convert(pair.left, int256)))
    return out, who
