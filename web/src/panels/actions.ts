/** What was asked of wallet, relay and chain, and how it went. */

import type { App } from "../app.ts";
import { draw, h } from "../dom.ts";
import { short } from "../format.ts";
import type { Action } from "../state.ts";

const KIND = { wallet: "warn", pending: "warn", done: "good", failed: "bad" } as const;
const SIGN = { wallet: "…", pending: "…", done: "✓", failed: "✗" } as const;

export function actionsPanel(root: HTMLElement, app: App): void {
  app.store.watch((state) => draw(root, state.actions, () => state.actions.map((action) => shown(action, app))));
}

function shown(action: Action, app: App): HTMLElement {
  return h(
    "div",
    { class: `notice ${KIND[action.stage]}`, "data-stage": action.stage },
    h("div", {}, h("strong", {}, `${SIGN[action.stage]} ${action.what}: ${action.title}`), action.detail, action.transaction ? h("div", {}, "Transaction ", transaction(action.transaction, app)) : null),
    h("button", { class: "small", "aria-label": `Dismiss: ${action.what}`, onclick: () => app.dismiss(action.id), "data-focus": `action ${action.id}` }, "×"),
  );
}

/** A transaction's hash, as a link where an explorer is configured. */
export function transaction(hash: string, app: App): HTMLElement {
  const { explorer } = app.config;
  return explorer ? h("a", { href: `${explorer}/tx/${hash}`, target: "_blank", rel: "noreferrer" }, short(hash)) : h("code", { title: hash }, short(hash));
}
