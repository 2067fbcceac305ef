/** The rule of the deleveraging queue, in exact integers, as contracts/modules/grid.vy and waterfall.vy have it. */

import type { Queued, Rank } from "./chain.ts";
import { WAD, wadMul } from "./format.ts";

export const TIER_LEVERAGE = [1n, 2n, 3n, 5n, 10n, 20n, 50n, 100n] as const;
const TICKS_AN_OCTAVE = 128n;

/** floor(2^(32 + tick / 128)): the lower edge of an entry tick, price WAD. */
export function edge(tick: bigint): bigint {
  const power = 2n ** (32n * TICKS_AN_OCTAVE + tick);
  let low = 2n ** (32n + tick / TICKS_AN_OCTAVE);
  let high = low * 2n;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** TICKS_AN_OCTAVE <= power) low = middle;
    else high = middle;
  }
  return low;
}

/** The tier (0 to 7) an account would be ranked in now. */
export function tierOf(notional: bigint, equity: bigint): number {
  if (equity <= 0n) return 7;
  const tier = TIER_LEVERAGE.slice(0, 7).findIndex((most) => notional <= most * equity);
  return tier < 0 ? 7 : tier;
}

/** Equity that would bring an account of this notional into a tier. */
export function equityFor(tier: number, notional: bigint): bigint {
  const most = TIER_LEVERAGE[tier] ?? 1n;
  return (notional + most - 1n) / most;
}

/** How far from the oracle price a bucket may be closed: to the edge of its entry tick nearest to it, never into a loss. */
export function reach(tick: bigint, isLong: boolean, price: bigint): bigint {
  const [low, high] = [edge(tick), edge(tick + 1n)];
  if (isLong) return price >= high ? price - high : 0n;
  return price < low ? low - price : 0n;
}

export const BANDS: Readonly<Record<string, { risk: string; place: string }>> = {
  "0": { risk: "none", place: "no position" },
  "1": { risk: "very low", place: "in the last fifth of the queue" },
  "2": { risk: "low", place: "in the fourth fifth" },
  "3": { risk: "medium", place: "in the third fifth" },
  "4": { risk: "raised", place: "in the second fifth" },
  "5": { risk: "high", place: "in the first fifth" },
};

/** `ADL risk: high, first in line`. */
export function inWords(rank: Rank): string {
  const band = BANDS[rank.band.toString()];
  if (rank.band === 5n && rank.ahead === 0n) return `ADL risk: ${band?.risk}, first in line`;
  return `ADL risk: ${band?.risk ?? "unknown"}, ${band?.place ?? ""}`;
}

export interface Taken {
  size: bigint;
  price: bigint;
  /** What closing there gives up against the oracle price, quote. */
  cost: bigint;
}

/** What a bankruptcy of `closed` base on the other side, short of `deficit` quote after insurance, would take from a leg of `own` base in bucket `bucket`. */
export function takenFrom(queue: readonly Queued[], bucket: bigint, own: bigint, isLong: boolean, price: bigint, closed: bigint, deficit: bigint): Taken {
  const slices: { id: bigint; size: bigint; whole: bigint; cap: bigint }[] = [];
  let left = closed;
  for (const entry of queue) {
    if (left === 0n) break;
    const size = entry.size_base < left ? entry.size_base : left;
    slices.push({ id: entry.bucket_id, size, whole: entry.size_base, cap: reach(entry.tick, isLong, price) });
    left -= size;
  }
  const distance = waterFill(slices, deficit);
  const mine = slices.find((slice) => slice.id === bucket);
  if (!mine) return { size: 0n, price, cost: 0n };
  const moved = distance < mine.cap ? distance : mine.cap;
  const size = (own * mine.size) / mine.whole;
  return { size, price: isLong ? price - moved : price + moved, cost: wadMul(size, moved) };
}

/** The common distance from the oracle price at which the slices pay a deficit, none beyond its cap; rounded up. */
export function waterFill(slices: readonly { size: bigint; cap: bigint }[], deficit: bigint): bigint {
  const open = [...slices].sort((a, b) => (a.cap < b.cap ? -1 : a.cap > b.cap ? 1 : 0));
  let size = open.reduce((sum, slice) => sum + slice.size, 0n);
  let due = deficit * WAD;
  let distance = 0n;
  for (const slice of open) {
    if (size === 0n || due <= 0n) break;
    distance = (due + size - 1n) / size;
    if (distance <= slice.cap) return distance;
    distance = slice.cap;
    due -= slice.size * slice.cap;
    size -= slice.size;
  }
  return distance;
}
