/** Accounts and signed orders, as the contracts read them. */

import { concatHex, numberToHex, type Address, type Hex } from "viem";

export interface Order {
  account: Hex;
  market: bigint;
  is_buy: boolean;
  size: bigint;
  limit_price: bigint;
  reduce_only: boolean;
  post_only: boolean;
  expiry: bigint;
  salt: bigint;
}

export const ORDER_TYPES = {
  Order: [
    { name: "account", type: "bytes32" },
    { name: "market", type: "uint256" },
    { name: "is_buy", type: "bool" },
    { name: "size", type: "uint256" },
    { name: "limit_price", type: "uint256" },
    { name: "reduce_only", type: "bool" },
    { name: "post_only", type: "bool" },
    { name: "expiry", type: "uint256" },
    { name: "salt", type: "uint256" },
  ],
} as const;

export const CANCEL_TYPES = { Cancel: [{ name: "order_hash", type: "bytes32" }] } as const;

export interface Domain {
  name: "Ballast";
  version: "1";
  chainId: number;
  verifyingContract: Address;
}

export function domainOf(chainId: number, verifyingContract: Address): Domain {
  return { name: "Ballast", version: "1", chainId, verifyingContract };
}

/** What a wallet is asked to sign. */
export function typedOrder(domain: Domain, order: Order) {
  return { domain, types: ORDER_TYPES, primaryType: "Order", message: order } as const;
}

export function typedCancel(domain: Domain, orderHash: Hex) {
  return { domain, types: CANCEL_TYPES, primaryType: "Cancel", message: { order_hash: orderHash } } as const;
}

/** The account of an owner's subaccount. */
export function accountId(owner: Address, sub: bigint): Hex {
  return concatHex([owner.toLowerCase() as Hex, numberToHex(sub, { size: 12 })]);
}

/** A salt above all earlier ones of this page: `cancel_below` then cancels what is older. Microseconds, and chance below. */
export function newSalt(): bigint {
  const [chance] = crypto.getRandomValues(new Uint16Array(1));
  return (BigInt(Date.now()) * 1_000n * 65_536n) + BigInt(chance ?? 0);
}
