/** The order ticket, and what the chain says would come of the order. */

import type { App } from "../app.ts";
import { BANDS, inWords } from "../adl.ts";
import { draw, facts, field, h, tick } from "../dom.ts";
import { explain } from "../errors.ts";
import { abs, fixed, parse, plain, pricePlaces, sizePlaces, wadMul } from "../format.ts";
import { newSalt, type Order } from "../order.ts";
import type { Level } from "../relay.ts";
import { CannotSimulate, Refused, leverage, previewFill, type Preview } from "../simulate.ts";
import type { State } from "../state.ts";
import { PRICE_PICKED } from "./book.ts";

export const CLOSE_WANTED = "ballast:close";
const MARKET_SECONDS = 30n;
const PAUSE_MS = 350;
const EXPIRIES: [number, string][] = [[3_600, "1 hour"], [86_400, "1 day"], [2_592_000, "30 days"]];

interface Draft {
  isBuy: boolean;
  isMarket: boolean;
  size: bigint;
  limit: bigint;
  reduceOnly: boolean;
  postOnly: boolean;
}

/** How a draft would fill against the book now. */
interface Match {
  price: bigint;
  crossing: bigint;
}

export function ticketPanel(root: HTMLElement, app: App): void {
  const kind = choice("Order type", "kind", [["limit", "Limit"], ["market", "Market"]]);
  const side = choice("Side", "side", [["buy", "▲ Buy, long"], ["sell", "▼ Sell, short"]]);
  const size = field("Size", "", { id: "ticket-size", placeholder: "0" });
  const price = field("Limit price", app.config.collateral.symbol, { id: "ticket-price" });
  const bound = field("At most away from the best price", "%", { id: "ticket-bound", value: "0.5" });
  const reduceOnly = tick("Reduce only: never opens or grows a position", { id: "reduce-only" });
  const postOnly = tick("Post only: rests on the book, pays the maker fee", { id: "post-only" });
  const expiry = h("select", { id: "ticket-expiry" }, ...EXPIRIES.map(([seconds, name]) => h("option", { value: seconds }, name)));
  expiry.value = "86400";
  const expiryRow = h("div", { class: "field" }, h("label", { for: "ticket-expiry" }, "Good for"), expiry);
  const problem = h("p", { id: "ticket-problem", role: "alert" });
  const preview = h("div", { id: "preview", "aria-live": "off" });
  const submit = h("button", { type: "submit", class: "main", id: "place" }, "Place order");
  const signedBy = h("p", { class: "empty" });
  const form = h("form", { novalidate: true }, kind.box, side.box, size.row, price.row, bound.row, reduceOnly.row, postOnly.row, expiryRow, h("h3", {}, "If it fills"), preview, problem, submit, signedBy);
  root.append(h("h2", { id: "ticket-title" }, "Order"), form);

  const read = (state: State): Draft | null => {
    const wanted = parse(size.input.value);
    if (!wanted) return null;
    const isMarket = kind.value() === "market";
    const isBuy = side.value() === "buy";
    const limit = isMarket ? marketLimit(state, isBuy, parse(bound.input.value, 2)) : parse(price.input.value);
    if (!limit) return null;
    return { isBuy, isMarket, size: wanted, limit, reduceOnly: reduceOnly.input.checked, postOnly: !isMarket && postOnly.input.checked };
  };

  let timer = 0;
  let run = 0;
  const soon = (): void => {
    window.clearTimeout(timer);
    preview.setAttribute("aria-busy", "true");
    timer = window.setTimeout(() => void look().then((isLatest) => isLatest && preview.setAttribute("aria-busy", "false")), PAUSE_MS);
  };
  /** Whether no later look has begun meanwhile. */
  const look = async (): Promise<boolean> => {
    const state = app.store.state;
    const draft = read(state);
    run += 1;
    const mine = run;
    if (!draft) {
      draw(preview, "none", () => [h("p", { class: "empty" }, "Enter a size and a price to see fee, leverage, liquidation price and your place in the deleveraging queue.")]);
      return true;
    }
    const match = matchOf(state, draft);
    if (!state.account || !app.reader) {
      draw(preview, ["alone", match], () => [facts([["Price, on average", money(app, match.price)]]), h("p", { class: "empty" }, "Connect a wallet to see what it does to your account.")]);
      return true;
    }
    const bps = state.markets[state.market]?.params.initial_margin_bps ?? 10_000n;
    const filled = reduced(state, draft);
    if (filled === 0n) {
      draw(preview, "nothing to reduce", () => [refusal("Nothing to reduce", "A reduce-only order fills nothing where you have no position against it. Untick reduce only to open one.")]);
      return true;
    }
    try {
      const found = await previewFill(app.reader, { account: state.account, market: state.market, isBuy: draft.isBuy, size: filled, price: match.price, isMaker: match.crossing === 0n && !draft.isMarket }, bps);
      if (mine === run) draw(preview, [match, found, state.view], () => previewed(app, draft, filled, match, found));
    } catch (error) {
      if (mine !== run) return false;
      const words = error instanceof Refused ? error.why : error instanceof CannotSimulate ? { title: "No preview", detail: "This node cannot simulate (eth_simulateV1). Name another rpc_url in config.json." } : explain(error);
      draw(preview, [words.title, words.detail], () => [refusal(words.title, words.detail)]);
    }
    return mine === run;
  };

  form.addEventListener("input", () => {
    arrange();
    soon();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void place();
  });
  const place = async (): Promise<void> => {
    const state = app.store.state;
    const draft = read(state);
    problem.textContent = "";
    if (!draft) {
      problem.textContent = parse(size.input.value) ? "Enter a price above 0." : "Enter a size above 0.";
      (parse(size.input.value) ? (kind.value() === "market" ? bound : price) : size).input.focus();
      return;
    }
    if (!state.account) {
      problem.textContent = "Connect a wallet first.";
      return;
    }
    const order: Order = {
      account: state.account,
      market: BigInt(state.market),
      is_buy: draft.isBuy,
      size: draft.size,
      limit_price: draft.limit,
      reduce_only: draft.reduceOnly,
      post_only: draft.postOnly,
      expiry: BigInt(Math.floor(Date.now() / 1000)) + (draft.isMarket ? MARKET_SECONDS : BigInt(expiry.value)),
      salt: newSalt(),
    };
    submit.disabled = true;
    await app.place(order);
    submit.disabled = false;
    soon();
  };

  const arrange = (): void => {
    const isMarket = kind.value() === "market";
    price.row.hidden = isMarket;
    bound.row.hidden = !isMarket;
    postOnly.row.hidden = isMarket;
    expiryRow.hidden = isMarket;
    submit.className = side.value() === "buy" ? "buy" : "sell";
    submit.textContent = side.value() === "buy" ? "▲ Buy" : "▼ Sell";
  };
  arrange();
  window.addEventListener(PRICE_PICKED, (event) => {
    price.input.value = (event as CustomEvent<string>).detail;
    soon();
  });
  window.addEventListener(CLOSE_WANTED, (event) => {
    const { isBuy, amount } = (event as CustomEvent<{ isBuy: boolean; amount: string }>).detail;
    kind.choose("market");
    side.choose(isBuy ? "buy" : "sell");
    size.input.value = amount;
    reduceOnly.input.checked = true;
    arrange();
    soon();
    size.input.focus();
  });
  let priced = app.store.state.market;
  app.store.watch((state) => {
    if (state.market !== priced) {
      priced = state.market;
      price.input.value = size.input.value = "";
    }
    const symbol = app.config.markets.find((market) => market.market === state.market)?.symbol ?? "";
    const unit = size.row.querySelector(".unit");
    if (unit && unit.textContent !== symbol) unit.textContent = symbol;
    const market = state.markets[state.market];
    if (market?.price && !price.input.value) price.input.value = plain(market.price, pricePlaces(market.price));
    signedBy.textContent = app.delegate ? "Signed by this page's key, without a wallet window." : "Your wallet will show the order's fields to sign.";
  });
  let seen = "";
  app.store.watch((state) => {
    const now = `${state.head} ${state.account} ${state.market} ${state.book?.seq}`;
    if (now === seen) return;
    seen = now;
    soon();
  });
}

function choice(legend: string, name: string, options: [string, string][]): { box: HTMLElement; value: () => string; choose: (value: string) => void } {
  const inputs = options.map(([value], place) => h("input", { type: "radio", name, value, id: `${name}-${value}`, checked: place === 0 }));
  const box = h("fieldset", {}, h("legend", { class: "hidden" }, legend), ...options.map(([value, text], place) => h("span", { class: "choice" }, inputs[place], h("label", { for: `${name}-${value}` }, text))));
  return {
    box,
    value: () => inputs.find((input) => input.checked)?.value ?? "",
    choose: (value) => inputs.forEach((input) => (input.checked = input.value === value)),
  };
}

/** The worst price of a market order: the best price of the other side, or the oracle's, moved by the bound. */
function marketLimit(state: State, isBuy: boolean, boundPercent: bigint | null): bigint | null {
  const best = (isBuy ? state.book?.asks : state.book?.bids)?.[0]?.[0];
  const from = best ? BigInt(best) : state.markets[state.market]?.price;
  if (boundPercent === null || !from) return null;
  const moved = (from * boundPercent) / 10_000n;
  return isBuy ? from + moved : from - moved;
}

function matchOf(state: State, draft: Draft): Match {
  const levels: Level[] = (draft.isBuy ? state.book?.asks : state.book?.bids) ?? [];
  let left = draft.size;
  let cost = 0n;
  for (const [at, available] of levels) {
    const reaches = draft.isBuy ? BigInt(at) <= draft.limit : BigInt(at) >= draft.limit;
    if (!reaches || left === 0n) break;
    const part = BigInt(available) < left ? BigInt(available) : left;
    cost += part * BigInt(at);
    left -= part;
  }
  const crossing = draft.size - left;
  const rest = draft.isMarket && crossing === 0n ? (state.markets[state.market]?.price ?? draft.limit) : draft.limit;
  return { price: (cost + left * rest) / draft.size, crossing };
}

function refusal(title: string, detail: string): HTMLElement {
  return h("div", { class: "notice bad", id: "preview-refused" }, h("strong", {}, `✗ ${title}`), detail);
}

/** What a reduce-only order can fill at most. */
function reduced(state: State, draft: Draft): bigint {
  if (!draft.reduceOnly) return draft.size;
  const held = state.view?.positions.find((position) => position.market === state.market)?.size ?? 0n;
  const against = draft.isBuy ? held < 0n : held > 0n;
  if (!against) return 0n;
  return abs(held) < draft.size ? abs(held) : draft.size;
}

function money(app: App, value: bigint, places = 2): string {
  return `${fixed(value, places)} ${app.config.collateral.symbol}`;
}

function previewed(app: App, draft: Draft, filled: bigint, match: Match, after: Preview): HTMLElement[] {
  const { state } = app.store;
  const market = state.markets[state.market];
  const oracle = market?.price ?? 0n;
  const [pp, sp] = [pricePlaces(oracle), sizePlaces(oracle)];
  const others = state.view?.positions.filter((position) => position.market !== state.market) ?? [];
  const notional = others.reduce((sum, p) => sum + wadMul(abs(p.size), state.markets[p.market]?.price ?? 0n), 0n) + wadMul(abs(after.size), oracle);
  const lever = leverage(notional, after.equity);
  const before = state.view?.positions.find((position) => position.market === state.market)?.rank.band ?? 0n;
  const depth = state.book ? (draft.isMarket ? `${fixed(match.crossing, sp)} of ${fixed(draft.size, sp)} is on the book within your bound` : match.crossing ? `${fixed(match.crossing, sp)} at once, the rest rests` : "rests on the book") : "";
  return [
    facts([
      ["Size filled", fixed(filled, sp), depth],
      ["Price, on average", money(app, match.price, pp)],
      ["Fee", money(app, after.fee, 4)],
      ["Position after", fixed(after.size, sp), after.size ? `entry ${fixed(after.entry, pp)}` : "closed"],
      ["Leverage after", lever === null ? "–" : `${fixed(lever, 2)}×`],
      ["Liquidation price after", after.liquidation ? money(app, after.liquidation, pp) : "none by this market alone"],
      ["Equity after", money(app, after.equity)],
      ["Margin needed after", money(app, after.initial), `${money(app, after.backing - after.initial)} free`],
      ["ADL risk after", after.size ? `${BANDS[after.rank.band.toString()]?.risk} (${after.rank.band} of 5)` : "none", before && after.size ? `now ${before} of 5` : ""],
    ]),
    h("p", { class: "note" }, after.size ? `${inWords(after.rank)}. ` : "", "Asked of the chain just now, by simulation."),
  ];
}
