/**
 * Which whole numbers stand for a column of values, in packed chunks: the values times a power of ten where that gives
 * (nearly) all of them back bit for bit, else their bits. What is left over are specials, kept beside the column.
 */
import { power10 } from "./packed-column";

/** The numbers are the values' bits. */
export const MODE_BITS: u32 = 31;

/** More digits behind the point are rarely decimal: fewer are tried than a chunk may have (packed.ts). */
const EXPONENT_TRIED_MAX: u32 = 17;
/** Times are whole up to 2^53; values stay a little below, so that sums along a block are whole too. */
const NUMBER_MAX: f64 = 9e15;
/** Values that are looked at to choose the exponent. */
const PROBES: u32 = 32;
const NO_EXPONENT: u32 = 99;

/** Where in the workspace the number of runs of specials stands. */
const RUN_COUNT: usize = 0;
export function runCountOf(workspace: usize): u32 {
  return load<u32>(workspace + RUN_COUNT);
}

/** Bits of values that are never numbers of the column: NaNs, infinities, -0. */
@inline
function isNeverNumber(bits: u64): bool {
  return (bits & 0x7ff0_0000_0000_0000) == 0x7ff0_0000_0000_0000 || bits == 0x8000_0000_0000_0000;
}

/**
 * Writes the number of each value (of a special: the number before it) and the runs of equal specials, as start u32 |
 * length u32.
 * @returns the mode: the power of ten, or MODE_BITS
 */
export function scaleValues(values: usize, count: u32, numbers: usize, runs: usize, workspace: usize): u32 {
  let exponent = probeExponent(values, count);
  if (exponent != NO_EXPONENT) {
    const specialsMax = (count >> 3) + 2;
    let specials = scaleBy(values, count, exponent, numbers, runs, workspace);
    if (specials > specialsMax) {
      exponent = exponentOfFailures(values, count, exponent);
      if (exponent != NO_EXPONENT) specials = scaleBy(values, count, exponent, numbers, runs, workspace);
    }
    if (exponent != NO_EXPONENT && specials <= specialsMax) return exponent;
  }
  takeBits(values, count, numbers, runs, workspace);
  return MODE_BITS;
}

/** The least power of ten, at least `from`, that makes a whole number of a value which gives it back. */
function exponentOf(value: f64, from: u32): u32 {
  for (let exponent = from; exponent <= EXPONENT_TRIED_MAX; exponent++) {
    const scale = power10(exponent);
    const number = nearest(value * scale);
    if (abs(number) > NUMBER_MAX) return NO_EXPONENT;
    if (number / scale == value) return exponent;
  }
  return NO_EXPONENT;
}

/** The exponent that some values, evenly spread, need; a few of them may need more. */
function probeExponent(values: usize, count: u32): u32 {
  const stride = max<u32>(1, count / PROBES);
  let highest: u32 = 0;
  let second: u32 = 0;
  let probed: u32 = 0;
  let failed: u32 = 0;
  for (let i: u32 = 0; i < count; i += stride) {
    const value = load<f64>(values + (usize(i) << 3));
    if (isNeverNumber(reinterpret<u64>(value))) continue;
    probed++;
    // Most values need what the others need.
    const exponent = exponentOf(value, 0);
    if (exponent == NO_EXPONENT) {
      failed++;
      continue;
    }
    if (exponent > highest) {
      second = highest;
      highest = exponent;
    } else if (exponent > second) second = exponent;
  }
  if (failed * 8 > probed) return NO_EXPONENT;
  // One odd value of many does not make all others longer.
  return probed >= 16 && highest > second + 3 ? second : highest;
}

/** The exponent that does for the values which `exponent` fails. */
function exponentOfFailures(values: usize, count: u32, exponent: u32): u32 {
  let found = exponent;
  for (let i: u32 = 0; i < count; i++) {
    const value = load<f64>(values + (usize(i) << 3));
    if (isNeverNumber(reinterpret<u64>(value))) continue;
    const needed = exponentOf(value, found);
    if (needed != NO_EXPONENT) found = needed;
  }
  return found == exponent ? NO_EXPONENT : found;
}

/** @returns how many values are specials for lack of digits */
function scaleBy(values: usize, count: u32, exponent: u32, numbers: usize, runs: usize, workspace: usize): u32 {
  const scale = power10(exponent);
  const scales = f64x2.splat(scale);
  const limits = f64x2.splat(NUMBER_MAX);
  const minusZero = i64x2.splat(0x8000_0000_0000_0000);
  let failures: u32 = 0;
  let runCount: u32 = 0;
  let before: i64 = 0;
  let hasNumber = false;
  let i: u32 = 0;
  while (i < count) {
    const value = v128.load(values + (usize(i) << 3));
    const number = f64x2.nearest(f64x2.mul(value, scales));
    const isExact = v128.andnot(
      v128.and(i64x2.eq(f64x2.div(number, scales), value), f64x2.le(f64x2.abs(number), limits)),
      i64x2.eq(value, minusZero),
    );
    const exact = i64x2.bitmask(isExact);
    if (exact == 3 && i + 1 < count) {
      store<i64>(numbers + (usize(i) << 3), i64(f64x2.extract_lane(number, 0)));
      before = i64(f64x2.extract_lane(number, 1));
      store<i64>(numbers + (usize(i) << 3), before, 8);
      if (!hasNumber) fillBefore(numbers, i);
      hasNumber = true;
      i += 2;
      continue;
    }
    if ((exact & 1) != 0) {
      before = i64(f64x2.extract_lane(number, 0));
      store<i64>(numbers + (usize(i) << 3), before);
      if (!hasNumber) fillBefore(numbers, i);
      hasNumber = true;
    } else {
      store<i64>(numbers + (usize(i) << 3), before);
      const bits = load<u64>(values + (usize(i) << 3));
      if (!isNeverNumber(bits)) failures++;
      runCount = addSpecial(values, runs, runCount, i);
    }
    i++;
  }
  store<u32>(workspace + RUN_COUNT, runCount);
  return failures;
}

function takeBits(values: usize, count: u32, numbers: usize, runs: usize, workspace: usize): void {
  let runCount: u32 = 0;
  let before: i64 = 0;
  let hasNumber = false;
  for (let i: u32 = 0; i < count; i++) {
    const bits = load<u64>(values + (usize(i) << 3));
    if (isNeverNumber(bits)) runCount = addSpecial(values, runs, runCount, i);
    else before = i64(bits);
    store<i64>(numbers + (usize(i) << 3), before);
    if (!hasNumber && !isNeverNumber(bits)) {
      fillBefore(numbers, i);
      hasNumber = true;
    }
  }
  store<u32>(workspace + RUN_COUNT, runCount);
}

/** Specials before the first number stand for that number. */
function fillBefore(numbers: usize, i: u32): void {
  const number = load<i64>(numbers + (usize(i) << 3));
  for (let k: u32 = 0; k < i; k++) store<i64>(numbers + (usize(k) << 3), number);
}

/** @returns how many runs there are then */
function addSpecial(values: usize, runs: usize, runCount: u32, i: u32): u32 {
  const last = runs + (usize(runCount) << 3) - 8;
  const isNext = runCount > 0 && load<u32>(last) + load<u32>(last, 4) == i;
  if (isNext && load<u64>(values + (usize(i) << 3)) == load<u64>(values + (usize(i) << 3) - 8)) {
    store<u32>(last, load<u32>(last, 4) + 1, 4);
    return runCount;
  }
  store<u32>(last, i, 8);
  store<u32>(last, 1, 12);
  return runCount + 1;
}
