/** Elements in one call, and regions that are drawn again only when what they show has changed. */

type Child = Node | string | null | false | undefined;
type Listener = (event: never) => void;
type Value = string | number | boolean | Listener | undefined;

/** `h("button", { class: "x", onclick: f }, "text")`; false and undefined leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...present(children));
  return element;
}

function present(children: Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string => child !== null && child !== false && child !== undefined);
}

const shown = new WeakMap<Element, string>();

/** Replace a region's content, unless `of` is what it already shows: buttons keep their focus, screen readers their peace. */
export function draw(region: Element, of: unknown, make: () => Child[]): void {
  const key = JSON.stringify(of, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
  if (shown.get(region) === key) return;
  shown.set(region, key);
  const focused = focusKey(region);
  region.replaceChildren(...present(make()));
  if (focused) region.querySelector<HTMLElement>(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

function focusKey(region: Element): string | null {
  const active = document.activeElement;
  return active && region.contains(active) ? active.getAttribute("data-focus") : null;
}

let nextId = 0;

function idOf(attributes: Record<string, Value>): string {
  nextId += 1;
  return typeof attributes.id === "string" ? attributes.id : `field-${nextId}`;
}

/** A labelled input; `unit` stands behind it and is read with it. */
export function field(label: string, unit: string, attributes: Record<string, Value> = {}): { row: HTMLElement; input: HTMLInputElement } {
  const id = idOf(attributes);
  const input = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", ...attributes, id, "aria-describedby": `${id}-unit` });
  const row = h("div", { class: "field" }, h("label", { for: id }, label), h("span", { class: "with-unit" }, input, h("span", { class: "unit", id: `${id}-unit` }, unit)));
  return { row, input };
}

/** A labelled tick box. */
export function tick(label: string, attributes: Record<string, Value> = {}): { row: HTMLElement; input: HTMLInputElement } {
  const id = idOf(attributes);
  const input = h("input", { type: "checkbox", ...attributes, id });
  return { row: h("div", { class: "tick" }, input, h("label", { for: id }, label)), input };
}

/** Facts as a description list: [term, value, note?]. */
export function facts(rows: [string, Child, string?][]): HTMLElement {
  return h("dl", { class: "facts" }, ...rows.map(([term, value, note]) => h("div", {}, h("dt", {}, term), h("dd", {}, value, note ? h("span", { class: "note" }, note) : null))));
}

/** A table that a phone can scroll, with its caption for screen readers; `empty` stands there without rows. */
export function table(caption: string, heads: string[], rows: Child[][], empty: string): HTMLElement {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const head = h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)));
  const body = rows.map((cells) => h("tr", {}, ...cells.map((cell, place) => (place === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell)))));
  return h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, ...body)));
}
