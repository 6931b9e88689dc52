/**
 * Samples of one series as two columns, times in ms as f64 and values bit for bit: merged, cut to a time range, freed
 * of one, put in order. A timestamp is kept once: of equal ones the sample of the earlier source, or the earlier row.
 */

/** What sortSamples orders by insertion before it merges. */
const RUN_SAMPLES: u32 = 16;

@inline
function timeAt(times: usize, i: u32): f64 {
  return load<f64>(times + (usize(i) << 3));
}
@inline
function copySample(fromTimes: usize, fromValues: usize, from: u32, toTimes: usize, toValues: usize, to: u32): void {
  store<u64>(toTimes + (usize(to) << 3), load<u64>(fromTimes + (usize(from) << 3)));
  store<u64>(toValues + (usize(to) << 3), load<u64>(fromValues + (usize(from) << 3)));
}

/** Copies `count` samples, also where the columns overlap. */
@inline
function moveSamples(
  fromTimes: usize,
  fromValues: usize,
  from: u32,
  toTimes: usize,
  toValues: usize,
  to: u32,
  count: u32,
): void {
  memory.copy(toTimes + (usize(to) << 3), fromTimes + (usize(from) << 3), usize(count) << 3);
  memory.copy(toValues + (usize(to) << 3), fromValues + (usize(from) << 3), usize(count) << 3);
}

/**
 * Merges two ascending series into one; at equal times the sample of `a` counts. The output has room for both and
 * overlaps neither.
 * @returns how many samples there are
 */
export function mergeSamples(
  aTimes: usize,
  aValues: usize,
  aCount: u32,
  bTimes: usize,
  bValues: usize,
  bCount: u32,
  outTimes: usize,
  outValues: usize,
): u32 {
  let a: u32 = 0;
  let b: u32 = 0;
  let out: u32 = 0;
  while (a < aCount && b < bCount) {
    const aTime = timeAt(aTimes, a);
    const bTime = timeAt(bTimes, b);
    if (aTime <= bTime) {
      copySample(aTimes, aValues, a++, outTimes, outValues, out++);
      if (aTime == bTime) b++;
    } else copySample(bTimes, bValues, b++, outTimes, outValues, out++);
  }
  if (a < aCount) moveSamples(aTimes, aValues, a, outTimes, outValues, out, aCount - a);
  else moveSamples(bTimes, bValues, b, outTimes, outValues, out, bCount - b);
  return out + (aCount - a) + (bCount - b);
}

/** The first index of an ascending column whose time is not below `time`, or is above it when `isAfter`. */
function indexOfTime(times: usize, count: u32, time: f64, isAfter: bool): u32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = timeAt(times, middle);
    if (at < time || (isAfter && at == time)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Keeps, of an ascending series, the samples in [mint, maxt], in place. @returns how many there are */
export function clipSamples(times: usize, values: usize, count: u32, mint: f64, maxt: f64): u32 {
  const first = indexOfTime(times, count, mint, false);
  const end = max<u32>(first, indexOfTime(times, count, maxt, true));
  if (first > 0) moveSamples(times, values, first, times, values, 0, end - first);
  return end - first;
}

/** Takes, of an ascending series, the samples in [mint, maxt] out, in place. @returns how many remain */
export function maskSamples(times: usize, values: usize, count: u32, mint: f64, maxt: f64): u32 {
  const first = indexOfTime(times, count, mint, false);
  const end = max<u32>(first, indexOfTime(times, count, maxt, true));
  if (end > first) moveSamples(times, values, end, times, values, first, count - end);
  return count - (end - first);
}

/**
 * Puts samples in time order, in place; of equal times the first row counts. Rows that are nearly in order cost little.
 * @param scratch 16 bytes a sample
 * @returns how many samples remain
 */
export function sortSamples(times: usize, values: usize, count: u32, scratch: usize): u32 {
  if (isAscending(times, count)) return count;
  for (let start: u32 = 0; start < count; start += RUN_SAMPLES) {
    insertionSort(times, values, start, min<u32>(count, start + RUN_SAMPLES));
  }
  const otherTimes = scratch;
  const otherValues = scratch + (usize(count) << 3);
  for (let width: u32 = RUN_SAMPLES; width < count; width <<= 1) {
    for (let start: u32 = 0; start + width < count; start += width << 1) {
      const middle = start + width;
      mergeRuns(times, values, start, middle, min<u32>(count, middle + width), otherTimes, otherValues);
    }
  }
  let kept: u32 = 1;
  for (let i: u32 = 1; i < count; i++) {
    if (timeAt(times, i) == timeAt(times, kept - 1)) continue;
    copySample(times, values, i, times, values, kept++);
  }
  return kept;
}

/** Whether each time is above the one before. */
function isAscending(times: usize, count: u32): bool {
  for (let i: u32 = 1; i < count; i++) if (timeAt(times, i) <= timeAt(times, i - 1)) return false;
  return true;
}

function insertionSort(times: usize, values: usize, start: u32, end: u32): void {
  for (let i = start + 1; i < end; i++) {
    const time = timeAt(times, i);
    const value = load<u64>(values + (usize(i) << 3));
    let at = i;
    for (; at > start && timeAt(times, at - 1) > time; at--) copySample(times, values, at - 1, times, values, at);
    store<f64>(times + (usize(at) << 3), time);
    store<u64>(values + (usize(at) << 3), value);
  }
}

/** Merges two neighbouring runs; of equal times the first run's come first. The first run waits in the scratch. */
function mergeRuns(
  times: usize,
  values: usize,
  start: u32,
  middle: u32,
  end: u32,
  otherTimes: usize,
  otherValues: usize,
): void {
  if (timeAt(times, middle - 1) <= timeAt(times, middle)) return;
  const count = middle - start;
  moveSamples(times, values, start, otherTimes, otherValues, 0, count);
  let a: u32 = 0;
  let b = middle;
  let out = start;
  while (a < count && b < end) {
    if (timeAt(otherTimes, a) <= timeAt(times, b)) copySample(otherTimes, otherValues, a++, times, values, out++);
    else copySample(times, values, b++, times, values, out++);
  }
  moveSamples(otherTimes, otherValues, a, times, values, out, count - a);
}
