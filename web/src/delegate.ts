/** A key this page holds and the owner has authorised on chain: it may trade for one account until it expires, and never withdraw.
 *
 * It is kept in this browser's local storage, so whoever can read that storage could trade with it until then: keep the expiry short, and revoke it when done.
 */

import type { Hex } from "viem";
import { generatePrivateKey, privateKeyToAccount, type PrivateKeyAccount } from "viem/accounts";

import type { Config } from "./config.ts";

export interface Delegate {
  signer: PrivateKeyAccount;
  /** Unix seconds, as the chain has it. */
  expiry: bigint;
}

function place(config: Config, account: Hex): string {
  return `ballast:delegate:${config.chain_id}:${config.contracts.OrderSettlement}:${account}`;
}

export function loadDelegate(config: Config, account: Hex): Delegate | null {
  const key = localStorage.getItem(place(config, account));
  return key ? { signer: privateKeyToAccount(key as Hex), expiry: 0n } : null;
}

/** A fresh key, kept before it is authorised: one that is authorised and lost could not be named for revoking. */
export function newDelegate(config: Config, account: Hex): PrivateKeyAccount {
  const key = generatePrivateKey();
  localStorage.setItem(place(config, account), key);
  return privateKeyToAccount(key);
}

export function forgetDelegate(config: Config, account: Hex): void {
  localStorage.removeItem(place(config, account));
}
