/**
 * Encodes a column of whole numbers of a packed chunk: differences, bit-packed in blocks (docs/format/packed-chunk.md).
 * The first number x[0] stands elsewhere.
 *   head u8: order 0 ... 3 | 4: equal steps | 8: a factor
 *   equal steps   x[i] = x[0] + i * step: step zigzag varint; of times nothing, as first and last time give it
 *   else          factor uvarint, if any | orders 2 and 3: slope zigzag varint | blocks of 128 residuals
 *     residuals, in units of the factor: order 0: x[i] - x[0]; 1: x[i] - x[i-1]; 2: what that is more than before, at
 *     first more than the slope, x[1] - x[0]; 3: x[i] - x[0] - i * slope
 *   block         width u8, + 0x80 with exceptions | least zigzag varint | residual - least, `width` bits each
 *                 exceptions: count u8 | each: index u8 | what is above the width, zigzag varint
 */
import { packedBytes, PLAN_BYTES, PLAN_EXCEPTIONS, PLAN_LEAST, PLAN_WIDTH, planBlock } from "./packed-plan";
import { maskOf } from "./packed-unpack";
import { BAD, putVarint, zigzag } from "./varint";

/** What the numbers of a column are: times in ms, values times a power of ten, bits of values. */
export const KIND_TIMES: u32 = 0;
export const KIND_DECIMAL: u32 = 1;
export const KIND_BITS: u32 = 2;

export const BLOCK: u32 = 128;
export const EQUAL_STEPS: u32 = 4;
export const FACTOR: u32 = 8;
export const WITH_EXCEPTIONS: u32 = 0x80;
/** Head, factor, slope. */
const HEAD_BYTES_MAX: u32 = 24;
/** Blocks that are tried to choose the order. */
const TRIED_BLOCKS: u32 = 4;
/** Where in the workspace a block's residuals stand. */
const RESIDUALS: usize = 1024;

/** 10^exponent, up to 22 without rounding. */
export function power10(exponent: u32): f64 {
  let power: f64 = 1;
  for (; exponent > 0; exponent--) power *= 10;
  return power;
}

@inline
function number(numbers: usize, i: u32): i64 {
  return load<i64>(numbers + (usize(i) << 3));
}

/**
 * Encodes a column, whose numbers are changed.
 * @param runs samples whose number is free to choose, as start u32 | length u32, and the number of such runs
 * @returns the address behind the column, or BAD when it would go beyond `end`
 */
export function encodeColumn(
  kind: u32,
  numbers: usize,
  count: u32,
  at: usize,
  end: usize,
  runs: usize,
  runCount: u32,
  workspace: usize,
): usize {
  if (end - at < HEAD_BYTES_MAX) return BAD;
  if (hasEqualSteps(numbers, count)) {
    store<u8>(at++, EQUAL_STEPS);
    if (kind == KIND_TIMES) return at;
    return putVarint(at, zigzag(count > 1 ? number(numbers, 1) - number(numbers, 0) : 0));
  }
  const factor = kind == KIND_BITS ? powerOf2Of(numbers, count) : divisorOf(numbers, count);
  divide(numbers, count, factor);
  if (kind == KIND_DECIMAL && runCount > 0) interpolate(numbers, count, runs, runCount);
  const mean = slopeOf(numbers, count);
  const order = chooseOrder(numbers, count, mean, workspace);
  store<u8>(at++, u8(order | (factor > 1 ? FACTOR : 0)));
  if (factor > 1) at = putVarint(at, factor);
  const slope = order == 2 ? number(numbers, 1) : mean;
  if (order >= 2) at = putVarint(at, zigzag(slope));
  for (let i: u32 = order == 2 ? 2 : 1; i < count; i += BLOCK) {
    const blockCount = min<u32>(BLOCK, count - i);
    takeResiduals(numbers, i, blockCount, order, slope, workspace + RESIDUALS);
    const bytes = planBlock(workspace + RESIDUALS, blockCount, workspace);
    // Whole words are stored.
    if (u32(end - at) < bytes + 8) return BAD;
    at = putBlock(workspace + RESIDUALS, blockCount, at, workspace);
  }
  return at;
}

function hasEqualSteps(numbers: usize, count: u32): bool {
  if (count < 2) return true;
  const step = number(numbers, 1) - number(numbers, 0);
  for (let i: u32 = 2; i < count; i++) if (number(numbers, i) - number(numbers, i - 1) != step) return false;
  return true;
}

/** What divides all differences; 1 after a few numbers, mostly. */
function divisorOf(numbers: usize, count: u32): u64 {
  const first = number(numbers, 0);
  let divisor: u64 = 0;
  for (let i: u32 = 1; i < count && divisor != 1; i++) {
    const difference = number(numbers, i) - first;
    let a = difference < 0 ? u64(-difference) : u64(difference);
    if (divisor == 0) divisor = a;
    else if (a != 0) {
      a %= divisor;
      while (a != 0) {
        const rest = divisor % a;
        divisor = a;
        a = rest;
      }
    }
  }
  return max<u64>(1, divisor);
}

function powerOf2Of(numbers: usize, count: u32): u64 {
  const first = number(numbers, 0);
  let all: u64 = 0;
  for (let i: u32 = 1; i < count; i++) all |= u64(number(numbers, i) - first);
  return u64(1) << min<u64>(62, ctz(all));
}

/** Each number becomes its difference from the first, in units of the factor. */
function divide(numbers: usize, count: u32, factor: u64): void {
  const first = number(numbers, 0);
  const isPowerOf2 = (factor & (factor - 1)) == 0;
  const shift = i64(ctz(factor));
  for (let i: u32 = 0; i < count; i++) {
    const difference = number(numbers, i) - first;
    store<i64>(numbers + (usize(i) << 3), isPowerOf2 ? difference >> shift : difference / i64(factor));
  }
}

/** Numbers that are free to choose go from one neighbour to the other in equal steps. */
function interpolate(numbers: usize, count: u32, runs: usize, runCount: u32): void {
  let run: u32 = 0;
  while (run < runCount) {
    const start = load<u32>(runs + (usize(run) << 3));
    let end = start + load<u32>(runs + (usize(run) << 3), 4);
    // Runs of different specials may follow one another.
    while (++run < runCount && load<u32>(runs + (usize(run) << 3)) == end) {
      end += load<u32>(runs + (usize(run) << 3), 4);
    }
    if (start == 0 || end == count) continue;
    const before = number(numbers, start - 1);
    const step = (number(numbers, end) - before) / i64(end - start + 1);
    for (let i = start; i < end; i++) {
      store<i64>(numbers + (usize(i) << 3), before + step * i64(i - start + 1));
    }
  }
}

/** By how much numbers go up, on average; they begin at 0. */
function slopeOf(numbers: usize, count: u32): i64 {
  return i64(nearest(f64(number(numbers, count - 1)) / f64(count - 1)));
}

/** The order whose residuals take the fewest bytes, judged by a few blocks. */
function chooseOrder(numbers: usize, count: u32, slope: i64, workspace: usize): u32 {
  const blocks = (count - 1 + BLOCK - 1) / BLOCK;
  const tried = min<u32>(blocks, TRIED_BLOCKS);
  let best: u32 = 0;
  let bestBytes: u32 = 0xffff_ffff;
  for (let order: u32 = 0; order <= 3; order++) {
    if (order >= 2 && count < 8) break;
    let bytes: u32 = 0;
    for (let k: u32 = 0; k < tried; k++) {
      const i: u32 = (order == 2 ? 2 : 1) + ((k * blocks) / tried) * BLOCK;
      if (i >= count) continue;
      const blockCount = min<u32>(BLOCK, count - i);
      takeResiduals(numbers, i, blockCount, order, slope, workspace + RESIDUALS);
      bytes += planBlock(workspace + RESIDUALS, blockCount, workspace);
    }
    if (bytes < bestBytes) {
      bestBytes = bytes;
      best = order;
    }
  }
  return best;
}

function takeResiduals(numbers: usize, first: u32, count: u32, order: u32, slope: i64, residuals: usize): void {
  const from = numbers + (usize(first) << 3);
  const bytes = usize(count) << 3;
  if (order == 0) memory.copy(residuals, from, bytes);
  else if (order == 1) {
    for (let at: usize = 0; at < bytes; at += 8) {
      store<i64>(residuals + at, load<i64>(from + at) - load<i64>(from + at - 8));
    }
  } else if (order == 3) {
    let line = slope * i64(first);
    for (let at: usize = 0; at < bytes; at += 8) {
      store<i64>(residuals + at, load<i64>(from + at) - line);
      line += slope;
    }
  } else {
    for (let at: usize = 0; at < bytes; at += 8) {
      const before = load<i64>(from + at - 8);
      store<i64>(residuals + at, load<i64>(from + at) - 2 * before + load<i64>(from + at - 16));
    }
  }
}

/** Writes a block as planned. @returns the address behind it */
function putBlock(residuals: usize, count: u32, at: usize, workspace: usize): usize {
  const least = load<i64>(workspace, PLAN_LEAST);
  const width = load<u32>(workspace, PLAN_WIDTH);
  const exceptions = load<u32>(workspace, PLAN_EXCEPTIONS);
  const end = at + load<u32>(workspace, PLAN_BYTES);
  store<u8>(at++, u8(width | (exceptions > 0 ? WITH_EXCEPTIONS : 0)));
  at = putVarint(at, zigzag(least));
  let word: u64 = 0;
  let filled: u64 = 0;
  const packed = at;
  if (width > 0) {
    const mask = maskOf(width);
    for (let i: u32 = 0; i < count; i++) {
      const low = u64(load<i64>(residuals + (usize(i) << 3)) - least) & mask;
      word |= low << filled;
      filled += width;
      if (filled < 64) continue;
      store<u64>(at, word);
      at += 8;
      filled -= 64;
      word = filled == 0 ? 0 : low >> (width - filled);
    }
    store<u64>(at, word);
  }
  if (exceptions == 0) return end;
  at = packed + packedBytes(count, width);
  store<u8>(at++, u8(exceptions));
  for (let i: u32 = 0; i < count; i++) {
    const high = (load<i64>(residuals + (usize(i) << 3)) - least) >> width;
    if (high == 0) continue;
    store<u8>(at++, u8(i));
    at = putVarint(at, zigzag(high));
  }
  return at;
}
