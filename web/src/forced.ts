/** What was done to a position by force, and why, in words. */

import type { Config } from "./config.ts";
import { abs, fixed, pricePlaces, sizePlaces, wadMul } from "./format.ts";
import type { ForcedClose } from "./relay.ts";

export interface Told {
  title: string;
  why: string;
}

/** What closing there cost against the oracle's price, quote. */
export function costOf(close: ForcedClose): bigint {
  return wadMul(BigInt(close.size), abs(BigInt(close.oracle_price) - BigInt(close.price)));
}

export function legOf(config: Config, close: ForcedClose): string {
  const symbol = config.markets.find(({ market }) => market === close.market)?.symbol ?? `market ${close.market}`;
  return `${symbol} ${close.side}`;
}

export function told(config: Config, close: ForcedClose): Told {
  const coin = config.collateral.symbol;
  const [size, price, oracle] = [BigInt(close.size), BigInt(close.price), BigInt(close.oracle_price)];
  const [at, cost] = [fixed(price, pricePlaces(oracle)), fixed(costOf(close), 2)];
  const title = `Your ${legOf(config, close)} was ${close.kind === "bankrupt" ? "closed, bankrupt" : close.kind}: ${fixed(size, sizePlaces(oracle))} at ${at} ${coin}`;
  const than = `the oracle's price was ${fixed(oracle, pricePlaces(oracle))}`;
  const whys = {
    deleveraged:
      "An account on the other side went bankrupt, its margin and the insurance fund did not cover all it owed, and you were among the first in the queue. " +
      (price === oracle ? "You were closed at the oracle's own price: it cost you the position and no money." : `You were closed at ${at}, ${than}: that gave up ${cost} ${coin} of profit nobody had paid yet. Your deposit was not touched.`),
    liquidated: `Your equity had fallen below the maintenance margin, so a liquidator took the position over at ${at}; ${than}. The difference, ${cost} ${coin}, is the penalty. What is left of your margin is yours.`,
    bankrupt: `Your losses had used up your margin, so the position was closed against the queue of the other side, for you at the oracle's price. What your margin did not cover was paid by the insurance fund and out of winners' unpaid profit; it is not asked of you.`,
  };
  return { title, why: whys[close.kind] };
}
