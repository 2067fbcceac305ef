/** Auto-deleveraging, as the chain has it: the rank, what is ahead, what a bankruptcy would take, what would lower the risk, and what has been taken. */

import type { App } from "../app.ts";
import { BANDS, TIER_LEVERAGE, equityFor, inWords, takenFrom, tierOf } from "../adl.ts";
import type { PositionView, Queued, Rank } from "../chain.ts";
import { draw, facts, field, h, table } from "../dom.ts";
import { costOf, legOf, told } from "../forced.ts";
import { WAD, abs, fixed, parse, percent, pricePlaces, ratio, signed, sizePlaces, wadMul, when } from "../format.ts";
import { clearinghouseAbi } from "../generated/abi.ts";
import { previewRefresh } from "../simulate.ts";
import { isUnderWay, type State } from "../state.ts";
import { transaction } from "./actions.ts";

const TICK_BITS = 13n;
const TIER_MASK = 7n;
const REFRESH = "Refresh the rank";
const TOLD = 3;

export function adlPanel(root: HTMLElement, app: App): void {
  const coin = app.config.collateral.symbol;
  const rank = h("div", { id: "adl-rank" });
  const share = field("Of the other side, bankrupt", "% of open interest", { id: "adl-share", value: "20" });
  const owed = field("Owing beyond its margin", "% of its size", { id: "adl-owed", value: "1" });
  const taken = h("div", { id: "adl-taken" });
  const lower = h("div", { id: "adl-lower" });
  const record = h("div", { id: "adl-record" });
  root.append(
    h("h2", { id: "adl-title" }, "Auto-deleveraging (ADL)"),
    rank,
    h(
      "div",
      { class: "adl-columns" },
      h("div", {}, h("h3", {}, "If the other side went bankrupt now"), h("div", { class: "row" }, share.row, owed.row), taken),
      h("div", {}, h("h3", {}, "What would lower it"), lower),
    ),
    h("h3", {}, "Your forced closes"),
    record,
  );

  let queue: readonly Queued[] = [];
  let asked = "";
  const mine = (): PositionView | undefined => app.store.state.view?.positions.find((position) => position.market === app.store.state.market && position.size !== 0n);

  const drawTaken = (): void => {
    const { state } = app.store;
    const position = mine();
    const market = state.markets[state.market];
    const [percentage, owing] = [parse(share.input.value, 16), parse(owed.input.value, 16)];
    draw(taken, [position, market, percentage, owing, queue], () => {
      if (!position || !market) return [h("p", { class: "empty" }, "Nothing: you have no position in this market.")];
      if (percentage === null || owing === null) return [h("p", { class: "empty" }, "Enter two percentages.")];
      const closed = wadMul(market.interest, percentage > WAD ? WAD : percentage);
      const notional = wadMul(closed, market.price);
      const deficit = wadMul(notional, owing);
      const most = [market.insuranceLeft, (notional * market.params.maintenance_margin_bps) / 10_000n, deficit, state.fund?.insurance ?? 0n];
      const insurance = most.reduce((least, value) => (value < least ? value : least));
      const got = takenFrom(queue, position.bucket, abs(position.size), position.size > 0n, market.price, closed, deficit - insurance);
      const [pp, sp] = [pricePlaces(market.price), sizePlaces(market.price)];
      return [
        facts([
          ["Closed against the queue", fixed(closed, sp), `of ${fixed(market.interest, sp)}`],
          ["Owed, and paid by insurance", `${fixed(deficit, 2)} and ${fixed(insurance, 2)} ${coin}`],
          ["Taken from you", fixed(got.size, sp), `${percent(ratio(got.size, abs(position.size)), 1)} of your position`],
          ["At a price of", `${fixed(got.price, pp)} ${coin}`, got.cost ? "worse than the oracle's" : "the oracle's own"],
          ["That gives up", `${fixed(got.cost, 2)} ${coin}`, "of unpaid profit; never of your deposit"],
        ]),
      ];
    });
  };
  share.input.addEventListener("input", drawTaken);
  owed.input.addEventListener("input", drawTaken);

  const drawLower = async (): Promise<void> => {
    const { state } = app.store;
    const position = mine();
    const { account, view, owner } = state;
    if (!position || !view || !account || !owner || !app.reader) return draw(lower, "none", () => [h("p", { class: "empty" }, "Nothing to lower: you have no position in this market.")]);
    const notional = view.positions.reduce((sum, p) => sum + wadMul(abs(p.size), state.markets[p.market]?.price ?? 0n), 0n);
    const ranked = Number((position.bucket >> TICK_BITS) & TIER_MASK);
    const now = tierOf(notional, view.equity);
    const goal = Math.min(ranked, now) - 1;
    const missing = goal >= 0 ? equityFor(goal, notional) - view.equity : 0n;
    const scale = 10n ** BigInt(18 - app.config.collateral.decimals);
    const units = missing > 0n ? missing / scale + 1n : 0n;
    const refreshed = await previewRefresh(app.reader, account, state.market, null).catch(() => null);
    const deposited = units > 0n && units <= view.wallet ? await previewRefresh(app.reader, account, state.market, { payer: owner, amount: units }).catch(() => null) : null;
    const refresh = (): void => void app.act(REFRESH, app.config.contracts.Clearinghouse, clearinghouseAbi, "refresh", [account]);
    const waits = isUnderWay(state, REFRESH);
    draw(lower, [ranked, now, units, refreshed, deposited, position.rank, waits], () => [
      h(
        "ul",
        {},
        now < ranked
          ? h("li", {}, `Your account's leverage has fallen since you were ranked (tier ${tierName(ranked)}, now ${tierName(now)}). Refreshing the rank ${outcome(position.rank, refreshed)}. `, h("button", { class: "small", id: "refresh-rank", onclick: refresh, disabled: waits, "data-focus": "refresh" }, "Refresh now"))
          : h("li", {}, `You are ranked by your present leverage (tier ${tierName(now)}): refreshing ${outcome(position.rank, refreshed)}.`),
        units > 0n ? h("li", {}, `Depositing ${fixed(units, 2, app.config.collateral.decimals)} ${coin}, and refreshing in a later block, brings you to tier ${tierName(goal)}${deposited ? ` and ${outcome(position.rank, deposited)}` : ""}.`) : null,
        h("li", {}, "A smaller position has less that can be taken, and less leverage."),
        h("li", {}, "Closing and opening again at today's price moves your entry: the queue ranks by profit since entry."),
      ),
    ]);
  };

  app.store.watch((state) => {
    const position = mine();
    draw(rank, [position?.rank, position?.size, state.markets[state.market], state.owner], () => ranking(app, position));
    draw(record, [state.forcedCloses, state.account, state.relayUp], () => recorded(app, state));
    drawTaken();
    const now = `${state.head} ${state.account} ${state.market} ${position?.bucket} ${position?.size} ${isUnderWay(state, REFRESH)}`;
    if (now === asked) return;
    asked = now;
    void drawLower();
    const { reader } = app;
    if (!reader || !position) return;
    const market = state.market;
    void reader.queue(market, position.size > 0n).then(
      (found) => {
        if (market !== app.store.state.market) return;
        queue = found;
        drawTaken();
      },
      () => undefined,
    );
  });
}

function ranking(app: App, position: PositionView | undefined): HTMLElement[] {
  const { state } = app.store;
  const market = state.markets[state.market];
  if (!position || !market) return [h("p", { class: "empty" }, "You have no position in this market. Winners are ranked by profit times leverage; when a bankrupt account's margin and the insurance fund do not suffice, the first in line are closed against it.")];
  const sp = sizePlaces(market.price);
  const { rank } = position;
  const side = position.size > 0n ? "long" : "short";
  return [
    h("p", { class: "headline", id: "adl-headline" }, bars(rank.band), inWords(rank)),
    facts([
      ["Ahead of you in the queue", `${fixed(rank.ahead, sp)} of ${fixed(market.interest, sp)}`, `${percent(ratio(rank.ahead, market.interest), 1)} of all ${side}s`],
      ["Score", signed(rank.score, 4), "profit × leverage"],
      ["Band", `${rank.band} of 5`, `5 is ${BANDS["5"]?.place}`],
    ]),
  ];
}

function bars(band: bigint): HTMLElement {
  const each = [1n, 2n, 3n, 4n, 5n].map((place) => h("span", { class: place <= band ? "on" : "", style: `height:${8 + 4 * Number(place)}px` }));
  return h("span", { class: band >= 4n ? "bars hot" : "bars", role: "img", "aria-label": `${band} of 5 bars` }, ...each);
}

function tierName(tier: number): string {
  return tier >= 7 ? "above 50×" : `up to ${TIER_LEVERAGE[tier]}×`;
}

function outcome(before: Rank, after: Rank | null): string {
  if (!after) return "cannot be simulated on this node";
  if (after.band === before.band && after.ahead === before.ahead) return "changes nothing in the queue";
  return `leads to band ${after.band} of 5 (now ${before.band})`;
}

/** Why, in words, of the latest; then all of them. */
function recorded(app: App, { account, forcedCloses: closes }: State): HTMLElement[] {
  if (!account) return [h("p", { class: "empty" }, "Connect a wallet to see your record.")];
  if (!closes) return [h("p", { class: "empty" }, "The record comes from the relay, which does not answer.")];
  const words = closes.slice(0, TOLD).map((close) => {
    const { title, why } = told(app.config, close);
    return h("li", {}, h("strong", {}, title), ". ", why);
  });
  const rows = closes.map((close) => {
    const oracle = BigInt(close.oracle_price);
    return [when(close.timestamp), legOf(app.config, close), close.kind, fixed(BigInt(close.size), sizePlaces(oracle)), fixed(BigInt(close.price), pricePlaces(oracle)), fixed(oracle, pricePlaces(oracle)), `${fixed(costOf(close), 2)} ${app.config.collateral.symbol}`, transaction(close.transaction, app)];
  });
  return [
    ...(words.length ? [h("ul", {}, ...words)] : []),
    table("Your forced closes", ["Time", "Position", "How", "Size", "Price", "Oracle price", "Cost", "Transaction"], rows, "None: nothing of yours has ever been closed by force."),
  ];
}
