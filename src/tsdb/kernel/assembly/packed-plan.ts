/**
 * How a block of a packed column is stored shortest: from which number on, how many bits each, and which residuals are
 * exceptions to that. Found from how many residuals lie how far, in powers of two, from one in their midst.
 */
import { varintBytesOf64, zigzag } from "./varint";

/** Where in the workspace the plan stands, and what it is made with. */
export const PLAN_LEAST: usize = 16;
export const PLAN_WIDTH: usize = 24;
export const PLAN_EXCEPTIONS: usize = 28;
/** All bytes of the block. */
export const PLAN_BYTES: usize = 32;
/** Residuals that are at least the middle one, and those below it, by the bits of their distance: 65 u32 each. */
const ABOVE: usize = 64;
const BELOW: usize = 328;
const HISTOGRAMS_BYTES: usize = 520;
/** In counts. */
const BELOW_FROM_ABOVE: u32 = 66;
/** More exceptions than one in so many residuals do not pay, and take long to find out about. */
const EXCEPTIONS_SHARE: u32 = 3;
const NONE: u32 = 0xffff_ffff;

@inline
function residual(residuals: usize, i: u32): i64 {
  return load<i64>(residuals + (usize(i) << 3));
}
@inline
function bitsOf(value: u64): u32 {
  return 64 - u32(clz(value));
}
@inline
function bump(histogram: usize, bits: u32): void {
  store<u32>(histogram + (usize(bits) << 2), load<u32>(histogram + (usize(bits) << 2)) + 1);
}
@inline
function countAt(histogram: usize, bits: u32): u32 {
  return load<u32>(histogram + (usize(bits) << 2));
}
@inline
export function packedBytes(count: u32, width: u32): u32 {
  return (count * width + 7) >> 3;
}

/** Writes the plan for `count` residuals to the workspace. @returns the block's bytes */
export function planBlock(residuals: usize, count: u32, workspace: usize): u32 {
  let least = residual(residuals, 0);
  let most = least;
  for (let i: u32 = 1; i < count; i++) {
    least = min<i64>(least, residual(residuals, i));
    most = max<i64>(most, residual(residuals, i));
  }
  const width = bitsOf(u64(most - least));
  const bytes: u32 = 1 + varintBytesOf64(zigzag(least)) + packedBytes(count, width);
  store<i64>(workspace, least, PLAN_LEAST);
  store<u32>(workspace, width, PLAN_WIDTH);
  store<u32>(workspace, 0, PLAN_EXCEPTIONS);
  store<u32>(workspace, bytes, PLAN_BYTES);
  // A few exceptions cost more than the bits that they could save.
  if (count * width < 48) return bytes;
  return planExceptions(residuals, count, least, most, workspace);
}

/** Improves the plan by exceptions, if that pays. @returns the block's bytes */
function planExceptions(residuals: usize, count: u32, least: i64, most: i64, workspace: usize): u32 {
  const middle = median(residuals, count);
  const above = workspace + ABOVE;
  const below = workspace + BELOW;
  memory.fill(above, 0, HISTOGRAMS_BYTES);
  for (let i: u32 = 0; i < count; i++) {
    // Without a branch: which side a residual is on cannot be foretold.
    const distance = residual(residuals, i) - middle;
    const sign = distance >> 63;
    bump(above, bitsOf(u64(distance ^ sign)) + (u32(sign) & BELOW_FROM_ABOVE));
  }
  const aboveMost = most >= middle ? bitsOf(u64(most - middle)) : 0;
  const belowMost = least < middle ? bitsOf(~u64(least - middle)) : NONE;

  // Of all pairs of a lower and an upper bound the one that seems shortest.
  const wholeWidth = load<u32>(workspace, PLAN_WIDTH);
  let bestBits: u32 = count * wholeWidth;
  let bestAbove: u32 = NONE;
  let bestBelow: u32 = NONE;
  let outAbove: u32 = 0;
  const outMax = count / EXCEPTIONS_SHARE;
  for (let a = i32(aboveMost); a >= 0; a--) {
    let out = outAbove;
    for (let b = i32(belowMost); b >= -1; b--) {
      const width = b < 0 ? u32(a) : u32(max<i32>(a, b)) + 1;
      const bits = count * width + out * exceptionBits(wholeWidth, width);
      if (bits < bestBits && out > 0) {
        bestBits = bits;
        bestAbove = u32(a);
        bestBelow = u32(b);
      }
      if (b >= 0) out += countAt(below, u32(b));
      if (out > outMax) break;
    }
    outAbove += countAt(above, u32(a));
    if (outAbove > outMax) break;
  }
  const bytes = load<u32>(workspace, PLAN_BYTES);
  return bestAbove == NONE ? bytes : tryBounds(residuals, count, middle, bestAbove, bestBelow, workspace);
}

/** What an exception costs, about: its index, and what sticks out of the width, often less than the whole. */
@inline
function exceptionBits(wholeWidth: u32, width: u32): u32 {
  return wholeWidth > width ? 13 + (((wholeWidth - width) * 3) >> 2) : 16;
}

/** Takes exact bounds and lengths, and keeps them if they are better. @returns the block's bytes */
function tryBounds(
  residuals: usize,
  count: u32,
  middle: i64,
  bitsAbove: u32,
  bitsBelow: u32,
  workspace: usize,
): u32 {
  let least = middle;
  let most = middle;
  for (let i: u32 = 0; i < count; i++) {
    const value = residual(residuals, i);
    const distance = value - middle;
    const sign = distance >> 63;
    // NONE is -1: no distance is within it.
    if (i32(bitsOf(u64(distance ^ sign))) > i32(sign != 0 ? bitsBelow : bitsAbove)) continue;
    least = min<i64>(least, value);
    most = max<i64>(most, value);
  }
  const width = bitsOf(u64(most - least));
  if (width > 56) return load<u32>(workspace, PLAN_BYTES);
  let exceptions: u32 = 0;
  let bytes: u32 = 2 + varintBytesOf64(zigzag(least)) + packedBytes(count, width);
  for (let i: u32 = 0; i < count; i++) {
    const high = (residual(residuals, i) - least) >> width;
    if (high == 0) continue;
    exceptions++;
    bytes += 1 + varintBytesOf64(zigzag(high));
  }
  if (bytes >= load<u32>(workspace, PLAN_BYTES) || exceptions == 0) return load<u32>(workspace, PLAN_BYTES);
  store<i64>(workspace, least, PLAN_LEAST);
  store<u32>(workspace, width, PLAN_WIDTH);
  store<u32>(workspace, exceptions, PLAN_EXCEPTIONS);
  store<u32>(workspace, bytes, PLAN_BYTES);
  return bytes;
}

/** One of five residuals that has two on each side. */
function median(residuals: usize, count: u32): i64 {
  let a = residual(residuals, count / 10);
  let b = residual(residuals, (3 * count) / 10);
  let c = residual(residuals, count / 2);
  let d = residual(residuals, (7 * count) / 10);
  const e = residual(residuals, (9 * count) / 10);
  let low = min<i64>(a, b);
  b = max<i64>(a, b);
  a = low;
  low = min<i64>(c, d);
  d = max<i64>(c, d);
  c = low;
  // The least and the greatest of the first four cannot be it.
  a = max<i64>(a, c);
  b = min<i64>(b, d);
  return max<i64>(min<i64>(a, b), min<i64>(max<i64>(a, b), e));
}
