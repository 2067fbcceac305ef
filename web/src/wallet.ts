/** Wallets of the browser: found by EIP-6963, asked by EIP-1193. */

import { createWalletClient, custom, numberToHex, type Address, type WalletClient } from "viem";

import { chainOf } from "./chain.ts";
import type { Config } from "./config.ts";

export interface Provider {
  request(request: { method: string; params?: unknown }): Promise<unknown>;
  on?(event: string, listener: (value: never) => void): void;
  removeListener?(event: string, listener: (value: never) => void): void;
}

export interface Announced {
  info: { uuid: string; name: string; icon: string; rdns: string };
  provider: Provider;
}

/** Tells of every wallet that announces itself, now or later. */
export function discover(found: (wallets: Announced[]) => void): void {
  const known = new Map<string, Announced>();
  window.addEventListener("eip6963:announceProvider", (event) => {
    const announced = (event as CustomEvent<Announced>).detail;
    known.set(announced.info.uuid, announced);
    found([...known.values()]);
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
}

/** The accounts a wallet shows; `ask` opens its window, otherwise only what it has already allowed. */
export async function accountsOf(provider: Provider, ask: boolean): Promise<Address[]> {
  return (await provider.request({ method: ask ? "eth_requestAccounts" : "eth_accounts" })) as Address[];
}

export async function chainIdOf(provider: Provider): Promise<number> {
  return Number(await provider.request({ method: "eth_chainId" }));
}

/** Ask the wallet for the deployment's chain, telling it about the chain where it knows it not. */
export async function switchChain(provider: Provider, config: Config): Promise<void> {
  const chainId = numberToHex(config.chain_id);
  try {
    await provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId }] });
  } catch (error) {
    const unknown = typeof error === "object" && error !== null && "code" in error && error.code === 4902;
    if (!unknown || !config.rpcUrl) throw error;
    const { name, nativeCurrency } = chainOf(config);
    await provider.request({ method: "wallet_addEthereumChain", params: [{ chainId, chainName: name, nativeCurrency, rpcUrls: [config.rpcUrl] }] });
  }
}

export function walletClient(provider: Provider, config: Config, owner: Address): WalletClient {
  return createWalletClient({ account: owner, chain: chainOf(config), transport: custom(provider) });
}
