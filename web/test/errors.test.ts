import assert from "node:assert/strict";
import { test } from "node:test";

import { explain, explainReason, reasonIn } from "../src/errors.ts";
import { REASONS } from "../src/generated/reasons.ts";
import { RelayError, updated } from "../src/relay.ts";

test("every documented reason is known, in words", () => {
  assert.ok(Object.keys(REASONS).length > 150);
  const { detail } = explainReason("margin: below initial");
  assert.match(detail, /What to do: deposit, or ask for less/);
  assert.doesNotMatch(detail, /`/);
});

test("the reason is found in whatever a node or wallet wraps it in", () => {
  assert.equal(reasonIn("execution reverted: revert: vault: insufficient cash"), "vault: insufficient cash");
  assert.equal(explain(new Error("boom: market: paused!")).reason, "market: paused");
  assert.equal(reasonIn("nothing known"), null);
});

test("declining is no fault, and the relay's words are passed on", () => {
  assert.match(explain(Object.assign(new Error("x"), { code: 4001 })).title, /You declined/);
  assert.equal(explain(new RelayError("expired", "the expiry has passed", "sign again")).detail, "The expiry has passed. Sign again.");
});

test("a book follows its updates, and knows when it missed one", () => {
  const book = { market: 1, seq: 4, bids: [["10", "1", 1]], asks: [["12", "1", 1]] } as never;
  const next = updated(book, { prev: 4, seq: 5, bids: [["11", "2", 1], ["10", "0", 0]], asks: [["13", "1", 1]] });
  assert.deepEqual(next?.bids, [["11", "2", 1]]);
  assert.deepEqual(next?.asks.map((level) => level[0]), ["12", "13"]);
  assert.equal(updated(book, { prev: 5, seq: 6 }), null);
});
