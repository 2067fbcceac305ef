/** Positions, orders, fills and funding, in tabs. */

import type { App } from "../app.ts";
import { BANDS } from "../adl.ts";
import { draw, h, table } from "../dom.ts";
import { abs, fixed, plain, pricePlaces, signed, sizePlaces, when } from "../format.ts";
import type { Fill, Funding } from "../relay.ts";
import { isUnderWay } from "../state.ts";
import { transaction } from "./actions.ts";
import { CLOSE_WANTED } from "./ticket.ts";

const TABS = ["Positions", "Open orders", "Fills", "Funding"] as const;
const SETTLE = "Settle";
const CANCEL_ALL = "Cancel all on chain";
type Tab = (typeof TABS)[number];

export function positionsPanel(root: HTMLElement, app: App): void {
  let current: Tab = "Positions";
  let fills: Fill[] | null = null;
  let funding: Funding[] | null = null;
  const panel = h("div", { id: "tab-panel", role: "tabpanel", tabindex: "0" });
  const buttons = TABS.map((name) => h("button", { role: "tab", id: `tab-${name.replace(" ", "-")}`, "aria-controls": "tab-panel", onclick: () => open(name) }, name));
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Your trading", onkeydown: (event: KeyboardEvent) => step(event) }, ...buttons);
  root.append(h("h2", { id: "positions-title" }, "Your trading"), tabs, panel);

  const open = (name: Tab): void => {
    current = name;
    buttons.forEach((button, place) => {
      button.setAttribute("aria-selected", String(TABS[place] === name));
      button.tabIndex = TABS[place] === name ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `tab-${name.replace(" ", "-")}`);
    void load();
    show();
  };
  const step = (event: KeyboardEvent): void => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = (TABS.indexOf(current) + move + TABS.length) % TABS.length;
    open(TABS[next] as Tab);
    buttons[next]?.focus();
  };
  const load = async (): Promise<void> => {
    const { account } = app.store.state;
    if (!account || !app.config.relayAnswered) return;
    if (current === "Fills") fills = await app.relay.fills(account).catch(() => null);
    if (current === "Funding") funding = await app.relay.funding(account).catch(() => null);
    show();
  };
  const show = (): void => {
    const { state } = app.store;
    const waiting = [SETTLE, CANCEL_ALL].map((what) => isUnderWay(state, what));
    draw(panel, [current, state.view?.positions, state.markets, state.orders, fills, funding, state.owner, state.relayUp, waiting], content);
  };
  const content = (): HTMLElement[] => {
    const { state } = app.store;
    if (!state.owner) return [h("p", { class: "empty" }, "Connect a wallet to see your positions and orders.")];
    if (current === "Positions") return [positions(app)];
    const told = app.config.relayAnswered ? null : h("p", { class: "empty" }, "This comes from the relay, which does not answer.");
    if (current === "Open orders") return [told ?? orders(app), cancelAll(app)];
    return [told ?? (current === "Fills" ? filled(app, fills) : funded(app, funding))];
  };
  open("Positions");
  let seen = "";
  app.store.watch((state) => {
    const now = `${state.head} ${state.account}`;
    if (now !== seen) {
      seen = now;
      void load();
    }
    show();
  });
}

function symbolOf(app: App, market: number): string {
  return app.config.markets.find((known) => known.market === market)?.symbol ?? `market ${market}`;
}

function result(app: App, value: bigint): HTMLElement {
  return h("span", { class: value < 0n ? "down" : "up" }, `${signed(value, 2)} ${app.config.collateral.symbol}`);
}

function positions(app: App): HTMLElement {
  const { view, markets } = app.store.state;
  if (!view) return h("p", { class: "empty" }, "Reading your account…");
  const rows = view.positions.map((position) => {
    const price = markets[position.market]?.price ?? 0n;
    const [pp, sp] = [pricePlaces(price), sizePlaces(price)];
    const close = (): void => {
      app.choose(position.market);
      queueMicrotask(tellTicket); // after the panels have heard of the market, for which the ticket clears itself
    };
    const tellTicket = (): void => {
      window.dispatchEvent(new CustomEvent(CLOSE_WANTED, { detail: { isBuy: position.size < 0n, amount: plain(abs(position.size), 18).replace(/\.?0+$/, "") } }));
    };
    const symbol = symbolOf(app, position.market);
    if (position.size === 0n) return [`${symbol} closed by force`, fixed(0n, sp), "–", fixed(price, pp), result(app, position.result), "–", "none", settling(app)];
    return [
      `${symbol} ${position.size > 0n ? "▲ long" : "▼ short"}`,
      fixed(abs(position.size), sp),
      fixed(position.entry, pp),
      fixed(price, pp),
      result(app, position.result),
      position.liquidation ? fixed(position.liquidation, pp) : "none",
      `${position.rank.band} of 5, ${BANDS[position.rank.band.toString()]?.risk}`,
      h("button", { class: "small", onclick: close, "data-focus": `close ${position.market}`, "aria-label": `Close ${symbol}` }, "Close"),
    ];
  });
  return table("Positions", ["Market", "Size", "Entry", "Oracle price", "Result", "Liquidation", "ADL risk", "Action"], rows, "No open positions in this subaccount.");
}

/** A leg that was closed whole while its owner did nothing: its result joins the account's money at the next settlement. */
function settling(app: App): HTMLElement {
  return h("button", { class: "small", onclick: () => void app.settle(), disabled: isUnderWay(app.store.state, SETTLE), "data-focus": "book" }, "Book the result");
}

/** What the owner can do without any relay. */
function cancelAll(app: App): HTMLElement {
  const cancel = (): void => void app.cancelAllOnChain();
  return h(
    "div",
    { class: "row" },
    h("button", { id: "cancel-all", onclick: cancel, disabled: isUnderWay(app.store.state, CANCEL_ALL), "data-focus": "cancel all" }, "Cancel all on chain"),
    h("span", { class: "note" }, "Ends every order this subaccount has signed before now, whoever holds it: one transaction, and no relay is asked."),
  );
}

function orders(app: App): HTMLElement {
  const rows = app.store.state.orders.map((order) => {
    const price = BigInt(order.limit_price);
    const sp = sizePlaces(price);
    const terms = [order.reduce_only ? "reduce only" : "", order.post_only ? "post only" : ""].filter(Boolean).join(", ");
    const way = `${symbolOf(app, order.market)} ${order.is_buy ? "▲ buy" : "▼ sell"}`;
    return [
      way,
      fixed(BigInt(order.size), sp),
      `${fixed(BigInt(order.filled), sp)}${order.in_flight === "0" ? "" : ` (+${fixed(BigInt(order.in_flight), sp)} on its way)`}`,
      fixed(price, pricePlaces(price)),
      terms || "–",
      when(Number(order.expiry)),
      h(
        "span",
        {},
        h("button", { class: "small", "data-focus": `cancel ${order.hash}`, "aria-label": `Cancel: ${way}`, onclick: () => void app.cancel(order) }, "Cancel"),
        " ",
        h("button", { class: "small", "data-focus": `chain ${order.hash}`, "aria-label": `Cancel on chain: ${way}`, onclick: () => void app.cancelOnChain(order.hash) }, "On chain"),
      ),
    ];
  });
  return table("Open orders", ["Order", "Size", "Filled", "Limit price", "Terms", "Expires", "Cancel"], rows, "No open orders.");
}

function filled(app: App, fills: Fill[] | null): HTMLElement {
  if (!fills) return h("p", { class: "empty" }, "The relay does not tell your fills now.");
  const rows = fills.map((fill) => {
    const price = BigInt(fill.price);
    return [when(fill.timestamp), `${symbolOf(app, fill.market)} ${fill.side === "buy" ? "▲ bought" : "▼ sold"}`, fixed(BigInt(fill.size), sizePlaces(price)), fixed(price, pricePlaces(price)), `${fixed(BigInt(fill.fee), 4)} ${app.config.collateral.symbol}`, fill.is_maker ? "maker" : "taker", transaction(fill.transaction, app)];
  });
  return table("Fills", ["Time", "Fill", "Size", "Price", "Fee", "As", "Transaction"], rows, "No fills yet.");
}

function funded(app: App, funding: Funding[] | null): HTMLElement {
  if (!funding) return h("p", { class: "empty" }, "The relay does not tell your funding now.");
  const rows = funding.map((part) => [`${when(part.from)} to ${when(part.to)}`, symbolOf(app, part.market), signed(BigInt(part.size), 4), result(app, BigInt(part.amount))]);
  return table("Funding", ["While", "Market", "Size held", "Received, or paid"], rows, "No funding yet.");
}
