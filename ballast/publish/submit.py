"""How the collector's transactions are sent: the one place that does."""

from __future__ import annotations

from typing import Any

import structlog
from eth_account.signers.local import LocalAccount

from ballast.ape_chain import reverted
from ballast.errors import BallastError, Reverted
from ballast.publish.collector import Submit

RECEIPT_SECONDS = 60
_LOG = structlog.get_logger("submit")


def directly(web3: Any, signer: LocalAccount, to: str) -> Submit:
    """One transaction after the other to `to`, at the node's own price, each awaited."""

    def submit(data: bytes, gas: int) -> str:
        try:
            transaction = {
                "to": to,
                "data": data,
                "value": 0,
                "gas": gas,
                "nonce": web3.eth.get_transaction_count(signer.address, "pending"),
                "chainId": web3.eth.chain_id,
                "gasPrice": 2 * web3.eth.gas_price,
            }
            raw = signer.sign_transaction(transaction).raw_transaction
            sent = web3.eth.send_raw_transaction(raw)
            receipt = web3.eth.wait_for_transaction_receipt(sent, RECEIPT_SECONDS, 0.1)
            if receipt["status"] == 1:
                return "0x" + bytes(sent).hex()
            request = {"to": to, "data": data, "from": signer.address}
            web3.eth.call(request, receipt["blockNumber"])  # says why
        except Exception as error:  # whatever the node's client raises
            raise reverted(error) from error
        raise Reverted("halt: the transaction failed, the same call does not")

    return submit


def dry(data: bytes, gas: int) -> str:
    """Sends nothing, and says what would have been sent."""
    _LOG.info("dry run: nothing is sent", data="0x" + data.hex(), gas=gas)
    return "none"


def require_funds(web3: Any, signer: LocalAccount) -> None:
    """Raises `BallastError` where the sender has nothing to pay for gas with."""
    if web3.eth.get_balance(signer.address) == 0:
        raise BallastError(f"{signer.address} has nothing to pay for gas with: fund it")
