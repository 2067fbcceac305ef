/** The market in a line: price, its age, funding, open interest, insurance. */

import type { App } from "../app.ts";
import { draw, facts, h } from "../dom.ts";
import { fixed, percent, pricePlaces, signed, sizePlaces, span, wadMul } from "../format.ts";

export function marketPanel(root: HTMLElement, app: App): void {
  const title = h("h2", { id: "market-title", class: "hidden" }, "Market");
  const body = h("div", {});
  root.append(title, body);
  app.store.watch((state) => {
    const market = state.markets[state.market];
    const coin = app.config.collateral.symbol;
    const symbol = app.config.markets.find((known) => known.market === state.market)?.symbol ?? "";
    const age = market ? Math.max(0, Math.round(Date.now() / 1000) - Number(market.timestamp)) : 0;
    draw(body, [market, state.market, span(age)], () => {
      if (!market) return [h("p", { class: "empty" }, "The market has not been read from the chain yet.")];
      const { params } = market;
      return [
        facts([
          [`${symbol} oracle price`, `${fixed(market.price, pricePlaces(market.price))} ${coin}`],
          ["Age of the price", market.price ? span(age) : "–"],
          ["Funding, 8 hours", `${signed(market.rate * 100n, 4)} %`, market.rate > 0n ? "longs pay" : market.rate < 0n ? "shorts pay" : "nobody pays"],
          ["Open interest", `${fixed(market.interest, sizePlaces(market.price))} ${symbol}`, `${fixed(wadMul(market.interest, market.price), 0)} ${coin}`],
          ["Insurance for this market", `${fixed(market.insuranceLeft, 2)} ${coin}`],
          ["Fees, maker and taker", `${percent(params.maker_fee_bps * 10n ** 14n, 2)} and ${percent(params.taker_fee_bps * 10n ** 14n, 2)}`],
          ["Most leverage", `${fixed((10_000n * 10n ** 18n) / params.initial_margin_bps, 0)}×`, `liquidation below ${percent(params.maintenance_margin_bps * 10n ** 14n, 2)}`],
        ]),
      ];
    });
  });
}
