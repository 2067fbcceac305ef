// ORDERS names a file made by ballast/signing.py (tests/web/test_pure.py): the page has to sign what the contracts read.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { hashTypedData } from "viem";
import { privateKeyToAccount } from "viem/accounts";

import { accountId, domainOf, newSalt, typedOrder } from "../src/order.ts";

const cases = JSON.parse(readFileSync(process.env["ORDERS"] ?? "", "utf8"));

test("hashes, accounts and signatures are those of the Python package", async () => {
  assert.ok(cases.length >= 20);
  for (const { order, owner, sub, chain_id, contract, digest, key, signature } of cases) {
    const domain = domainOf(chain_id, contract);
    const made = { ...order, market: BigInt(order.market), size: BigInt(order.size), limit_price: BigInt(order.limit_price), expiry: BigInt(order.expiry), salt: BigInt(order.salt) };
    assert.equal(accountId(owner, BigInt(sub)), order.account);
    assert.equal(hashTypedData(typedOrder(domain, made)), digest);
    assert.equal(await privateKeyToAccount(key).signTypedData(typedOrder(domain, made)), signature);
  }
});

test("salts rise with time and fit the contract's field", async () => {
  const first = newSalt();
  await new Promise((resolve) => setTimeout(resolve, 3));
  assert.ok(newSalt() > first);
  assert.ok(newSalt() < 2n ** 256n);
});
