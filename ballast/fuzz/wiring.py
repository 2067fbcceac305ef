"""The contracts as `ballast.deploy` wires them: real oracles, real signatures, contract wallets.

`fresh` deploys them on a chain of its own; `wire` puts our hands on a deployment that is there (a
fork): our publishers, our venue, our feeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ballast import build, config
from ballast.client import MAX_UINT256, Ballast
from ballast.contract import Contract
from ballast.deploy import deploy, deploy_token
from ballast.evm import RevmReceipt
from ballast.fuzz.arena import Arena
from ballast.fuzz.dealing import deal
from ballast.fuzz.desk import HEARTBEAT_SECONDS, Desk
from ballast.fuzz.signer import Signer
from ballast.fuzz.tape import TapedRevm
from ballast.signing import account_id

WAD = 10**18
FORTUNE = 2**88
"""What whoever pays is given, WAD."""
DRAINED = 7
SIGNED_PRICES = (64_000 * WAD, 2_500 * WAD, 100 * WAD)
"""BTC, ETH and SOL of parameters/local.toml."""
FED = (("LINK", 1, 8, 15 * WAD), ("DOGE", 2, 18, 3 * WAD // 10), ("KEPT", 1, 18, 100 * WAD))
"""Markets with Chainlink feeds: symbol, group, the feed's decimals, first price."""
RESERVED = 6
"""KEPT, for draining buckets."""


class WalletRevm(TapedRevm):
    """Contract wallets can be named as senders: their key then has them call."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.wallets: dict[str, tuple[str, Contract]] = {}
        super().__init__(*args, **options)

    def send(self, to: str, data: bytes, *, sender: str, **options: Any) -> RevmReceipt:
        """As of `Revm`."""
        if sender in self.wallets:
            sender, wallet = self.wallets[sender]
            to, data = wallet.address, wallet.data.execute(to, data)
        return super().send(to, data, sender=sender, **options)


@dataclass(kw_only=True)
class Wiring(Arena):
    """An arena with everything around the clearinghouse."""

    chain: WalletRevm
    oracles: Desk
    settlement: Contract
    payer: str
    keeper: str
    heir: str
    stakers: list[str]
    people: list[bytes]
    """Accounts of traders, whose keys we have."""
    drained: list[bytes]
    """Accounts of nobody's, to drain buckets with."""
    keys: dict[str, Signer] = field(default_factory=dict)
    """By owner's address (a wallet's is the wallet): who signs for it. Stakers' as well."""
    delegates: list[Signer] = field(default_factory=list)
    """Keys that may be given permissions."""

    @property
    def wallets(self) -> dict[str, str]:
        """Contract wallets and the address of the key each listens to."""
        return {wallet: key for wallet, (key, _) in self.chain.wallets.items()}

    def copy(self) -> Wiring:
        """For a run that will be rolled back: roles and rules change, contracts stay."""
        return replace(self, oracles=self.oracles.copy(), accounts=list(self.accounts))


def fresh(decimals: int = 6, people: int = 18, chain: WalletRevm | None = None) -> Wiring:
    """A deployment of parameters/local.toml, with Chainlink markets and a sequencer feed, over a
    token of so many decimals. Every market has a price; nobody has cash yet."""
    chain = chain or WalletRevm()
    deployer, guardian = Signer("fuzz deployer").address, Signer("fuzz guardian").address
    token = deploy_token(chain, deployer, decimals)
    feeds = [_aggregator(chain, deployer, decimals) for _, _, decimals, _ in FED]
    asked = _asked(feeds, _aggregator(chain, deployer, 0), guardian)
    record = deploy(chain, asked, sender=deployer, collateral=token)
    wiring = wire(Ballast.from_deployment(chain, record), chain, people)
    wiring.oracles.sequence(up=True, since=chain.timestamp - 2 * asked.chainlink.grace_seconds)
    prices = (*SIGNED_PRICES, *(price for _, _, _, price in FED))
    for market, price in enumerate(prices, 1):
        wiring.oracles.set_price(market, price)
    return wiring


def _asked(feeds: Sequence[str], sequencer: str, guardian: str) -> config.DeployConfig:
    local = config.load(config.PARAMETERS / "local.toml")
    fed = (
        replace(
            local.markets[-1],
            symbol=symbol,
            group=group,
            oracle="chainlink",
            feed=feed,
            heartbeat_seconds=HEARTBEAT_SECONDS,
        )
        for feed, (symbol, group, _, _) in zip(feeds, FED, strict=True)
    )
    return replace(
        local,
        guardian=guardian,
        markets=(*local.markets, *fed),
        groups=(*local.groups, config.GroupConfig(2)),
        chainlink=replace(local.chainlink, sequencer_feed=sequencer),
    )


def wire(client: Ballast, chain: WalletRevm, people: int) -> Wiring:
    """Our venue and our publishers in a deployment, by its owner's hand; traders, one in six of
    them a contract wallet, with two accounts each; a payer and stakers with tokens."""
    house, token = client.clearinghouse, client.token
    owner = str(house.view.owner())
    payer = Signer("fuzz payer").address
    stakers = [Signer(f"fuzz staker {n}") for n in range(4)]
    wiring = Wiring(
        chain=chain,
        token=token,
        vault=client.vault,
        clearing=house,
        fund=client.fund,
        batch=client.batch,
        owner=owner,
        guardian=str(house.view.guardian()),
        venue=Signer("fuzz venue").address,
        oracles=Desk(client, chain),
        settlement=client.settlement,
        payer=payer,
        keeper=Signer("fuzz keeper").address,
        heir=Signer("fuzz heir").address,
        stakers=[staker.address for staker in stakers],
        people=[],
        drained=[account_id(Signer(f"fuzz drained {n}").address) for n in range(DRAINED)],
        keys={staker.address: staker for staker in stakers},
        delegates=[Signer(f"fuzz delegate {n}") for n in range(3)],
    )
    house.send.set_venue(wiring.venue, True, sender=owner)
    units = FORTUNE // int(client.vault.view.scale())
    for rich, spender in ((payer, client.vault), *((s, client.fund) for s in wiring.stakers)):
        deal(token, rich, units)
        token.send.approve(spender.address, MAX_UINT256, sender=rich)
    _hire(wiring, people)
    return wiring


def _hire(wiring: Wiring, people: int) -> None:
    made = build.artifact("ContractWallet")
    for number in range((people + 1) // 2):
        key = Signer(f"fuzz trader {number}")
        owner = key.address
        if number % 6 == 1:
            owner, _ = wiring.chain.deploy(made.deploy_code(key.address), sender=key.address)
            wiring.chain.wallets[owner] = key.address, Contract(wiring.chain, owner, made.abi)
        wiring.keys[owner] = key
        wiring.people += [account_id(owner, sub) for sub in (0, 1)]
    del wiring.people[people:]
    wiring.accounts = [*wiring.people, *wiring.drained]


def _aggregator(chain: TapedRevm, sender: str, decimals: int) -> str:
    """A feed without rounds; its address."""
    code = build.artifact("MockAggregator").deploy_code(decimals)
    return chain.deploy(code, sender=sender)[0]
