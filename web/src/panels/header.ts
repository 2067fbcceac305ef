/** The name, the market, and the wallet. */

import type { App } from "../app.ts";
import { draw, h } from "../dom.ts";
import { explain } from "../errors.ts";
import { short } from "../format.ts";
import type { Announced } from "../wallet.ts";

export function headerPanel(root: HTMLElement, app: App): void {
  const markets = h("select", { id: "market-choice", "aria-label": "Market", onchange: () => app.choose(Number(markets.value)) });
  markets.append(...app.config.markets.map(({ market, symbol }) => h("option", { value: market }, `${symbol} perpetual`)));
  const wallets = h("div", { class: "wallets" });
  root.append(h("span", { class: "brand" }, "Ballast"), markets, wallets);

  const connect = (wallet: Announced) => async (): Promise<void> => {
    try {
      await app.connect(wallet);
    } catch (error) {
      await app.run("Connect the wallet", () => Promise.reject(explainable(error)));
    }
  };
  app.store.watch((state) => {
    const names = state.wallets.map(({ info }) => info.name);
    draw(wallets, [state.owner, names], () => {
      if (state.owner) {
        return [
          h("span", { title: state.owner, "data-owner": state.owner }, `${state.wallet?.info.name ?? "Wallet"}: ${short(state.owner)}`),
          h("button", { onclick: () => app.disconnect(), "data-focus": "disconnect" }, "Disconnect"),
        ];
      }
      if (!names.length) return [h("span", { class: "empty" }, "No wallet found in this browser")];
      return state.wallets.map((wallet) => h("button", { class: "main", onclick: connect(wallet), "data-focus": wallet.info.uuid }, icon(wallet), `Connect ${wallet.info.name}`));
    });
  });
}

function icon(wallet: Announced): HTMLElement | null {
  return wallet.info.icon.startsWith("data:image/") ? h("img", { src: wallet.info.icon, alt: "" }) : null;
}

function explainable(error: unknown): Error {
  return Object.assign(new Error(explain(error).detail), { code: (error as { code?: number }).code });
}
