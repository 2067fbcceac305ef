/** The relay: docs/RELAY.md. It keeps orders and history; it is never asked for what the chain says of money. */

import type { Hex } from "viem";

import type { Order } from "./order.ts";

export type Level = [price: string, size: string, orders: number];

export interface Book {
  market: number;
  seq: number;
  bids: Level[];
  asks: Level[];
}

export interface Trade {
  id: string;
  price: string;
  size: string;
  taker_side: "buy" | "sell";
  timestamp: number;
  transaction: Hex;
}

export interface RelayOrder {
  hash: Hex;
  market: number;
  is_buy: boolean;
  size: string;
  limit_price: string;
  reduce_only: boolean;
  post_only: boolean;
  expiry: string;
  status: "open" | "filled" | "cancelled" | "expired" | "removed";
  reason: string;
  filled: string;
  in_flight: string;
  created_ms: number;
}

export interface Fill {
  id: string;
  market: number;
  side: "buy" | "sell";
  is_maker: boolean;
  price: string;
  size: string;
  fee: string;
  timestamp: number;
  transaction: Hex;
}

export interface ForcedClose {
  id: string;
  kind: "deleveraged" | "liquidated" | "bankrupt";
  market: number;
  side: "long" | "short";
  size: string;
  price: string;
  oracle_price: string;
  timestamp: number;
  transaction: Hex;
}

export interface Funding {
  id: string;
  market: number;
  size: string;
  amount: string;
  from: number;
  to: number;
}

export interface Candle {
  time: number;
  open: string;
  high: string;
  low: string;
  close: string;
}

export class RelayError extends Error {
  constructor(
    public code: string,
    message: string,
    public hint: string,
  ) {
    super(message);
  }
}

export class Relay {
  constructor(private base: string) {}

  place(order: Order, signature: Hex): Promise<RelayOrder> {
    const strings = { ...order, market: Number(order.market), size: `${order.size}`, limit_price: `${order.limit_price}`, expiry: `${order.expiry}`, salt: `${order.salt}` };
    return this.ask("/orders", { method: "POST", body: { order: strings, signature } });
  }

  cancel(hash: Hex, signature: Hex): Promise<RelayOrder> {
    return this.ask(`/orders/${hash}`, { method: "DELETE", body: { signature } });
  }

  async trades(market: number): Promise<Trade[]> {
    return (await this.ask<{ trades: Trade[] }>(`/trades/${market}?limit=50`)).trades;
  }

  async candles(market: number, interval: number): Promise<Candle[]> {
    return (await this.ask<{ candles: Candle[] }>(`/candles/${market}?interval=${interval}&of=oracle`)).candles;
  }

  async openOrders(account: Hex): Promise<RelayOrder[]> {
    return (await this.ask<{ orders: RelayOrder[] }>(`/accounts/${account}/orders?status=open`)).orders;
  }

  async fills(account: Hex): Promise<Fill[]> {
    return (await this.ask<{ fills: Fill[] }>(`/accounts/${account}/fills`)).fills;
  }

  async forcedCloses(account: Hex): Promise<ForcedClose[]> {
    return (await this.ask<{ forced_closes: ForcedClose[] }>(`/accounts/${account}/forced-closes`)).forced_closes;
  }

  async funding(account: Hex): Promise<Funding[]> {
    return (await this.ask<{ funding: Funding[] }>(`/accounts/${account}/funding`)).funding;
  }

  /** The stream of some channels, joined again (with a pause) whenever it is cut; returns what ends it. */
  stream(channels: string[], onMessage: (message: StreamMessage) => void, onState: (up: boolean) => void): () => void {
    let socket: WebSocket | null = null;
    let ended = false;
    let pause = 1_000;
    const join = (): void => {
      if (ended) return;
      const address = new URL(`${this.base}/api/stream`, location.href);
      address.protocol = address.protocol.replace("http", "ws");
      socket = new WebSocket(address);
      socket.onopen = () => {
        pause = 1_000;
        onState(true);
        socket?.send(JSON.stringify({ op: "subscribe", channels }));
      };
      socket.onmessage = (event: MessageEvent<string>) => onMessage(JSON.parse(event.data) as StreamMessage);
      socket.onclose = () => {
        onState(false);
        setTimeout(join, pause);
        pause = Math.min(8_000, pause * 2);
      };
    };
    join();
    return () => {
      ended = true;
      if (socket) socket.onclose = null;
      socket?.close();
    };
  }

  private async ask<T>(path: string, request: { method?: string; body?: unknown } = {}): Promise<T> {
    let answer: Response;
    try {
      answer = await fetch(`${this.base}/api${path}`, {
        method: request.method ?? "GET",
        signal: AbortSignal.timeout(15_000),
        ...(request.body ? { body: JSON.stringify(request.body), headers: { "Content-Type": "application/json" } } : {}),
      });
    } catch {
      throw new RelayError("unreachable", "the relay does not answer", "your money does not depend on it: deposits, withdrawals and cancelling work on chain");
    }
    const content = (await answer.json().catch(() => null)) as { error?: { code: string; message: string; hint: string } } | null;
    if (!answer.ok || content === null) {
      throw new RelayError(content?.error?.code ?? "unreachable", content?.error?.message ?? `the relay answered ${answer.status}`, content?.error?.hint ?? "try again in a moment");
    }
    return content as T;
  }
}

export interface StreamMessage {
  channel?: string;
  type?: "snapshot" | "update" | "trades" | "undone" | "prices" | "account" | "order" | "fill" | "forced_close";
  seq?: number;
  prev?: number;
  bids?: Level[];
  asks?: Level[];
  trades?: Trade[];
}

/** A book after an update; null where one was missed. */
export function updated(book: Book, change: StreamMessage): Book | null {
  if (change.prev !== book.seq || change.seq === undefined) return null;
  return { ...book, seq: change.seq, bids: merged(book.bids, change.bids ?? [], -1), asks: merged(book.asks, change.asks ?? [], 1) };
}

function merged(levels: Level[], changes: Level[], direction: 1 | -1): Level[] {
  const byPrice = new Map(levels.map((level) => [level[0], level]));
  for (const level of changes) {
    if (level[1] === "0") byPrice.delete(level[0]);
    else byPrice.set(level[0], level);
  }
  return [...byPrice.values()].sort((a, b) => direction * (BigInt(a[0]) < BigInt(b[0]) ? -1 : 1));
}
