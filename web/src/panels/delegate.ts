/** Trading without a wallet window for each order: a key of this page's, authorised on chain until it expires. */

import type { App } from "../app.ts";
import { forgetDelegate, loadDelegate, newDelegate } from "../delegate.ts";
import { draw, h } from "../dom.ts";
import { short, when } from "../format.ts";
import { settlementAbi } from "../generated/abi.ts";

const HOURS: [number, string][] = [[1, "1 hour"], [8, "8 hours"], [24, "1 day"], [168, "7 days"]];

export function delegatePanel(root: HTMLElement, app: App): void {
  const hours = h("select", { id: "delegate-hours" }, ...HOURS.map(([count, name]) => h("option", { value: count }, name)));
  hours.value = "8";
  const body = h("div", {});
  root.append(h("h2", { id: "delegate-title" }, "Trade without pop-ups"), body);
  const settlement = app.config.contracts.OrderSettlement;

  const authorise = async (): Promise<void> => {
    const { account } = app.connected();
    const signer = loadDelegate(app.config, account)?.signer ?? newDelegate(app.config, account);
    const expiry = BigInt(Math.floor(Date.now() / 1000) + Number(hours.value) * 3_600);
    const good = await app.act("Authorise this page's key", settlement, settlementAbi, "set_delegate", [account, signer.address, expiry]);
    if (!good) forgetDelegate(app.config, account);
  };
  const revoke = async (): Promise<void> => {
    const { account } = app.connected();
    const signer = app.delegate?.signer;
    if (!signer) return;
    const good = await app.act("Revoke this page's key", settlement, settlementAbi, "set_delegate", [account, signer.address, 0n]);
    if (good) forgetDelegate(app.config, account);
    await app.look();
  };

  app.store.watch((state) => {
    const { delegate } = app;
    const usable = state.owner !== null && state.walletChain === app.config.chain_id;
    draw(body, [delegate?.signer.address, delegate?.expiry, usable, state.account], () => {
      if (delegate) {
        return [
          h("p", { id: "delegate-active" }, `Active: ${short(delegate.signer.address)} signs your orders until ${when(Number(delegate.expiry))}. It cannot withdraw.`),
          h("button", { id: "revoke", onclick: () => void revoke(), disabled: !usable, "data-focus": "revoke" }, "Revoke now"),
        ];
      }
      return [
        h("p", {}, "Let a key that this page holds sign orders for this subaccount. It can trade, it can never withdraw, and it ends by itself. It is kept in this browser: whoever reads its storage could trade with it until then."),
        h("div", { class: "row" }, h("div", { class: "field" }, h("label", { for: "delegate-hours" }, "For"), hours), h("button", { id: "authorise", onclick: () => void authorise(), disabled: !usable, "data-focus": "authorise" }, "Authorise")),
      ];
    });
  });
}
