import assert from "node:assert/strict";
import { test } from "node:test";

import type { Config } from "../src/config.ts";
import { costOf, told } from "../src/forced.ts";
import type { ForcedClose } from "../src/relay.ts";

const config = { collateral: { symbol: "tUSD", decimals: 6 }, markets: [{ market: 1, symbol: "BTC" }] } as Config;

function close(kind: ForcedClose["kind"], side: "long" | "short", price: number): ForcedClose {
  const wad = (value: number): string => `${BigInt(value) * 10n ** 15n}`;
  return { id: "1-1", kind, market: 1, side, size: wad(250), price: wad(price * 1_000), oracle_price: wad(100_000_000), timestamp: 1, transaction: "0x00" };
}

test("a deleveraging tells price, cost and that the deposit is whole", () => {
  const forced = close("deleveraged", "long", 99_000);
  assert.equal(costOf(forced), 250n * 10n ** 18n);
  const { title, why } = told(config, forced);
  assert.equal(title, "Your BTC long was deleveraged: 0.250000 at 99,000.0 tUSD");
  assert.match(why, /the oracle's price was 100,000\.0: that gave up 250\.00 tUSD of profit nobody had paid yet\. Your deposit was not touched\./);
});

test("a deleveraging at the oracle's own price costs no money", () => {
  const { why } = told(config, close("deleveraged", "short", 100_000));
  assert.match(why, /it cost you the position and no money/);
  assert.doesNotMatch(why, /gave up/);
});

test("a liquidation of a short above the oracle's price tells the penalty", () => {
  const { title, why } = told(config, close("liquidated", "short", 101_000));
  assert.equal(title, "Your BTC short was liquidated: 0.250000 at 101,000.0 tUSD");
  assert.match(why, /The difference, 250\.00 tUSD, is the penalty/);
});

test("a bankrupt is told that nothing is asked of it", () => {
  const { title, why } = told(config, close("bankrupt", "long", 100_000));
  assert.match(title, /was closed, bankrupt/);
  assert.match(why, /it is not asked of you/);
});
