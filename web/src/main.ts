import { App } from "./app.ts";
import { loadConfig } from "./config.ts";
import { h } from "./dom.ts";
import { accountPanel } from "./panels/account.ts";
import { actionsPanel } from "./panels/actions.ts";
import { adlPanel } from "./panels/adl.ts";
import { bookPanel } from "./panels/book.ts";
import { chartPanel } from "./panels/chart.ts";
import { delegatePanel } from "./panels/delegate.ts";
import { fundPanel } from "./panels/fund.ts";
import { headerPanel } from "./panels/header.ts";
import { marketPanel } from "./panels/market.ts";
import { noticesPanel } from "./panels/notices.ts";
import { positionsPanel } from "./panels/positions.ts";
import { ticketPanel } from "./panels/ticket.ts";
import { Store } from "./state.ts";

const PANELS = {
  header: headerPanel,
  notices: noticesPanel,
  market: marketPanel,
  chart: chartPanel,
  book: bookPanel,
  ticket: ticketPanel,
  account: accountPanel,
  adl: adlPanel,
  positions: positionsPanel,
  delegate: delegatePanel,
  fund: fundPanel,
  actions: actionsPanel,
};

async function begin(): Promise<void> {
  const config = await loadConfig();
  const store = new Store({
    config,
    market: config.markets[0]?.market ?? 1,
    wallets: [],
    wallet: null,
    owner: null,
    walletChain: null,
    sub: 0n,
    account: null,
    markets: {},
    view: null,
    fund: null,
    block: 0n,
    head: null,
    chainError: null,
    relayUp: config.relayAnswered,
    book: null,
    trades: [],
    orders: [],
    forcedCloses: null,
    actions: [],
  });
  const app = new App(store);
  for (const [id, panel] of Object.entries(PANELS)) panel(document.getElementById(id) as HTMLElement, app);
  app.start();
  document.body.dataset.ready = "yes";
}

begin().catch((error: unknown) => {
  const words = error instanceof Error ? error.message : String(error);
  document.getElementById("main")?.replaceChildren(h("div", { class: "notice bad", role: "alert" }, h("strong", {}, "The page cannot start"), words));
});
