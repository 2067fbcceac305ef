import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { edge, inWords, reach, takenFrom, tierOf, waterFill } from "../src/adl.ts";
import { WAD } from "../src/format.ts";

const { edges, tiers } = JSON.parse(readFileSync(process.env["GRID"] ?? "", "utf8"));

test("edges and tiers are those of the reference model", () => {
  for (const [tick, lower] of edges) assert.equal(edge(BigInt(tick)), BigInt(lower), `edge ${tick}`);
  for (const [notional, equity, tier] of tiers) assert.equal(tierOf(BigInt(notional), BigInt(equity)), tier);
});

test("nobody is closed at a loss", () => {
  const price = edge(6000n);
  assert.equal(reach(6000n, true, price), 0n);
  assert.equal(reach(6001n, true, price), 0n);
  assert.equal(reach(5990n, true, price), price - edge(5991n));
  assert.equal(reach(6010n, false, price), edge(6010n) - price);
});

test("where one cap binds, the others move further", () => {
  assert.equal(waterFill([{ size: WAD, cap: 100n }, { size: WAD, cap: 100n }], 50n), 25n);
  assert.equal(waterFill([{ size: WAD, cap: 10n }, { size: WAD, cap: 100n }], 50n), 40n);
  assert.equal(waterFill([{ size: WAD, cap: 10n }, { size: WAD, cap: 20n }], 50n), 20n);
  assert.equal(waterFill([], 50n), 0n);
  assert.equal(waterFill([{ size: WAD, cap: 10n }], 0n), 0n);
});

test("within a bucket all give up the same part; who is behind gives nothing", () => {
  const price = edge(6000n);
  const queue = [
    { bucket_id: 1n, score: 2n, tier: 3n, tick: 5900n, size_base: 4n * WAD },
    { bucket_id: 2n, score: 1n, tier: 3n, tick: 5950n, size_base: 6n * WAD },
  ];
  assert.equal(takenFrom(queue, 1n, WAD, true, price, 2n * WAD, 0n).size, WAD / 2n);
  assert.equal(takenFrom(queue, 2n, WAD, true, price, 2n * WAD, 0n).size, 0n);
  assert.equal(takenFrom(queue, 2n, 3n * WAD, true, price, 7n * WAD, 0n).size, (3n * WAD) / 2n);
  assert.equal(takenFrom(queue, 1n, WAD, true, price, 2n * WAD, 0n).price, price);
});

test("the risk has words", () => {
  assert.equal(inWords({ score: 1n, ahead: 0n, band: 5n }), "ADL risk: high, first in line");
  assert.equal(inWords({ score: 1n, ahead: 1n, band: 5n }), "ADL risk: high, in the first fifth");
  assert.equal(inWords({ score: 1n, ahead: 9n, band: 1n }), "ADL risk: very low, in the last fifth of the queue");
});
