/**
 * Where windows begin and end, and what needs no arithmetic: the newest sample, the first, the count. A series is two
 * columns, times in ms as f64 (ascending) and values; a window function writes one cell for each step of a query.
 *
 *   step k looks at (end - range, end], end = start + k * step
 *   bounds: per step the index of the window's first sample u32 | of the sample behind its last u32
 *   alike:  per step u32, how many windows, this one and those that follow, lie alike: as many samples in each, equally
 *           far from its end, and each moved on by the same number of samples
 *
 * Windows only ever move forwards, so every function works with moving indices. Times that do not ascend (damaged
 * data) give wrong cells, but never an index outside the columns. Values that are only passed on are copied as bits:
 * NaNs keep their payload.
 */

/** The stale marker: in a column of samples it ends a series, in a row of results it means "no value at this step". */
export const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;

/** The index behind the last sample at or before `time`, not below `from`; the search begins at `guess`. */
@inline
function indexAfter(times: usize, count: u32, time: f64, from: u32, guess: u32): u32 {
  let at = min<u32>(guess, count);
  while (at < count && load<f64>(times + (usize(at) << 3)) <= time) at++;
  while (at > from && load<f64>(times + (usize(at - 1) << 3)) > time) at--;
  return at;
}

/** Whether `guess`, which has a sample on either side, is the index behind the last sample at or before `time`. */
@inline
function isAfter(times: usize, count: u32, time: f64, guess: u32): bool {
  // Below 1 wraps.
  if (guess - 1 >= count - 1) return false;
  return i64x2.bitmask(f64x2.le(v128.load(times + (usize(guess) << 3) - 8), f64x2.splat(time))) == 1;
}

/**
 * Writes the bounds of every step's window, and which of them lie alike. Samples at regular intervals, nearly all there
 * are, are looked at once, and the windows over them are not looked at one by one.
 * @returns how many samples the largest window has
 */
export function windowBounds(
  times: usize,
  count: u32,
  start: f64,
  step: f64,
  steps: u32,
  range: f64,
  bounds: usize,
  alike: usize,
): u32 {
  let first: u32 = 0;
  let end: u32 = 0;
  let largest: u32 = 0;
  // Windows tend to move on by as many samples as the last time.
  let firstMove: u32 = 0;
  let endMove: u32 = 0;
  // Samples from here to there lie at one interval, as was last found.
  let regularFirst: u32 = 0;
  let regularLast: u32 = 0;
  let regularInterval: f64 = 0;
  const canBeAlike = isExact(start, step, range, steps);
  for (let k: u32 = 0; k < steps; k++) {
    const time = start + step * f64(k);
    if (isAfter(times, count, time, end + endMove) && isAfter(times, count, time - range, first + firstMove)) {
      end += endMove;
      first += firstMove;
    } else {
      const newEnd = indexAfter(times, count, time, end, end + endMove);
      const newFirst = indexAfter(times, count, time - range, first, first + firstMove);
      endMove = newEnd - end;
      firstMove = newFirst - first;
      end = newEnd;
      first = newFirst;
    }
    const windowStart = min<u32>(first, end);
    store<u64>(bounds + (usize(k) << 3), u64(windowStart) | (u64(end) << 32));
    store<u32>(alike + (usize(k) << 2), 1);
    largest = max<u32>(largest, end - windowStart);
    if (!canBeAlike || endMove == 0 || first >= end) continue;
    const interval = step / f64(endMove);
    // The sample before the first is in no window, and would not be if it were an interval away.
    if (cell(times, first) - interval > time - range) continue;
    if (interval != regularInterval || first < regularFirst || first >= regularLast) {
      regularInterval = interval;
      regularFirst = first;
      regularLast = lastRegular(times, count, first, interval);
    }
    if (end >= regularLast) continue;
    const more = min<u32>(steps - 1 - k, (regularLast - end) / endMove);
    fillAlike(bounds, alike, k, more, endMove);
    first += more * endMove;
    end += more * endMove;
    k += more;
  }
  return largest;
}

/** Whether the times of all steps are whole numbers without rounding, so that intervals may be added to them. */
@inline
function isExact(start: f64, step: f64, range: f64, steps: u32): bool {
  if (floor(start) != start || floor(step) != step || floor(range) != range) return false;
  return abs(start) + step * f64(steps) + range < 9e15;
}

/** The last of the samples from `i` on that follow each other at one interval. */
function lastRegular(times: usize, count: u32, i: u32, interval: f64): u32 {
  const intervals = f64x2.splat(interval);
  for (; i + 9 <= count; i += 8) {
    const at = times + (usize(i) << 3);
    const first = v128.and(isFollowed(at, intervals), isFollowed(at + 16, intervals));
    const second = v128.and(isFollowed(at + 32, intervals), isFollowed(at + 48, intervals));
    if (!i64x2.all_true(v128.and(first, second))) break;
  }
  while (i + 1 < count && cell(times, i + 1) - cell(times, i) == interval) i++;
  return i;
}
@inline
function isFollowed(at: usize, intervals: v128): v128 {
  return f64x2.eq(f64x2.sub(v128.load(at, 8), v128.load(at)), intervals);
}

/** Writes the bounds of `more` windows that lie like that of step `k`, each moved on by `move` samples. */
function fillAlike(bounds: usize, alike: usize, k: u32, more: u32, move: u32): void {
  const moved = i32x4.splat(move);
  // Two windows: first and end of one, first and end of the next.
  let windows = i32x4.add(v128.load64_splat(bounds + (usize(k) << 3)), v128.and(moved, i32x4(0, 0, -1, -1)));
  const movedTwice = i32x4.add(moved, moved);
  let left = more + 1;
  for (; left >= 2; left -= 2, k += 2) {
    v128.store(bounds + (usize(k) << 3), windows);
    store<u64>(alike + (usize(k) << 2), u64(left) | (u64(left - 1) << 32));
    windows = i32x4.add(windows, movedTwice);
  }
  if (left == 0) return;
  v128.store64_lane(bounds + (usize(k) << 3), windows, 0);
  store<u32>(alike + (usize(k) << 2), 1);
}

@inline
export function windowFirst(bounds: usize, k: u32): u32 {
  return load<u32>(bounds + (usize(k) << 3));
}
@inline
export function windowsAlike(alike: usize, k: u32): u32 {
  return load<u32>(alike + (usize(k) << 2));
}
@inline
export function windowEnd(bounds: usize, k: u32): u32 {
  return load<u32>(bounds + (usize(k) << 3), 4);
}
/** An element of a column of f64. */
@inline
export function cell(column: usize, i: u32): f64 {
  return load<f64>(column + (usize(i) << 3));
}
@inline
export function storeCell(row: usize, k: u32, value: f64): void {
  store<f64>(row + (usize(k) << 3), value);
}
@inline
export function storeAbsent(row: usize, k: u32): void {
  store<u64>(row + (usize(k) << 3), STALE_MARKER);
}

/**
 * Takes stale markers out of a series, in place.
 * @returns how many samples remain
 */
export function dropStale(times: usize, values: usize, count: u32): u32 {
  const marker = i64x2.splat(STALE_MARKER);
  let i: u32 = 0;
  for (; i + 8 <= count; i += 8) {
    const at = values + (usize(i) << 3);
    const first = v128.or(i64x2.eq(v128.load(at), marker), i64x2.eq(v128.load(at, 16), marker));
    const second = v128.or(i64x2.eq(v128.load(at, 32), marker), i64x2.eq(v128.load(at, 48), marker));
    if (v128.any_true(v128.or(first, second))) break;
  }
  while (i < count && load<u64>(values + (usize(i) << 3)) != STALE_MARKER) i++;
  let kept = i;
  for (; i < count; i++) {
    const value = load<u64>(values + (usize(i) << 3));
    if (value == STALE_MARKER) continue;
    store<u64>(times + (usize(kept) << 3), load<u64>(times + (usize(i) << 3)));
    store<u64>(values + (usize(kept) << 3), value);
    kept++;
  }
  return kept;
}

/**
 * At each step the newest sample in (end - lookback, end]: its value, or its time in seconds. Absent when there is none
 * or when it is a stale marker; the series must still have its stale markers.
 */
export function lookback(
  times: usize,
  values: usize,
  count: u32,
  start: f64,
  step: f64,
  steps: u32,
  lookbackMs: f64,
  yieldsTime: bool,
  row: usize,
): void {
  let end: u32 = 0;
  let move: u32 = 0;
  for (let k: u32 = 0; k < steps; k++) {
    const time = start + step * f64(k);
    const newEnd = indexAfter(times, count, time, end, end + move);
    move = newEnd - end;
    end = newEnd;
    if (end == 0) {
      storeAbsent(row, k);
      continue;
    }
    const sampleTime = cell(times, end - 1);
    const value = load<u64>(values + (usize(end - 1) << 3));
    if (sampleTime <= time - lookbackMs || value == STALE_MARKER) storeAbsent(row, k);
    else if (yieldsTime) storeCell(row, k, sampleTime / 1000);
    else store<u64>(row + (usize(k) << 3), value);
  }
}

export function firstOverTime(values: usize, bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const first = windowFirst(bounds, k);
    if (first == windowEnd(bounds, k)) storeAbsent(row, k);
    else store<u64>(row + (usize(k) << 3), load<u64>(values + (usize(first) << 3)));
  }
}

export function lastOverTime(values: usize, bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const end = windowEnd(bounds, k);
    if (windowFirst(bounds, k) == end) storeAbsent(row, k);
    else store<u64>(row + (usize(k) << 3), load<u64>(values + (usize(end - 1) << 3)));
  }
}

/** How many samples a window has, if any. */
export function countOverTime(bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    const count = windowEnd(bounds, k) - windowFirst(bounds, k);
    if (count == 0) storeAbsent(row, k);
    else storeCell(row, k, f64(count));
  }
}

/** 1 where a window has a sample. */
export function presentOverTime(bounds: usize, steps: u32, row: usize): void {
  for (let k: u32 = 0; k < steps; k++) {
    if (windowEnd(bounds, k) == windowFirst(bounds, k)) storeAbsent(row, k);
    else storeCell(row, k, 1);
  }
}
