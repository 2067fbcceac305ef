import assert from "node:assert/strict";
import { test } from "node:test";

import { WAD, fixed, parse, percent, plain, pricePlaces, signed, sizePlaces } from "../src/format.ts";

test("amounts have steady decimals and grouped thousands", () => {
  assert.equal(fixed(1_234_567n * WAD, 2), "1,234,567.00");
  assert.equal(fixed(0n, 2), "0.00");
  assert.equal(fixed(5n, 0, 0), "5");
  assert.equal(fixed(1_500_000n, 2, 6), "1.50");
  assert.equal(fixed(1n, 4, 2), "0.0100");
});

test("rounding is half away from zero, on both sides of it", () => {
  assert.equal(fixed(WAD / 200n, 2), "0.01");
  assert.equal(fixed(-WAD / 200n, 2), "−0.01");
  assert.equal(fixed(WAD / 200n - 1n, 2), "0.00");
  assert.equal(fixed(999_999n * 10n ** 12n, 2), "1.00");
});

test("nothing is shown as minus zero, and a change has its sign", () => {
  assert.equal(fixed(-1n, 2), "0.00");
  assert.equal(signed(1n, 2), "0.00");
  assert.equal(signed(WAD, 2), "+1.00");
  assert.equal(signed(-WAD, 2), "−1.00");
});

test("what a person types is taken exactly, or not at all", () => {
  assert.equal(parse("1,234.5"), 12_345n * 10n ** 17n);
  assert.equal(parse(".5", 6), 500_000n);
  assert.equal(parse("1.", 6), 1_000_000n);
  for (const wrong of ["", ".", "-1", "1e5", "0x10", "1.2.3", "1 000", "abc"]) assert.equal(parse(wrong), null, wrong);
  assert.equal(parse("0.0000001", 6), null, "finer than the token");
});

test("what is shown plainly can be typed again", () => {
  for (const value of [0n, 1n, 123_456_789n * 10n ** 12n]) assert.equal(parse(plain(value, 18)), value);
});

test("decimals follow the price", () => {
  assert.deepEqual([100_000n * WAD, 4_000n * WAD, WAD, WAD / 1_000n].map(pricePlaces), [1, 2, 5, 8]);
  assert.deepEqual([100_000n * WAD, 4_000n * WAD, WAD].map(sizePlaces), [6, 4, 1]);
  assert.equal(percent(WAD / 3n), "33.33 %");
});
