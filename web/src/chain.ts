/** What the contracts say. All quote, base and price figures are WAD; token amounts are in the token's units. */

import { createPublicClient, custom, defineChain, http, type Address, type Chain, type Hex, type PublicClient } from "viem";

import type { Config } from "./config.ts";
import { clearinghouseAbi, fundAbi, settlementAbi, tokenAbi, vaultAbi } from "./generated/abi.ts";
import type { Provider } from "./wallet.ts";

export const STALE = 1n;
export const PENDING = 2n;
export const GRACE = 4n;
const POLL_MS = 1_500;

export interface Params {
  group: bigint;
  initial_margin_bps: bigint;
  maintenance_margin_bps: bigint;
  position_cap_base: bigint;
  min_notional_quote: bigint;
  price_band_bps: bigint;
  maker_fee_bps: bigint;
  taker_fee_bps: bigint;
}

export interface MarketView {
  price: bigint;
  timestamp: bigint;
  status: bigint;
  paused: boolean;
  rate: bigint;
  interest: bigint;
  insuranceLeft: bigint;
  params: Params;
}

export interface Rank {
  score: bigint;
  ahead: bigint;
  band: bigint;
}

export interface PositionView {
  market: number;
  size: bigint;
  entry: bigint;
  result: bigint;
  liquidation: bigint;
  rank: Rank;
  bucket: bigint;
}

export interface AccountView {
  account: Hex;
  cash: bigint;
  equity: bigint;
  backing: bigint;
  unsettled: bigint;
  initial: bigint;
  maintenance: bigint;
  freeCash: bigint;
  group: bigint;
  positions: PositionView[];
  wallet: bigint;
  claims: bigint;
  shortfall: bigint;
}

export interface FundView {
  insurance: bigint;
  assets: bigint;
  supply: bigint;
  shares: bigint;
  worth: bigint;
  escrowed: bigint;
  readyAt: bigint;
  lapsesAt: bigint;
  cooldown: bigint;
  window: bigint;
  wipedOut: boolean;
}

export interface Queued {
  bucket_id: bigint;
  score: bigint;
  tier: bigint;
  tick: bigint;
  size_base: bigint;
}

export function chainOf(config: Config): Chain {
  const urls = config.rpcUrl ? [config.rpcUrl] : [];
  return defineChain({ id: config.chain_id, name: `chain ${config.chain_id}`, nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: urls } } });
}

/** By the configured node, else through the wallet; null with neither. */
export function clientOf(config: Config, provider: Provider | null): PublicClient | null {
  const chain = chainOf(config);
  if (config.rpcUrl) return createPublicClient({ chain, pollingInterval: POLL_MS, transport: http(config.rpcUrl, { batch: true, retryCount: 2 }) });
  if (provider) return createPublicClient({ chain, pollingInterval: POLL_MS, transport: custom(provider) });
  return null;
}

/** Tells of the latest block at once, and whenever it is another: also one of the same number or a lower one, after a reorganisation. After a failure it
 * tells of it again. Returns what ends it. */
export function watchHead(client: PublicClient, onHead: (number: bigint, hash: Hex) => void, onError: (error: unknown) => void): () => void {
  let seen: Hex | null = null;
  let ended = false;
  let timer = 0;
  const look = async (): Promise<void> => {
    try {
      const { number, hash } = await client.getBlock();
      if (ended) return;
      if (hash !== seen) onHead(number, hash);
      seen = hash;
    } catch (error) {
      if (ended) return;
      seen = null;
      onError(error);
    }
    timer = window.setTimeout(() => void look(), POLL_MS);
  };
  void look();
  return () => {
    ended = true;
    window.clearTimeout(timer);
  };
}

export class Reader {
  constructor(
    readonly client: PublicClient,
    readonly config: Config,
  ) {}

  private get clearing() {
    return { address: this.config.contracts.Clearinghouse, abi: clearinghouseAbi } as const;
  }

  private get vault() {
    return { address: this.config.contracts.MarginVault, abi: vaultAbi } as const;
  }

  private get fundContract() {
    return { address: this.config.contracts.InsuranceFund, abi: fundAbi } as const;
  }

  private get token() {
    return { address: this.config.collateral.address, abi: tokenAbi } as const;
  }

  async market(market: number): Promise<MarketView> {
    const args = [BigInt(market)] as const;
    const read = this.client.readContract;
    const [params, paused, rate, interest, insuranceLeft, [price, timestamp, status]] = await Promise.all([
      read({ ...this.clearing, functionName: "market_params", args }),
      read({ ...this.clearing, functionName: "is_paused", args }),
      read({ ...this.clearing, functionName: "funding", args }),
      read({ ...this.clearing, functionName: "open_interest", args }),
      read({ ...this.clearing, functionName: "insurance_left", args }),
      this.price(args),
    ]);
    return { price, timestamp, status, paused, rate: rate[1], interest: interest[0], insuranceLeft, params };
  }

  /** Zeros and STALE before the market's first price. */
  private async price(args: readonly [bigint]): Promise<[bigint, bigint, bigint]> {
    try {
      const [quote, status] = await Promise.all([
        this.client.readContract({ ...this.clearing, functionName: "price", args }),
        this.client.readContract({ ...this.clearing, functionName: "price_status", args }),
      ]);
      return [quote[0], quote[1], status];
    } catch (error) {
      if (String(error).includes("market: no price")) return [0n, 0n, STALE];
      throw error;
    }
  }

  async account(account: Hex, owner: Address): Promise<AccountView> {
    const args = [account] as const;
    const read = this.client.readContract;
    const [cash, equity, backing, unsettled, margin, freeCash, group, markets, wallet] = await Promise.all([
      read({ ...this.vault, functionName: "balance_of", args }),
      read({ ...this.clearing, functionName: "equity", args }),
      read({ ...this.clearing, functionName: "backing", args }),
      read({ ...this.clearing, functionName: "unsettled", args }),
      read({ ...this.clearing, functionName: "margin", args }),
      read({ ...this.clearing, functionName: "free_cash", args }),
      read({ ...this.clearing, functionName: "group_of", args }),
      read({ ...this.clearing, functionName: "markets_of", args }),
      read({ ...this.token, functionName: "balanceOf", args: [owner] }),
    ]);
    const ofGroup = [group === 0n ? 1n : group] as const;
    const [claims, shortfall, ...positions] = await Promise.all([
      read({ ...this.clearing, functionName: "claims", args: ofGroup }),
      read({ ...this.clearing, functionName: "shortfall", args: ofGroup }),
      ...markets.map((market) => this.position(account, market)),
    ]);
    return { account, cash, equity, backing, unsettled, initial: margin[0], maintenance: margin[1], freeCash, group, positions, wallet, claims, shortfall };
  }

  private async position(account: Hex, market: bigint): Promise<PositionView> {
    const args = [account, market] as const;
    const read = this.client.readContract;
    const [[size, entry, result], liquidation, [score, ahead, band], bucket] = await Promise.all([
      read({ ...this.clearing, functionName: "position", args }),
      read({ ...this.clearing, functionName: "liquidation_price", args }),
      read({ ...this.clearing, functionName: "adl_rank", args }),
      read({ ...this.clearing, functionName: "bucket_of", args }),
    ]);
    return { market: Number(market), size, entry, result, liquidation, rank: { score, ahead, band }, bucket };
  }

  async fund(owner: Address | null): Promise<FundView> {
    const read = this.client.readContract;
    const of = [owner ?? "0x000000000000000000000000000000000000dEaD"] as const;
    const [insurance, assets, supply, shares, escrowed, readyAt, lapsesAt, cooldown, window, wipedOut] = await Promise.all([
      read({ ...this.vault, functionName: "insurance" }),
      read({ ...this.fundContract, functionName: "totalAssets" }),
      read({ ...this.fundContract, functionName: "totalSupply" }),
      read({ ...this.fundContract, functionName: "balanceOf", args: of }),
      read({ ...this.fundContract, functionName: "escrowed", args: of }),
      read({ ...this.fundContract, functionName: "redeem_ready_at", args: of }),
      read({ ...this.fundContract, functionName: "redeem_lapses_at", args: of }),
      read({ ...this.fundContract, functionName: "cooldown_seconds" }),
      read({ ...this.fundContract, functionName: "window_seconds" }),
      read({ ...this.fundContract, functionName: "is_wiped_out" }),
    ]);
    const worth = await read({ ...this.fundContract, functionName: "convertToAssets", args: [shares + escrowed] });
    return { insurance, assets, supply, shares, worth, escrowed, readyAt, lapsesAt, cooldown, window, wipedOut };
  }

  /** One side of a market's deleveraging queue, first in line first: at most 256 buckets. */
  async queue(market: number, isLong: boolean): Promise<readonly Queued[]> {
    return this.client.readContract({ ...this.clearing, functionName: "queue", args: [BigInt(market), isLong, 0n, 256n] });
  }

  delegateExpiry(account: Hex, delegate: Address): Promise<bigint> {
    return this.client.readContract({ address: this.config.contracts.OrderSettlement, abi: settlementAbi, functionName: "delegate_expiry", args: [account, delegate] });
  }

  /** Payments out of insurance since the deployment, newest first. */
  async draws(): Promise<{ market: bigint; amount: bigint; block: bigint; transaction: Hex }[]> {
    const logs = await this.client.getContractEvents({ ...this.clearing, eventName: "InsuranceDrawn", fromBlock: BigInt(this.config.block), strict: true });
    return logs.map((log) => ({ market: log.args.market, amount: log.args.amount_quote, block: log.blockNumber, transaction: log.transactionHash })).reverse();
  }
}
