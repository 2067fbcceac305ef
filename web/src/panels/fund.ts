/** The insurance fund: what it covers, what it has paid, staking and leaving. */

import type { App } from "../app.ts";
import { draw, facts, field, h, table } from "../dom.ts";
import { explain } from "../errors.ts";
import { fixed, parse, percent, ratio, span, wadMul, when } from "../format.ts";
import { fundAbi } from "../generated/abi.ts";
import type { FundView } from "../chain.ts";
import { isUnderWay } from "../state.ts";
import { transaction } from "./actions.ts";

export function fundPanel(root: HTMLElement, app: App): void {
  const { collateral, contracts } = app.config;
  const coin = collateral.symbol;
  const overview = h("div", { id: "fund-overview" });
  const mine = h("div", { id: "fund-mine" });
  const history = h("div", { id: "fund-history" });
  const amount = field("Amount to stake", coin, { id: "stake-amount", placeholder: "0" });
  const problem = h("p", { role: "alert" });
  const stake = h("button", { type: "submit", class: "main", id: "stake" }, "Stake");
  const form = h("form", {}, h("div", { class: "row" }, amount.row, stake), problem);
  root.append(h("h2", { id: "fund-title" }, "Insurance fund"), overview, h("h3", {}, "Your stake"), mine, form, h("h3", {}, "What the fund has paid"), history);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const units = parse(amount.input.value, collateral.decimals);
    problem.textContent = units ? "" : `Enter an amount above 0 with at most ${collateral.decimals} decimals.`;
    if (units) void app.stake(units).then((good) => good && (amount.input.value = ""));
  });

  const call = (what: string, name: string, args: readonly unknown[]) => (): void => void app.act(what, contracts.InsuranceFund, fundAbi, name, args);
  const phaseOf = (fund: FundView): "waiting" | "open" | "lapsed" => {
    const now = Date.now() / 1000;
    if (now < Number(fund.readyAt)) return "waiting";
    return now <= Number(fund.lapsesAt) ? "open" : "lapsed";
  };
  const leaving = (fund: FundView, usable: boolean): HTMLElement[] => {
    const button = (label: string, act: () => void, id: string): HTMLElement => h("button", { type: "button", id, onclick: act, disabled: !usable, "data-focus": id }, label);
    const { owner } = app.store.state;
    if (fund.escrowed === 0n) {
      if (fund.shares === 0n) return [];
      return [h("p", {}, `Leaving takes a request, ${span(Number(fund.cooldown))} of waiting, and then a window of ${span(Number(fund.window))}; the price is that of the moment you leave.`), button("Request to leave with all", call("Request to leave", "request_redeem", [fund.shares]), "request-redeem")];
    }
    const phase = phaseOf(fund);
    const words = {
      waiting: `Requested. You can leave from ${when(Number(fund.readyAt))}.`,
      open: `You can leave until ${when(Number(fund.lapsesAt))}.`,
      lapsed: "The request has lapsed: withdraw it, and ask again.",
    };
    return [
      h("p", {}, words[phase]),
      h("div", { class: "row" }, phase === "open" ? button("Leave now", call("Leave the fund", "redeem", [fund.escrowed, owner, owner]), "redeem") : null, button("Withdraw the request", call("Withdraw the request", "cancel_redeem", []), "cancel-redeem")),
    ];
  };

  let loaded: bigint | null = null;
  const load = async (): Promise<void> => {
    try {
      const draws = await app.readable().draws();
      const rows = draws.map((paid) => [`block ${paid.block}`, paid.market ? (app.config.markets.find((market) => market.market === Number(paid.market))?.symbol ?? String(paid.market)) : "no market left", `${fixed(paid.amount, 2)} ${coin}`, transaction(paid.transaction, app)]);
      draw(history, draws, () => [table("Payments of the insurance fund", ["When", "Market", "Paid", "Transaction"], rows, "Nothing yet: no deficit has reached the fund.")]);
    } catch (error) {
      loaded = null;
      draw(history, "failed", () => [h("p", { class: "empty" }, `The history cannot be read: ${explain(error).detail}`)]);
    }
  };

  app.store.watch((state) => {
    const { fund } = state;
    const usable = state.owner !== null && state.walletChain === app.config.chain_id;
    stake.disabled = !usable || (fund?.wipedOut ?? false) || isUnderWay(state, "Stake");
    const open = Object.values(state.markets).reduce((sum, market) => sum + wadMul(market.interest, market.price), 0n);
    draw(overview, [fund?.insurance, fund?.wipedOut, open], () => {
      if (!fund) return [h("p", { class: "empty" }, "The fund has not been read from the chain yet.")];
      return [
        fund.wipedOut ? h("div", { class: "notice bad" }, h("strong", {}, "The fund is wiped out"), "Its shares are worth nothing, and it takes no new stakes: old shares must not be refilled.") : null,
        facts([
          ["Holds", `${fixed(fund.insurance, 2)} ${coin}`],
          ["Covers", open ? percent(ratio(fund.insurance, open), 2) : "–", `of ${fixed(open, 0)} ${coin} open on each side`],
        ]),
      ];
    });
    draw(mine, [fund, fund && phaseOf(fund), usable, state.owner], () => {
      if (!state.owner || !fund) return [h("p", { class: "empty" }, "Connect a wallet to stake. Stakers earn a share of fees and penalties, and pay deficits first.")];
      return [facts([["Worth now", `${fixed(fund.worth, 2, collateral.decimals)} ${coin}`, `${percent(ratio(fund.shares + fund.escrowed, fund.supply), 2)} of the fund`]]), ...leaving(fund, usable)];
    });
    if (fund && fund.insurance !== loaded) {
      loaded = fund.insurance;
      void load();
    }
  });
}
