/** What would come of something, asked of the chain: `eth_simulateV1` runs calls on the latest state and keeps nothing.
 *
 * A fill needs another side. The simulation makes one: it lends a nameless account the vault's own tokens as often as it
 * takes, has it deposit them, and lets the order settlement (the venue) fill against it. What the trader's account is then, the contracts' own views say.
 */

import { decodeEventLog, encodeFunctionData, decodeFunctionResult, decodeErrorResult, parseAbi, type Address, type Hex } from "viem";

import type { Rank, Reader } from "./chain.ts";
import { explainReason, type Explained } from "./errors.ts";
import { WAD, wadMul } from "./format.ts";
import { clearinghouseAbi, tokenAbi, vaultAbi } from "./generated/abi.ts";
import { accountId } from "./order.ts";

const OTHER: Address = "0x000000000000000000000000000000000ba11a57";
const MOST_LOANS = 24n;

interface Call {
  from?: Address;
  to: Address;
  data: Hex;
}

interface Outcome {
  status: Hex;
  returnData: Hex;
  logs: { address: Address; topics: [Hex, ...Hex[]]; data: Hex }[];
  error?: { message: string; data?: Hex };
}

export interface Preview {
  fee: bigint;
  size: bigint;
  entry: bigint;
  equity: bigint;
  backing: bigint;
  initial: bigint;
  maintenance: bigint;
  liquidation: bigint;
  rank: Rank;
}

export class Refused extends Error {
  constructor(readonly why: Explained) {
    super(why.title);
  }
}

export class CannotSimulate extends Error {}

/** Runs blocks of calls one after the other. Throws `CannotSimulate` where the node has no such method. */
async function simulate(reader: Reader, blocks: Call[][]): Promise<Outcome[][]> {
  try {
    const answer = await reader.client.request({
      method: "eth_simulateV1",
      params: [{ blockStateCalls: blocks.map((calls) => ({ calls })), validation: false }, "latest"],
    } as never);
    return (answer as unknown as { calls: Outcome[] }[]).map((block) => block.calls);
  } catch (error) {
    throw new CannotSimulate(error instanceof Error ? error.message : String(error));
  }
}

function reasonOf(outcome: Outcome): string {
  const data = outcome.error?.data ?? outcome.returnData;
  try {
    return String(decodeErrorResult({ abi: parseAbi(["error Error(string)"]), data }).args[0]);
  } catch {
    return outcome.error?.message ?? "reverted without a reason";
  }
}

function mustPass(outcome: Outcome | undefined): Outcome {
  if (!outcome) throw new CannotSimulate("the node left out an answer");
  if (BigInt(outcome.status) !== 1n) throw new Refused(explainReason(reasonOf(outcome)));
  return outcome;
}

export interface Wanted {
  account: Hex;
  market: number;
  isBuy: boolean;
  size: bigint;
  price: bigint;
  isMaker: boolean;
}

/** The account as it would be once the whole order were filled at `price`. Throws `Refused` with the contract's reason. */
export async function previewFill(reader: Reader, wanted: Wanted, marginBps: bigint): Promise<Preview> {
  const { Clearinghouse, OrderSettlement, MarginVault } = reader.config.contracts;
  const token = reader.config.collateral;
  const other = accountId(OTHER, 0n);
  const market = BigInt(wanted.market);
  const held = await reader.client.readContract({ address: token.address, abi: tokenAbi, functionName: "balanceOf", args: [MarginVault] });
  if (held === 0n) throw new Refused(explainReason("margin: below initial"));
  const scale = 10n ** BigInt(18 - token.decimals);
  const need = (wadMul(wanted.size, wanted.price) * (marginBps + 3_000n)) / 10_000n / scale + 1n;
  const loans = need / held + 1n > MOST_LOANS ? MOST_LOANS : need / held + 1n;
  const calls: Call[] = [{ from: OTHER, to: token.address, data: encodeFunctionData({ abi: tokenAbi, functionName: "approve", args: [MarginVault, 2n ** 255n] }) }];
  for (let loan = 0n; loan < loans; loan += 1n) {
    calls.push({ from: MarginVault, to: token.address, data: encodeFunctionData({ abi: tokenAbi, functionName: "transfer", args: [OTHER, held] }) });
    calls.push({ from: OTHER, to: MarginVault, data: encodeFunctionData({ abi: vaultAbi, functionName: "deposit", args: [other, held] }) });
  }
  const [taker, maker] = wanted.isMaker ? [other, wanted.account] : [wanted.account, other];
  const takerBuys = wanted.isMaker ? !wanted.isBuy : wanted.isBuy;
  const place = calls.length;
  calls.push({
    from: OrderSettlement,
    to: Clearinghouse,
    data: encodeFunctionData({ abi: clearinghouseAbi, functionName: "fill_orders", args: [market, taker, takerBuys, [maker], [wanted.size], [wanted.price]] }),
  });
  const after = viewsOf(Clearinghouse, wanted.account, market);
  const [outcomes] = await simulate(reader, [[...calls, ...after]]);
  const filled = mustPass(outcomes?.[place]);
  const views = (outcomes ?? []).slice(place + 1).map(mustPass);
  return { fee: feeIn(filled, Clearinghouse, wanted), ...decoded(views) };
}

function viewsOf(to: Address, account: Hex, market: bigint): Call[] {
  const abi = clearinghouseAbi;
  return [
    { to, data: encodeFunctionData({ abi, functionName: "equity", args: [account] }) },
    { to, data: encodeFunctionData({ abi, functionName: "backing", args: [account] }) },
    { to, data: encodeFunctionData({ abi, functionName: "margin", args: [account] }) },
    { to, data: encodeFunctionData({ abi, functionName: "position", args: [account, market] }) },
    { to, data: encodeFunctionData({ abi, functionName: "liquidation_price", args: [account, market] }) },
    { to, data: encodeFunctionData({ abi, functionName: "adl_rank", args: [account, market] }) },
  ];
}

function decoded(views: Outcome[]): Omit<Preview, "fee"> {
  const abi = clearinghouseAbi;
  const data = (place: number): Hex => views[place]?.returnData ?? "0x";
  const [initial, maintenance] = decodeFunctionResult({ abi, functionName: "margin", data: data(2) });
  const [size, entry] = decodeFunctionResult({ abi, functionName: "position", data: data(3) });
  const [score, ahead, band] = decodeFunctionResult({ abi, functionName: "adl_rank", data: data(5) });
  return {
    equity: decodeFunctionResult({ abi, functionName: "equity", data: data(0) }),
    backing: decodeFunctionResult({ abi, functionName: "backing", data: data(1) }),
    initial,
    maintenance,
    size,
    entry,
    liquidation: decodeFunctionResult({ abi, functionName: "liquidation_price", data: data(4) }),
    rank: { score, ahead, band },
  };
}

function feeIn(outcome: Outcome, clearinghouse: Address, wanted: Wanted): bigint {
  for (const log of outcome.logs) {
    if (log.address.toLowerCase() !== clearinghouse.toLowerCase()) continue;
    const event = decodeEventLog({ abi: clearinghouseAbi, topics: log.topics, data: log.data, strict: false });
    if (event.eventName === "Fill") return (wanted.isBuy ? event.args.buyer_fee_quote : event.args.seller_fee_quote) ?? 0n;
  }
  return 0n;
}

/** Where a leg would stand in the queue after `refresh`, and (with `deposit`, token units the wallet holds) after a deposit a block before it. */
export async function previewRefresh(reader: Reader, account: Hex, market: number, deposit: { payer: Address; amount: bigint } | null): Promise<Rank> {
  const { Clearinghouse, MarginVault } = reader.config.contracts;
  const blocks: Call[][] = [];
  if (deposit) {
    blocks.push([
      { from: deposit.payer, to: reader.config.collateral.address, data: encodeFunctionData({ abi: tokenAbi, functionName: "approve", args: [MarginVault, deposit.amount] }) },
      { from: deposit.payer, to: MarginVault, data: encodeFunctionData({ abi: vaultAbi, functionName: "deposit", args: [account, deposit.amount] }) },
    ]);
  }
  blocks.push([
    { from: OTHER, to: Clearinghouse, data: encodeFunctionData({ abi: clearinghouseAbi, functionName: "refresh", args: [account] }) },
    { to: Clearinghouse, data: encodeFunctionData({ abi: clearinghouseAbi, functionName: "adl_rank", args: [account, BigInt(market)] }) },
  ]);
  const outcomes = (await simulate(reader, blocks)).flat().map(mustPass);
  const [score, ahead, band] = decodeFunctionResult({ abi: clearinghouseAbi, functionName: "adl_rank", data: outcomes.at(-1)?.returnData ?? "0x" });
  return { score, ahead, band };
}

/** Notional over equity, WAD; null where nothing is left to carry it. */
export function leverage(notional: bigint, equity: bigint): bigint | null {
  return equity > 0n ? (notional * WAD) / equity : null;
}
