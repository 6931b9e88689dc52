/**
 * How much a series grew over a window: rate, increase, delta, irate, idelta, deriv, changes, resets.
 * @see Prometheus promql/functions.go, extrapolatedRate, instantValue, linearRegression: the order of operations is the
 * same, so results are equal to the last bit
 */
import { cell, storeAbsent, storeCell, windowEnd, windowFirst, windowsAlike } from "./window";
import { sumAfter, lostAfter } from "./kahan";

/**
 * Lists where a counter went down: indexes of samples below their predecessor, as u32.
 * @returns how many
 */
export function findResets(values: usize, count: u32, resets: usize): u32 {
  let found: u32 = 0;
  let i: u32 = 1;
  for (; i + 2 <= count; i += 2) {
    // Most are none: eight are looked at in one go.
    while (i + 8 <= count && !hasReset(values + (usize(i) << 3))) i += 8;
    if (i + 2 > count) break;
    const at = values + (usize(i) << 3);
    const isLower = i64x2.bitmask(f64x2.lt(v128.load(at), v128.load(at - 8)));
    if (isLower == 0) continue;
    if ((isLower & 1) != 0) store<u32>(resets + (usize(found++) << 2), i);
    if ((isLower & 2) != 0) store<u32>(resets + (usize(found++) << 2), i + 1);
  }
  if (i < count && cell(values, i) < cell(values, i - 1)) store<u32>(resets + (usize(found++) << 2), i);
  return found;
}

/** Whether any of the eight samples from `at` on is below its predecessor. */
@inline
function hasReset(at: usize): bool {
  const first = v128.or(isBelow(at), isBelow(at + 16));
  return v128.any_true(v128.or(first, v128.or(isBelow(at + 32), isBelow(at + 48))));
}
@inline
function isBelow(at: usize): v128 {
  return f64x2.lt(v128.load(at), v128.load(at - 8));
}

/**
 * The growth between the first and last sample of each window, carried on to the window's ends where samples come near
 * enough to them.
 * @param resets where the counter went down (findResets), `resetCount` of them; none for a gauge
 * @param perSeconds what the growth is divided by for a rate, 0 otherwise
 */
export function extrapolate(
  times: usize,
  values: usize,
  bounds: usize,
  alike: usize,
  start: f64,
  step: f64,
  steps: u32,
  range: f64,
  isCounter: bool,
  resets: usize,
  resetCount: u32,
  perSeconds: f64,
  row: usize,
): void {
  // The first reset behind the window's first sample.
  let reset: u32 = 0;
  for (let k: u32 = 0; k < steps;) {
    const first = windowFirst(bounds, k);
    const end = windowEnd(bounds, k);
    if (end - first < 2) {
      storeAbsent(row, k++);
      continue;
    }
    // What follows from where a window's samples lie is the same for all that lie alike.
    const windowEndTime = start + step * f64(k);
    const firstTime = cell(times, first);
    const lastTime = cell(times, end - 1);
    const sampled = (lastTime - firstTime) / 1000;
    const between = sampled / f64(end - first - 1);
    const threshold = between * 1.1;
    let toStart = (firstTime - (windowEndTime - range)) / 1000;
    let toEnd = (windowEndTime - lastTime) / 1000;
    if (toStart >= threshold) toStart = between / 2;
    if (toEnd >= threshold) toEnd = between / 2;
    const factor = extrapolationFactor(sampled, toStart, toEnd, perSeconds);

    const alikeEnd = k + min<u32>(steps - k, windowsAlike(alike, k));
    const move = k + 1 < alikeEnd ? windowFirst(bounds, k + 1) - first : 0;
    let i = first;
    const last = end - 1 - first;
    while (k < alikeEnd) {
      while (reset < resetCount && load<u32>(resets + (usize(reset) << 2)) <= i) reset++;
      const nextReset = reset < resetCount ? load<u32>(resets + (usize(reset) << 2)) : u32.MAX_VALUE;
      if (k + 1 < alikeEnd && i + move + last < nextReset) {
        // Two windows without a reset and far from zero: nearly all.
        const firstValues = twoCells(values, i, i + move);
        const growths = f64x2.sub(twoCells(values, i + last, i + move + last), firstValues);
        if (!isCounter || areAboveZero(firstValues, growths, sampled, toStart)) {
          v128.store(row + (usize(k) << 3), f64x2.mul(growths, f64x2.splat(factor)));
          i += 2 * move;
          k += 2;
          continue;
        }
      }
      const firstValue = cell(values, i);
      let growth = cell(values, i + last) - firstValue;
      for (let j = reset; j < resetCount; j++) {
        const index = load<u32>(resets + (usize(j) << 2));
        if (index > i + last) break;
        growth += cell(values, index - 1);
      }
      let windowFactor = factor;
      if (isCounter && growth > 0 && firstValue >= 0 && mayReachZero(firstValue, growth, sampled, toStart)) {
        // A counter cannot have been below zero.
        const toZero = sampled * (firstValue / growth);
        if (toZero < toStart) windowFactor = extrapolationFactor(sampled, toZero, toEnd, perSeconds);
      }
      storeCell(row, k++, growth * windowFactor);
      i += move;
    }
  }
}

@inline
function extrapolationFactor(sampled: f64, toStart: f64, toEnd: f64, perSeconds: f64): f64 {
  const factor = sampled != 0 ? (sampled + toStart + toEnd) / sampled : 1;
  return perSeconds != 0 ? factor / perSeconds : factor;
}

/** Two elements of a column of f64. */
@inline
function twoCells(column: usize, i: u32, j: u32): v128 {
  return v128.load64_lane(column + (usize(j) << 3), v128.load64_zero(column + (usize(i) << 3)), 1);
}

/** Whether neither of two windows of a counter that grew may reach zero: see mayReachZero. */
@inline
function areAboveZero(firstValues: v128, growths: v128, sampled: f64, toStart: f64): bool {
  const zero = f64x2.splat(0);
  const held = f64x2.mul(firstValues, f64x2.splat(sampled));
  const bound = f64x2.mul(f64x2.mul(f64x2.splat(2), growths), f64x2.splat(toStart));
  const isAbove = v128.and(f64x2.gt(held, bound), f64x2.lt(held, f64x2.splat(Infinity)));
  const mayReach = v128.and(f64x2.gt(growths, zero), f64x2.ge(firstValues, zero));
  return !v128.any_true(v128.andnot(mayReach, isAbove));
}

/** False only where a counter was above zero for twice as long as it is extrapolated, so that no rounding matters. */
@inline
function mayReachZero(firstValue: f64, growth: f64, sampled: f64, toStart: f64): bool {
  const held = firstValue * sampled;
  return !(held > 2 * growth * toStart && held < Infinity);
}

/** The difference of a window's last two samples; for a counter (`isRate`) per second, from zero after a reset. */
export function instantChange(
  times: usize,
  values: usize,
  bounds: usize,
  steps: u32,
  isRate: bool,
  row: usize,
): void {
  for (let k: u32 = 0; k < steps; k++) {
    const end = windowEnd(bounds, k);
    if (end - windowFirst(bounds, k) < 2) {
      storeAbsent(row, k);
      continue;
    }
    const interval = cell(times, end - 1) - cell(times, end - 2);
    if (interval == 0) {
      storeAbsent(row, k);
      continue;
    }
    const last = cell(values, end - 1);
    const before = cell(values, end - 2);
    if (!isRate) storeCell(row, k, last - before);
    else storeCell(row, k, (last < before ? last : last - before) / (interval / 1000));
  }
}

/** How often the value changed inside each window. NaN after NaN is no change. */
export function countChanges(values: usize, bounds: usize, steps: u32, counts: usize, count: u32, row: usize): void {
  let changes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (i > 0) {
      const before = cell(values, i - 1);
      const value = cell(values, i);
      if (value != before && (value == value || before == before)) changes++;
    }
    store<u32>(counts + (usize(i) << 2), changes);
  }
  differences(counts, bounds, steps, row);
}

/** How often the value went down inside each window. */
export function countResets(values: usize, bounds: usize, steps: u32, counts: usize, count: u32, row: usize): void {
  let resets: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (i > 0 && cell(values, i) < cell(values, i - 1)) resets++;
    store<u32>(counts + (usize(i) << 2), resets);
  }
  differences(counts, bounds, steps, row);
}

/** What running counts gained from a window's first sample to its last. */
function differences(counts: usize, bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const first = windowFirst(bounds, k);
    const end = windowEnd(bounds, k);
    if (first == end) storeAbsent(row, k);
    else storeCell(row, k, f64(load<u32>(counts + (usize(end - 1) << 2)) - load<u32>(counts + (usize(first) << 2))));
  }
}

/** The slope, per second, of the line that fits each window's samples best. */
export function slope(times: usize, values: usize, bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const first = windowFirst(bounds, k);
    const end = windowEnd(bounds, k);
    if (end - first < 2) storeAbsent(row, k);
    else storeCell(row, k, slopeOf(times, values, first, end));
  }
}

function slopeOf(times: usize, values: usize, first: u32, end: u32): f64 {
  const firstTime = cell(times, first);
  const firstValue = cell(values, first);
  let isConstant = true;
  let sumX: f64 = 0, lostX: f64 = 0;
  let sumY: f64 = 0, lostY: f64 = 0;
  let sumXY: f64 = 0, lostXY: f64 = 0;
  let sumXX: f64 = 0, lostXX: f64 = 0;
  for (let i = first; i < end; i++) {
    const x = (cell(times, i) - firstTime) / 1000;
    const y = cell(values, i);
    if (i > first && y != firstValue) isConstant = false;
    lostX = lostAfter(x, sumX, lostX);
    sumX = sumAfter(x, sumX);
    lostY = lostAfter(y, sumY, lostY);
    sumY = sumAfter(y, sumY);
    lostXY = lostAfter(x * y, sumXY, lostXY);
    sumXY = sumAfter(x * y, sumXY);
    lostXX = lostAfter(x * x, sumXX, lostXX);
    sumXX = sumAfter(x * x, sumXX);
  }
  if (isConstant) return abs(firstValue) == Infinity ? NaN : 0;
  sumX += lostX;
  sumY += lostY;
  sumXY += lostXY;
  sumXX += lostXX;
  const n = f64(end - first);
  return (sumXY - (sumX * sumY) / n) / (sumXX - (sumX * sumX) / n);
}
