/** Where everything is: the relay's `/api/config`, or a `config.json` beside the page where no relay answers.
 *
 * `config.json` (optional): `{"relay": "https://…", "rpc_url": "https://…", "deployment": {…as /api/config…}}`. Without `relay` it is the page's own host; without
 * `rpc_url` the chain is read through the wallet, once one is connected. `"is_local_node": true` says that `rpc_url` is an anvil of one's own, which gives coins away.
 */

import type { Address } from "viem";

export interface Market {
  market: number;
  symbol: string;
}

export interface Deployment {
  chain_id: number;
  block: number;
  contracts: Record<"Clearinghouse" | "OrderSettlement" | "MarginVault" | "InsuranceFund", Address>;
  collateral: { address: Address; decimals: number; symbol: string; is_faucet: boolean };
  markets: Market[];
}

export interface Config extends Deployment {
  relay: string;
  rpcUrl: string | null;
  explorer: string | null;
  isLocalNode: boolean;
  relayAnswered: boolean;
}

interface Beside {
  relay?: string;
  rpc_url?: string;
  explorer?: string;
  is_local_node?: boolean;
  deployment?: Deployment;
}

/** Throws where neither the relay nor `config.json` knows a deployment. */
export async function loadConfig(): Promise<Config> {
  const beside = (await json<Beside>("config.json")) ?? {};
  const relay = (beside.relay ?? "").replace(/\/$/, "");
  const told = await json<Deployment>(`${relay}/api/config`);
  const deployment = told ?? beside.deployment;
  if (!deployment) throw new Error("Neither a relay nor config.json says where the contracts are. Start the relay, or put a config.json beside the page.");
  return {
    ...deployment,
    relay,
    rpcUrl: beside.rpc_url ?? null,
    explorer: beside.explorer ?? null,
    isLocalNode: beside.is_local_node ?? false,
    relayAnswered: told !== null,
  };
}

async function json<T>(url: string): Promise<T | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(8_000) });
    return answer.ok && answer.headers.get("Content-Type")?.includes("json") ? ((await answer.json()) as T) : null;
  } catch {
    return null;
  }
}
