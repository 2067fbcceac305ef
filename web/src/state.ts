/** All the page knows, in one object; panels are told when it changes. */

import type { Address, Hex } from "viem";

import type { AccountView, FundView, MarketView } from "./chain.ts";
import type { Config } from "./config.ts";
import type { Book, ForcedClose, RelayOrder, Trade } from "./relay.ts";
import type { Announced } from "./wallet.ts";

/** What was asked of the chain or the wallet, and how it went. */
export interface Action {
  id: number;
  what: string;
  stage: "wallet" | "pending" | "done" | "failed";
  title: string;
  detail: string;
  transaction: Hex | null;
}

export interface State {
  config: Config;
  market: number;
  wallets: Announced[];
  wallet: Announced | null;
  owner: Address | null;
  walletChain: number | null;
  sub: bigint;
  account: Hex | null;
  markets: Record<number, MarketView>;
  view: AccountView | null;
  fund: FundView | null;
  block: bigint;
  /** The latest block's hash: after a reorganisation another one has the same number. */
  head: Hex | null;
  chainError: string | null;
  relayUp: boolean;
  book: Book | null;
  trades: Trade[];
  orders: RelayOrder[];
  /** The account's, newest first; null while the relay has not told them. */
  forcedCloses: ForcedClose[] | null;
  actions: Action[];
}

/** Whether something of this name waits for the wallet or for its block. */
export function isUnderWay(state: State, what: string): boolean {
  return state.actions.some((action) => action.what === what && (action.stage === "wallet" || action.stage === "pending"));
}

export type Listener = (state: State) => void;

export class Store {
  private listeners: Listener[] = [];
  private queued = false;

  constructor(public state: State) {}

  set(change: Partial<State>): void {
    Object.assign(this.state, change);
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      for (const listener of this.listeners) listener(this.state);
    });
  }

  /** Call `listener` now and after every change. */
  watch(listener: Listener): void {
    this.listeners.push(listener);
    listener(this.state);
  }
}
