/** Amounts are WAD integers (bigint); these are the only places where they become text, and text becomes them. */

export const WAD = 10n ** 18n;

const MINUS = "−";

/** `value` of `decimals` with exactly `places` decimals, rounded half away from zero, thousands grouped by commas. */
export function fixed(value: bigint, places: number, decimals = 18): string {
  const negative = value < 0n;
  const digits = rounded(negative ? -value : value, places, decimals).toString().padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places).replace(/\B(?=(\d{3})+$)/g, ",");
  const shown = places === 0 ? whole : `${whole}.${digits.slice(-places)}`;
  return negative && /[1-9]/.test(shown) ? MINUS + shown : shown;
}

function rounded(value: bigint, places: number, decimals: number): bigint {
  if (places >= decimals) return value * 10n ** BigInt(places - decimals);
  const unit = 10n ** BigInt(decimals - places);
  return (value + unit / 2n) / unit;
}

/** The same with a sign where it is not zero: for results and changes. */
export function signed(value: bigint, places: number): string {
  const shown = fixed(value, places);
  return value > 0n && /[1-9]/.test(shown) ? `+${shown}` : shown;
}

/** How many decimals a market's prices have: about six significant digits, from a price of it. */
export function pricePlaces(price: bigint): number {
  if (price === 0n) return 2;
  const digits = price.toString().length - 18;
  return Math.min(12, Math.max(1, 6 - digits));
}

/** How many decimals a market's sizes have: a step of at most about ten cents. */
export function sizePlaces(price: bigint): number {
  if (price === 0n) return 4;
  const digits = price.toString().length - 18;
  return Math.min(8, Math.max(0, digits));
}

/** A number a person typed, as an integer of `decimals`; null where it is none, or finer than that. */
export function parse(text: string, decimals = 18): bigint | null {
  const found = /^(\d+)(?:\.(\d*))?$|^\.(\d+)$/.exec(text.trim().replace(/(\d),(?=\d{3})/g, "$1"));
  if (!found) return null;
  const fraction = found[2] ?? found[3] ?? "";
  if (fraction.length > decimals) return null;
  return BigInt((found[1] ?? "0") + fraction.padEnd(decimals, "0"));
}

/** A WAD as a plain decimal, for input fields. */
export function plain(value: bigint, places: number): string {
  return fixed(value, places).replaceAll(",", "").replace(MINUS, "-");
}

/** A WAD fraction as a percentage. */
export function percent(fraction: bigint, places = 2): string {
  return `${fixed(fraction * 100n, places)} %`;
}

/** A share of a whole as a WAD fraction; 0 of nothing. */
export function ratio(part: bigint, whole: bigint): bigint {
  return whole === 0n ? 0n : (part * WAD) / whole;
}

export function wadMul(a: bigint, b: bigint): bigint {
  return (a * b) / WAD;
}

export function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}

export function short(hex: string): string {
  return `${hex.slice(0, 6)}…${hex.slice(-4)}`;
}

/** A time (Unix seconds), in the reader's zone. */
export function when(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
}

/** A span of seconds in words. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3_600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
