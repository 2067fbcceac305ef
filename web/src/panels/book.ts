/** The relay's book and the latest trades. A price that is clicked goes into the ticket. */

import type { App } from "../app.ts";
import { draw, h } from "../dom.ts";
import { fixed, plain, pricePlaces, sizePlaces, when } from "../format.ts";
import type { Level } from "../relay.ts";

const LEVELS = 10;
const TRADES = 12;

export const PRICE_PICKED = "ballast:price";

export function bookPanel(root: HTMLElement, app: App): void {
  const asks = h("div", {});
  const spread = h("p", { class: "spread" });
  const bids = h("div", {});
  const trades = h("div", {});
  root.append(h("h2", { id: "book-title" }, "Order book"), asks, spread, bids, h("h3", {}, "Latest trades"), trades);

  app.store.watch((state) => {
    const price = state.markets[state.market]?.price ?? 0n;
    const [pp, sp] = [pricePlaces(price), sizePlaces(price)];
    const book = state.book;
    const side = (name: string, css: string, levels: Level[]): HTMLElement => {
      if (!levels.length) return h("p", { class: "empty" }, `No ${name} orders.`);
      const rows = levels.map(([at, size, orders]) =>
        h("tr", {}, h("td", {}, h("button", { class: css, "data-focus": `${name} ${at}`, "aria-label": `Use ${fixed(BigInt(at), pp)} as limit price`, onclick: () => pick(plain(BigInt(at), pp)) }, fixed(BigInt(at), pp))), h("td", {}, fixed(BigInt(size), sp)), h("td", {}, String(orders))),
      );
      const head = h("tr", {}, ...["Price", "Size", "Orders"].map((text) => h("th", { scope: "col" }, text)));
      return h("table", { class: "book" }, h("caption", { class: "hidden" }, `${name} orders, best next to the spread`), h("thead", {}, head), h("tbody", {}, ...rows));
    };
    draw(asks, [book?.asks.slice(0, LEVELS), pp, sp], () => [side("sell", "down", (book?.asks ?? []).slice(0, LEVELS).reverse())]);
    draw(bids, [book?.bids.slice(0, LEVELS), pp, sp], () => [side("buy", "up", (book?.bids ?? []).slice(0, LEVELS))]);
    const [bid, ask] = [book?.bids[0]?.[0], book?.asks[0]?.[0]];
    spread.textContent = bid && ask ? `Spread ${fixed(BigInt(ask) - BigInt(bid), pp)}` : book ? "The book is empty on one side or both: a limit order will rest." : "No book: the relay does not answer.";
    draw(trades, [state.trades.slice(0, TRADES), pp, sp], () => [
      state.trades.length
        ? h("ul", {}, ...state.trades.slice(0, TRADES).map((trade) => h("li", { class: trade.taker_side === "buy" ? "up" : "down", title: when(trade.timestamp) }, `${trade.taker_side === "buy" ? "▲ bought" : "▼ sold"} ${fixed(BigInt(trade.size), sp)} at ${fixed(BigInt(trade.price), pp)}`)))
        : h("p", { class: "empty" }, "No trades yet."),
    ]);
  });
}

function pick(price: string): void {
  window.dispatchEvent(new CustomEvent(PRICE_PICKED, { detail: price }));
}
