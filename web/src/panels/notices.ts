/** What everybody looking at this page has to know now. */

import type { App } from "../app.ts";
import { GRACE, PENDING, STALE } from "../chain.ts";
import { draw, h } from "../dom.ts";
import { told } from "../forced.ts";
import { fixed } from "../format.ts";
import type { State } from "../state.ts";

interface Notice {
  kind: "warn" | "bad" | "good";
  title: string;
  detail: string;
  button?: { label: string; act: (app: App) => unknown };
}

const NEWS_SECONDS = 86_400;
const NEWS = 2;

export function noticesPanel(root: HTMLElement, app: App): void {
  app.store.watch((state) => {
    const notices = [...noticesOf(state), ...newsOf(state, app)];
    draw(root, notices, () =>
      notices.map(({ kind, title, detail, button }) =>
        h("div", { class: `notice ${kind}` }, h("strong", {}, title), detail, button ? h("div", { class: "row" }, h("button", { class: "main", onclick: () => void button.act(app), "data-focus": title }, button.label)) : null),
      ),
    );
  });
}

/** Positions of the account closed by force within a day, until they are dismissed in this browser. */
function newsOf(state: State, app: App): Notice[] {
  const key = `ballast:seen:${state.account}`;
  const since = Math.max(Date.now() / 1_000 - NEWS_SECONDS, Number(localStorage.getItem(key) ?? 0));
  const news = (state.forcedCloses ?? []).filter(({ timestamp }) => timestamp > since);
  const seen = (timestamp: number) => (): void => {
    localStorage.setItem(key, `${timestamp}`);
    app.store.set({});
  };
  return news.slice(0, NEWS).map((close) => {
    const { title, why } = told(state.config, close);
    return { kind: "bad", title, detail: why, button: { label: "I have read this", act: seen(close.timestamp) } };
  });
}

function noticesOf(state: State): Notice[] {
  const { config } = state;
  const coin = config.collateral.symbol;
  const market = state.markets[state.market];
  const notices: Notice[] = [];
  if (state.chainError) notices.push({ kind: "bad", title: "The chain cannot be read", detail: `${state.chainError} Figures on this page are from block ${state.block}.` });
  if (state.owner && state.walletChain !== config.chain_id) {
    notices.push({
      kind: "bad",
      title: "Wrong network",
      detail: `Your wallet is on chain ${state.walletChain}; Ballast is on chain ${config.chain_id}. Nothing can be signed until you switch.`,
      button: { label: "Switch network", act: (app) => app.switchChain() },
    });
  }
  if (!config.relayAnswered || !state.relayUp) {
    notices.push({ kind: "warn", title: "The relay does not answer", detail: "Orders cannot be placed now, and those you have signed could still be matched. Your money does not depend on the relay: deposits, withdrawals, payments of claims and cancelling (Open orders, Cancel all on chain) go to the chain itself." });
  }
  if (!state.owner && !config.rpcUrl) {
    notices.push({ kind: "warn", title: "Read-only, without a node", detail: "This page has no node of its own. Connect a wallet to see margins, ranks and the insurance fund." });
  } else if (!state.owner) {
    notices.push({ kind: "good", title: "Read-only", detail: "You see the market as it is. Connect a wallet to trade." });
  }
  if (market && market.price === 0n) notices.push({ kind: "warn", title: "No price yet", detail: "This market never had a price. Trading begins with the first report." });
  else if (market && market.status & STALE) {
    notices.push({ kind: "warn", title: "The oracle's price is stale", detail: "New positions, and withdrawals with a position in this market, wait for a fresh price. Reducing works at the last price." });
  }
  if (market && market.status & PENDING) notices.push({ kind: "warn", title: "A large price step waits for confirmation", detail: "New positions and withdrawals wait for a second report. Reducing and liquidation go on at the old price." });
  if (market && market.status & GRACE) notices.push({ kind: "warn", title: "Grace period after an outage", detail: "Liquidation and deleveraging wait for a while, so that you can add margin or reduce." });
  if (market?.paused) notices.push({ kind: "warn", title: "This market is paused", detail: "Nothing that adds risk is accepted. Reducing, withdrawing free cash, liquidation and deleveraging go on." });
  const view = state.view;
  const unit = 10n ** BigInt(18 - config.collateral.decimals);
  if (view && view.shortfall >= unit) {
    notices.push({ kind: "bad", title: `Shortfall: ${fixed(view.shortfall, 2)} ${coin}`, detail: "Losses of bankrupt accounts in this clearing group that nobody could pay. Nobody's deposit is touched; waiting claims are paid later, and the group's fees and insurance income go to it first." });
  }
  if (view && view.claims >= unit) {
    notices.push({ kind: "warn", title: `Claims waiting in this group: ${fixed(view.claims, 2)} ${coin}`, detail: "Profit that has been realised and waits for losers to pay. What comes in is shared among all who wait." });
  }
  return notices;
}
