/**
 * Decodes a column of a packed chunk (packed-column.ts says what it is made of) to doubles, or to the bits of values.
 * All arithmetic is modulo 2^64, whatever the bytes say. Most blocks are computed in doubles, four at a time: wherever
 * nothing can be rounded, which comes to the same.
 */
import { BLOCK, EQUAL_STEPS, FACTOR, KIND_BITS, KIND_TIMES, WITH_EXCEPTIONS } from "./packed-column";
import { packedBytes } from "./packed-plan";
import { fillLinear, unpackBlock, unpackSmall, WIDTH_SMALL_MAX } from "./packed-unpack";
import { BAD, readVarint, unzigzag } from "./varint";

/** Whole doubles up to here can be added without rounding. */
const WHOLE_MAX: f64 = 9e15;

/**
 * Decodes a column of `count` numbers: times and decimals as doubles, divided by `scale`, bits as they are.
 * @param last of times the last one
 * @returns the address behind the column, or BAD when it is malformed
 */
export function decodeColumn(
  kind: u32,
  at: usize,
  end: usize,
  out: usize,
  count: u32,
  first: i64,
  last: i64,
  scale: f64,
): usize {
  if (at >= end) return BAD;
  const head = u32(load<u8>(at++));
  if (head == EQUAL_STEPS) {
    let step: i64 = 0;
    if (kind != KIND_TIMES) {
      at = readVarint(at, end, out);
      if (at == BAD) return BAD;
      step = unzigzag(load<u64>(out));
    } else if (count > 1) step = (last - first) / i64(count - 1);
    fillSteps(kind, out, count, first, step, scale);
    return at;
  }
  const order = head & 3;
  if ((head & ~(3 | FACTOR)) != 0 || count < 2) return BAD;
  let factor: i64 = 1;
  if ((head & FACTOR) != 0) {
    at = readVarint(at, end, out);
    if (at == BAD) return BAD;
    factor = load<i64>(out);
  }
  // By how much the next number goes up, before its residual.
  let slope: i64 = 0;
  let x = first;
  let i: u32 = 1;
  if (order >= 2) {
    at = readVarint(at, end, out);
    if (at == BAD) return BAD;
    slope = factor * unzigzag(load<u64>(out));
  }
  if (order == 2) {
    x += slope;
    storeNumber(kind, out + 8, x, scale);
    i = 2;
  }
  // Until the end the first place is free to read numbers to.
  for (; i < count; i += BLOCK) {
    const place = out + (usize(i) << 3);
    const blockCount = min<u32>(BLOCK, count - i);
    if (at >= end) return BAD;
    const form = u32(load<u8>(at++));
    const width = form & 127;
    at = readVarint(at, end, out);
    if (at == BAD || width > 64) return BAD;
    const least = unzigzag(load<u64>(out));
    const packed = at;
    if (u32(end - at) < packedBytes(blockCount, width)) return BAD;
    at += packedBytes(blockCount, width);

    const exceptions = at;
    const hasExceptions = (form & WITH_EXCEPTIONS) != 0;
    if (hasExceptions) {
      at = scanExceptions(at, end, blockCount, width, out);
      if (at == BAD) return BAD;
    } else store<f64>(out, 0);

    const isSum = order == 1;
    const offset = factor * least;
    // Where the block's line begins, and by how much it goes up from one number to the next.
    const from = isSum ? x : first + slope * i64(i - 1) + offset;
    const step = isSum ? offset : slope;
    if (kind != KIND_BITS && order != 2 && isWhole(from, step, factor, width, isSum, load<f64>(out))) {
      const blockScale = hasExceptions ? 1 : scale;
      let sum: i64 = 0;
      if (width == 0) fillLinear(place, blockCount, f64(from), f64(step), blockScale);
      else {
        sum = unpackSmall(packed, width, blockCount, place, f64(from), f64(step), f64(factor), blockScale, isSum);
      }
      if (hasExceptions) sum += patch(exceptions, end, place, blockCount, width, factor, scale, isSum, out);
      x += offset * i64(blockCount) + factor * sum;
      continue;
    }
    unpackBlock(packed, width, blockCount, place);
    if (hasExceptions) addExceptions(exceptions, end, place, width, out);
    for (let k: u32 = 0; k < blockCount; k++) {
      const into = place + (usize(k) << 3);
      const residual = factor * (least + load<i64>(into));
      if (order == 1) x += residual;
      else if (order == 2) {
        slope += residual;
        x += slope;
      } else x = first + slope * i64(i + k) + residual;
      storeNumber(kind, into, x, scale);
    }
  }
  storeNumber(kind, out, first, scale);
  return at;
}

@inline
function storeNumber(kind: u32, place: usize, x: i64, scale: f64): void {
  if (kind == KIND_BITS) store<i64>(place, x);
  else if (scale == 1) store<f64>(place, f64(x));
  else store<f64>(place, f64(x) / scale);
}

/**
 * Whether a block's residuals are small, and nothing that is added up along it can go beyond what doubles hold without
 * rounding. `exceptions`: what those add, at most.
 */
@inline
function isWhole(from: i64, step: i64, factor: i64, width: u32, isSum: bool, exceptions: f64): bool {
  if (width > WIDTH_SMALL_MAX) return false;
  const residuals = f64(u64(1) << width) * (isSum ? f64(BLOCK) : 1);
  return abs(f64(from)) + abs(f64(step)) * f64(BLOCK) + abs(f64(factor)) * (residuals + exceptions) < WHOLE_MAX;
}

function fillSteps(kind: u32, out: usize, count: u32, first: i64, step: i64, scale: f64): void {
  if (kind != KIND_BITS && abs(f64(first)) + abs(f64(step)) * f64(count + 1) < WHOLE_MAX) {
    fillLinear(out, count, f64(first - step), f64(step), scale);
    return;
  }
  let x = first;
  for (let i: u32 = 0; i < count; i++) {
    storeNumber(kind, out + (usize(i) << 3), x, scale);
    x += step;
  }
}

/**
 * Looks over a block's exceptions, whose indexes ascend. Leaves at `place` how much they add to residuals, all together
 * and whatever their signs, as f64.
 * @returns the address behind them, or BAD
 */
function scanExceptions(at: usize, end: usize, count: u32, width: u32, place: usize): usize {
  if (at >= end || width >= 64) return BAD;
  let added: f64 = 0;
  let least: u32 = 0;
  for (let exceptions = u32(load<u8>(at++)); exceptions > 0; exceptions--) {
    if (at >= end) return BAD;
    const i = u32(load<u8>(at++));
    if (i < least || i >= count) return BAD;
    least = i + 1;
    at = readVarint(at, end, place);
    if (at == BAD) return BAD;
    added += abs(f64(unzigzag(load<u64>(place)))) * f64(u64(1) << width);
  }
  store<f64>(place, added);
  return at;
}

/** Adds to residuals what is above their width. @param place where a number may be read to */
function addExceptions(at: usize, end: usize, residuals: usize, width: u32, place: usize): void {
  for (let exceptions = u32(load<u8>(at++)); exceptions > 0; exceptions--) {
    const residual = residuals + (usize(load<u8>(at++)) << 3);
    at = readVarint(at, end, place);
    store<i64>(residual, load<i64>(residual) + (unzigzag(load<u64>(place)) << width));
  }
}

/**
 * Adds to the numbers of a block what exceptions add, and to those behind them if they are sums; then divides all.
 * @returns the sum of what was added to residuals
 */
function patch(
  at: usize,
  end: usize,
  numbers: usize,
  count: u32,
  width: u32,
  factor: i64,
  scale: f64,
  isSum: bool,
  place: usize,
): i64 {
  let sum: i64 = 0;
  let from = numbers;
  for (let exceptions = u32(load<u8>(at++)); exceptions > 0; exceptions--) {
    const to = numbers + (usize(load<u8>(at++)) << 3);
    at = readVarint(at, end, place);
    const high = unzigzag(load<u64>(place)) << width;
    shift(from, to, f64(factor * sum), scale);
    from = to;
    if (isSum) sum += high;
    else {
      shift(to, to + 8, f64(factor * high), scale);
      from += 8;
    }
  }
  shift(from, numbers + (usize(count) << 3), f64(factor * sum), scale);
  return sum;
}

/** Adds to the numbers from one address up to another, and divides them. */
@inline
function shift(from: usize, to: usize, added: f64, scale: f64): void {
  const addeds = f64x2.splat(added);
  const scales = f64x2.splat(scale);
  for (; from + 16 <= to; from += 16) v128.store(from, f64x2.div(f64x2.add(v128.load(from), addeds), scales));
  if (from < to) store<f64>(from, (load<f64>(from) + added) / scale);
}
