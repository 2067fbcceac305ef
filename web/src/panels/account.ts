/** The account's money: what it has, what waits to be paid, deposit and withdrawal. */

import type { App } from "../app.ts";
import { draw, facts, field, h } from "../dom.ts";
import { fixed, parse, plain, signed, wadMul, abs } from "../format.ts";
import { vaultAbi } from "../generated/abi.ts";
import { leverage } from "../simulate.ts";
import { isUnderWay } from "../state.ts";

const FAUCET_TOKENS = 10_000n;

export function accountPanel(root: HTMLElement, app: App): void {
  const { collateral, contracts } = app.config;
  const coin = collateral.symbol;
  const scale = 10n ** BigInt(18 - collateral.decimals);
  const sub = field("Subaccount", "(another number: isolated)", { id: "subaccount", value: "0", inputmode: "numeric" });
  const money = h("div", { id: "money" });
  const claim = h("div", { id: "claim" });
  const amount = field("Amount", coin, { id: "amount", placeholder: "0" });
  const problem = h("p", { id: "amount-problem", role: "alert" });
  const deposit = h("button", { type: "button", class: "main", id: "deposit" }, "Deposit");
  const withdraw = h("button", { type: "button", id: "withdraw" }, "Withdraw");
  const most = h("button", { type: "button", id: "most", class: "small" }, "All that is free");
  const faucet = h("button", { type: "button", id: "faucet" }, `Get ${fixed(FAUCET_TOKENS, 0, 0)} test ${coin}`);
  const form = h("form", {}, amount.row, problem, h("div", { class: "row" }, deposit, withdraw, most, collateral.is_faucet ? faucet : null));
  root.append(h("h2", { id: "account-title" }, "Your account"), sub.row, money, claim, h("h3", {}, "Move money"), form);

  sub.input.addEventListener("change", () => {
    const number = parse(sub.input.value, 0);
    if (number !== null && number < 2n ** 96n) app.subaccount(number);
    else sub.input.value = app.store.state.sub.toString();
  });
  form.addEventListener("submit", (event) => event.preventDefault());

  const wanted = (limit: bigint, why: string): bigint | null => {
    problem.textContent = "";
    const units = parse(amount.input.value, collateral.decimals);
    if (!units) problem.textContent = `Enter an amount above 0 with at most ${collateral.decimals} decimals.`;
    else if (units > limit) problem.textContent = `${why}: at most ${fixed(limit, 2, collateral.decimals)} ${coin}.`;
    else return units;
    amount.input.focus();
    return null;
  };
  deposit.addEventListener("click", () => {
    const units = wanted(app.store.state.view?.wallet ?? 0n, "Your wallet holds less");
    if (units) void app.deposit(units).then((good) => good && (amount.input.value = ""));
  });
  withdraw.addEventListener("click", () => {
    const { view, account, owner } = app.store.state;
    const units = wanted((view?.freeCash ?? 0n) / scale, "Not all of it is free");
    if (units) void app.act("Withdraw", contracts.MarginVault, vaultAbi, "withdraw", [account, units, owner]).then((good) => good && (amount.input.value = ""));
  });
  most.addEventListener("click", () => {
    const free = ((app.store.state.view?.freeCash ?? 0n) / scale) * scale;
    amount.input.value = plain(free, collateral.decimals);
    amount.input.focus();
  });
  faucet.addEventListener("click", () => void app.mint(FAUCET_TOKENS * 10n ** BigInt(collateral.decimals)));

  app.store.watch((state) => {
    const { view } = state;
    const usable = state.owner !== null && state.walletChain === app.config.chain_id;
    most.disabled = !usable;
    deposit.disabled = !usable || isUnderWay(state, "Deposit");
    withdraw.disabled = !usable || isUnderWay(state, "Withdraw");
    faucet.disabled = !usable || isUnderWay(state, "Test money");
    const notional = view?.positions.reduce((sum, p) => sum + wadMul(abs(p.size), state.markets[p.market]?.price ?? 0n), 0n) ?? 0n;
    draw(money, [view, notional, state.owner], () => {
      if (!state.owner) return [h("p", { class: "empty" }, "Connect a wallet to see your account.")];
      if (!view) return [h("p", { class: "empty" }, "Reading your account…")];
      const lever = leverage(notional, view.equity);
      return [
        facts([
          ["Equity", `${fixed(view.equity, 2)} ${coin}`],
          ["Cash", `${fixed(view.cash, 2)} ${coin}`],
          ["Free to withdraw", `${fixed(view.freeCash, 2)} ${coin}`],
          ["Initial margin", `${fixed(view.initial, 2)} ${coin}`, `backing ${fixed(view.backing, 2)}`],
          ["Maintenance margin", `${fixed(view.maintenance, 2)} ${coin}`],
          ["Leverage", lever === null ? "–" : `${fixed(lever, 2)}×`],
          ["In your wallet", `${fixed(view.wallet, 2, collateral.decimals)} ${coin}`],
        ]),
      ];
    });
    const settles = isUnderWay(state, "Settle");
    draw(claim, [view?.unsettled, usable, settles], () => {
      const button = h("button", { type: "button", id: "settle", onclick: () => void app.settle(), disabled: !usable || settles, "data-focus": "settle" }, "Settle now");
      if (!view || (view.unsettled >= 0n && view.unsettled < scale)) return [];
      if (view.unsettled > 0n) {
        return [h("div", { class: "notice warn" }, h("strong", {}, `Claim waiting: ${signed(view.unsettled, 2)} ${coin}`), "Profit you have realised and that has not been paid out yet. Settling pays you your part of what the pool holds; more comes in as losers close, or are settled, which anyone may do.", h("div", { class: "row" }, button))];
      }
      return [h("div", { class: "notice bad" }, h("strong", {}, `Owed: ${fixed(view.unsettled, 2)} ${coin}`), "A loss your cash did not cover. Nothing that adds risk is possible until it is paid: deposit, then settle.", h("div", { class: "row" }, button))];
    });
  });
}
