/** Oracle prices as candles, from the relay. */

import { CandlestickSeries, createChart, type CandlestickData, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";

import type { App } from "../app.ts";
import { h } from "../dom.ts";
import { pricePlaces } from "../format.ts";
import type { Candle } from "../relay.ts";

const INTERVALS: [number, string][] = [[60, "1 minute"], [300, "5 minutes"], [3_600, "1 hour"], [86_400, "1 day"]];
const AGAIN_MS = 15_000;

export function chartPanel(root: HTMLElement, app: App): void {
  const interval = h("select", { "aria-label": "Candle interval", onchange: () => void load() });
  interval.append(...INTERVALS.map(([seconds, name]) => h("option", { value: seconds }, name)));
  const plot = h("div", { class: "plot", role: "img", "aria-label": "Oracle price over time" });
  const words = h("figcaption", {}, "No prices yet.");
  root.append(h("div", { class: "row" }, h("h2", { id: "chart-title" }, "Oracle price"), interval), h("figure", { style: "margin:0" }, plot, words));

  plot.hidden = interval.hidden = !app.config.relayAnswered;
  const chart = createChart(plot, { autoSize: true, layout: { attributionLogo: false, background: { color: "transparent" } } });
  const series = chart.addSeries(CandlestickSeries, {});
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  paint(chart, series);
  dark.addEventListener("change", () => paint(chart, series));

  let shown = "";
  const load = async (): Promise<void> => {
    const market = app.store.state.market;
    if (!app.config.relayAnswered) {
      words.textContent = "The chart needs the relay's history.";
      return;
    }
    const candles = await app.relay.candles(market, Number(interval.value)).catch(() => null);
    if (!candles || market !== app.store.state.market) return;
    const price = app.store.state.markets[market]?.price ?? 0n;
    const places = pricePlaces(price);
    series.applyOptions({ priceFormat: { type: "price", precision: places, minMove: 10 ** -places } });
    series.setData(candles.map(asData));
    words.textContent = inWords(candles);
  };
  app.store.watch((state) => {
    const now = `${state.market} ${state.markets[state.market]?.price}`;
    if (now === shown) return;
    shown = now;
    void load();
  });
  setInterval(() => void load(), AGAIN_MS);
}

/** For drawing alone a price may become a float. */
function asData(candle: Candle): CandlestickData<UTCTimestamp> {
  const number = (wad: string): number => Number(wad) / 1e18;
  return { time: candle.time as UTCTimestamp, open: number(candle.open), high: number(candle.high), low: number(candle.low), close: number(candle.close) };
}

function inWords(candles: Candle[]): string {
  const [first, last] = [candles[0], candles.at(-1)];
  if (!first || !last) return "No prices in this span.";
  const change = (Number(last.close) / Number(first.open) - 1) * 100;
  return `${candles.length} ${candles.length === 1 ? "candle" : "candles"}; ${change < 0 ? "down" : "up"} ${Math.abs(change).toFixed(2)} % over them.`;
}

function paint(chart: IChartApi, series: ISeriesApi<"Candlestick">): void {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  chart.applyOptions({ layout: { textColor: color("--soft") }, grid: { vertLines: { color: color("--line") }, horzLines: { color: color("--line") } }, rightPriceScale: { borderColor: color("--line") }, timeScale: { borderColor: color("--line"), timeVisible: true } });
  series.applyOptions({ upColor: color("--panel"), downColor: color("--sell"), borderUpColor: color("--buy"), borderDownColor: color("--sell"), wickUpColor: color("--buy"), wickDownColor: color("--sell") });
}
