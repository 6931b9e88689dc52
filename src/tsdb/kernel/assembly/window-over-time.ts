/**
 * Statistics of the samples in a window: sum, avg, min, max, stddev, stdvar, quantile. Sums are compensated and made
 * anew for each window: differences of running sums would lose digits. Minimum, maximum and quantile touch each sample
 * once.
 * @see Prometheus promql/functions.go, whose order of operations is kept
 */
import { lostAfter, sumAfter } from "./kahan";
import { cell, storeAbsent, storeCell, windowEnd, windowFirst } from "./window";

export function sumOverTime(values: usize, bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const first = windowFirst(bounds, k);
    const end = windowEnd(bounds, k);
    if (first == end) {
      storeAbsent(row, k);
      continue;
    }
    let sum: f64 = 0;
    let lost: f64 = 0;
    for (let i = first; i < end; i++) {
      const value = cell(values, i);
      lost = lostAfter(value, sum, lost);
      sum = sumAfter(value, sum);
    }
    storeCell(row, k, abs(sum) == Infinity ? sum : sum + lost);
  }
}

export function avgOverTime(values: usize, bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const first = windowFirst(bounds, k);
    const end = windowEnd(bounds, k);
    if (first == end) storeAbsent(row, k);
    else storeCell(row, k, mean(values, first, end));
  }
}

/** The sum divided at the end; from where the sum would overflow, a mean that each further value moves. */
function mean(values: usize, first: u32, end: u32): f64 {
  let sum = cell(values, first);
  let lost: f64 = 0;
  let i = first + 1;
  for (; i < end; i++) {
    const value = cell(values, i);
    const next = sumAfter(value, sum);
    if (abs(next) == Infinity) break;
    lost = lostAfter(value, sum, lost);
    sum = next;
  }
  let count = f64(i - first);
  if (i == end) return sum / count + lost / count;
  let moving = sum / count;
  lost /= count;
  for (; i < end; i++) {
    count++;
    const kept = (count - 1) / count;
    const value = cell(values, i) / count;
    lost = lostAfter(value, kept * moving, kept * lost);
    moving = sumAfter(value, kept * moving);
  }
  return moving + lost;
}

/** Welford's variance, compensated. */
export function varianceOverTime(values: usize, bounds: usize, steps: u32, isDeviation: bool, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const first = windowFirst(bounds, k);
    const end = windowEnd(bounds, k);
    if (first == end) {
      storeAbsent(row, k);
      continue;
    }
    const variance = varianceOf(values, first, end);
    storeCell(row, k, isDeviation ? sqrt(variance) : variance);
  }
}

function varianceOf(values: usize, first: u32, end: u32): f64 {
  let count: f64 = 0;
  let mean: f64 = 0, meanLost: f64 = 0;
  let squares: f64 = 0, squaresLost: f64 = 0;
  for (let i = first; i < end; i++) {
    const value = cell(values, i);
    count++;
    const delta = value - (mean + meanLost);
    const move = delta / count;
    meanLost = lostAfter(move, mean, meanLost);
    mean = sumAfter(move, mean);
    const square = delta * (value - (mean + meanLost));
    squaresLost = lostAfter(square, squares, squaresLost);
    squares = sumAfter(square, squares);
  }
  return (squares + squaresLost) / count;
}

/**
 * The largest (or smallest) value of each window; NaN only where there is nothing else. Among equals, such as 0 and -0,
 * the oldest.
 * @param queue room for a u32 for each sample: indexes of samples that may still become the extreme, best first
 */
export function extremeOverTime(
  values: usize,
  bounds: usize,
  steps: u32,
  isMax: bool,
  queue: usize,
  row: usize,
): void {
  // The queue never holds more than was pushed, so it needs no wrapping around.
  let head = queue;
  let tail = queue;
  let pushed: u32 = 0;
  for (let k: u32 = 0; k < steps; k++) {
    const first = windowFirst(bounds, k);
    const end = windowEnd(bounds, k);
    if (first == end) {
      storeAbsent(row, k);
      continue;
    }
    for (let i = max<u32>(pushed, first); i < end; i++) {
      const value = cell(values, i);
      if (value != value) continue;
      while (tail > head) {
        const held = cell(values, load<u32>(tail - 4));
        if (isMax ? held >= value : held <= value) break;
        tail -= 4;
      }
      store<u32>(tail, i);
      tail += 4;
    }
    pushed = max<u32>(pushed, end);
    while (head < tail && load<u32>(head) < first) head += 4;
    const best = head < tail ? load<u32>(head) : end - 1;
    store<u64>(row + (usize(k) << 3), load<u64>(values + (usize(best) << 3)));
  }
}

/**
 * A quantile of each window, between the two nearest ranks; NaN counts as smaller than any number.
 * @param quantiles one for each step
 * @param sorted room for an i64 for each sample: the window's values as sort keys, in order
 */
export function quantileOverTime(
  values: usize,
  bounds: usize,
  steps: u32,
  quantiles: usize,
  sorted: usize,
  row: usize,
): void {
  let first: u32 = 0;
  let end: u32 = 0;
  for (let k: u32 = 0; k < steps; k++) {
    const newFirst = windowFirst(bounds, k);
    const newEnd = windowEnd(bounds, k);
    if (newFirst >= end) {
      first = newFirst;
      end = newFirst;
    }
    let held = end - first;
    for (; first < newFirst; first++) removeKey(sorted, held--, sortKey(values, first));
    for (; end < newEnd; end++) insertKey(sorted, held++, sortKey(values, end));
    if (held == 0) storeAbsent(row, k);
    else storeCell(row, k, quantileOf(cell(quantiles, k), sorted, held));
  }
}

function quantileOf(quantile: f64, sorted: usize, count: u32): f64 {
  if (quantile != quantile) return NaN;
  if (quantile < 0) return -Infinity;
  if (quantile > 1) return Infinity;
  const rank = quantile * f64(count - 1);
  const lower = floor(rank);
  const weight = rank - lower;
  const low = valueOfKey(sorted, u32(lower));
  if (weight == 0) return low;
  return low * (1 - weight) + valueOfKey(sorted, min<u32>(u32(lower) + 1, count - 1)) * weight;
}

const NAN_KEY: i64 = i64.MIN_VALUE;

/** An integer that orders as the value does: all NaNs first, -0 before 0. */
@inline
function sortKey(values: usize, i: u32): i64 {
  const value = cell(values, i);
  if (value != value) return NAN_KEY;
  const bits = reinterpret<i64>(value);
  return bits ^ ((bits >> 63) & i64.MAX_VALUE);
}
@inline
function valueOfKey(sorted: usize, i: u32): f64 {
  const key = load<i64>(sorted + (usize(i) << 3));
  if (key == NAN_KEY) return NaN;
  return reinterpret<f64>(key ^ ((key >> 63) & i64.MAX_VALUE));
}

/** How many keys are smaller. */
@inline
function rankOf(sorted: usize, count: u32, key: i64): u32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<i64>(sorted + (usize(middle) << 3)) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
@inline
function insertKey(sorted: usize, count: u32, key: i64): void {
  const rank = rankOf(sorted, count, key);
  const at = sorted + (usize(rank) << 3);
  memory.copy(at + 8, at, usize(count - rank) << 3);
  store<i64>(at, key);
}
@inline
function removeKey(sorted: usize, count: u32, key: i64): void {
  const rank = rankOf(sorted, count, key);
  const at = sorted + (usize(rank) << 3);
  memory.copy(at, at + 8, usize(count - rank - 1) << 3);
}
