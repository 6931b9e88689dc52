/**
 * Residuals of a packed block back to numbers. Those of up to 24 bits are unpacked four at a time: their sums along a
 * block stay below 2^31, and what they are added to is a whole double, so that nothing is rounded.
 */

export const WIDTH_SMALL_MAX: u32 = 24;

/** Residual `i` of a block. Reads up to 9 bytes from where it begins. */
@inline
function residualAt(packed: usize, width: u32, mask: u64, i: u32): u64 {
  const bit = i * width;
  const at = packed + (bit >> 3);
  const shift = u64(bit & 7);
  let word = load<u64>(at) >> shift;
  if (width > 56 && shift != 0) word |= u64(load<u8>(at, 8)) << (64 - shift);
  return word & mask;
}

@inline
export function maskOf(width: u32): u64 {
  return width == 0 ? 0 : u64(-1) >> (64 - width);
}

/** All residuals, as u64. */
export function unpackBlock(packed: usize, width: u32, count: u32, out: usize): void {
  const mask = maskOf(width);
  for (let i: u32 = 0; i < count; i++) store<u64>(out + (usize(i) << 3), residualAt(packed, width, mask, i));
}

/** base + step, base + 2 * step, ..., divided by scale. */
export function fillLinear(out: usize, count: u32, base: f64, step: f64, scale: f64): void {
  const end = out + (usize(count) << 3);
  const scales = f64x2.splat(scale);
  let numbers = f64x2(base + step, base + 2 * step);
  if (step == 0) {
    const same = f64x2.div(numbers, scales);
    for (; out + 16 <= end; out += 16) v128.store(out, same);
    if (out < end) store<f64>(out, f64x2.extract_lane(same, 0));
    return;
  }
  // Added up in four places: each addition waits for the one before it.
  const twoSteps = f64x2.splat(2 * step);
  const eightSteps = f64x2.splat(8 * step);
  let numbers1 = f64x2.add(numbers, twoSteps);
  let numbers2 = f64x2.add(numbers1, twoSteps);
  let numbers3 = f64x2.add(numbers2, twoSteps);
  const isScaled = scale != 1;
  for (; out + 64 <= end; out += 64) {
    v128.store(out, isScaled ? f64x2.div(numbers, scales) : numbers);
    v128.store(out, isScaled ? f64x2.div(numbers1, scales) : numbers1, 16);
    v128.store(out, isScaled ? f64x2.div(numbers2, scales) : numbers2, 32);
    v128.store(out, isScaled ? f64x2.div(numbers3, scales) : numbers3, 48);
    numbers = f64x2.add(numbers, eightSteps);
    numbers1 = f64x2.add(numbers1, eightSteps);
    numbers2 = f64x2.add(numbers2, eightSteps);
    numbers3 = f64x2.add(numbers3, eightSteps);
  }
  for (; out + 16 <= end; out += 16) {
    v128.store(out, isScaled ? f64x2.div(numbers, scales) : numbers);
    numbers = f64x2.add(numbers, twoSteps);
  }
  if (out < end) store<f64>(out, f64x2.extract_lane(numbers, 0) / scale);
}

/**
 * Residuals of 1 to WIDTH_SMALL_MAX bits to values: (base + i * step + factor * residual) / scale, i from 1 on.
 * @param isSum instead of each residual, the sum of all up to it
 * @returns the sum of the residuals, if `isSum`
 */
export function unpackSmall(
  packed: usize,
  width: u32,
  count: u32,
  out: usize,
  base: f64,
  step: f64,
  factor: f64,
  scale: f64,
  isSum: bool,
): u32 {
  // A residual lies within four bytes: these are gathered in its lane, and multiplying by a power of two shifts each
  // lane by as much as it needs, so that all begin at bit 7. Eight residuals are `width` bytes: two patterns repeat.
  const bits = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(width));
  const gather0 = gatherOf(bits);
  const multiply0 = multiplierOf(bits);
  const oddBits = i32x4.add(bits, i32x4.splat((width & 1) << 2));
  const gather1 = gatherOf(oddBits);
  const multiply1 = multiplierOf(oddBits);
  const half = usize(width) >> 1;
  const left = 25 - width;
  const right = 32 - width;

  const factors = f64x2.splat(factor);
  const scales = f64x2.splat(scale);
  const isScaled = scale != 1;
  const fourSteps = f64x2.splat(4 * step);
  let bases0 = f64x2(base + step, base + 2 * step);
  let bases1 = f64x2(base + 3 * step, base + 4 * step);
  let sum = i32x4.splat(0);
  let place = out;
  const bulk = count & ~7;
  const bulkEnd = out + (usize(bulk) << 3);
  for (let at = packed; place < bulkEnd; at += width) {
    let first = fourResiduals(v128.load(at), gather0, multiply0, left, right);
    let second = fourResiduals(v128.load(at + half), gather1, multiply1, left, right);
    if (isSum) {
      first = i32x4.add(sums(first), sum);
      second = i32x4.add(sums(second), lastLane(first));
      sum = lastLane(second);
    }
    let numbers0 = f64x2.add(bases0, f64x2.mul(f64x2.convert_low_i32x4_s(first), factors));
    let numbers1 = f64x2.add(bases1, f64x2.mul(f64x2.convert_low_i32x4_s(upperHalf(first)), factors));
    bases0 = f64x2.add(bases0, fourSteps);
    bases1 = f64x2.add(bases1, fourSteps);
    let numbers2 = f64x2.add(bases0, f64x2.mul(f64x2.convert_low_i32x4_s(second), factors));
    let numbers3 = f64x2.add(bases1, f64x2.mul(f64x2.convert_low_i32x4_s(upperHalf(second)), factors));
    bases0 = f64x2.add(bases0, fourSteps);
    bases1 = f64x2.add(bases1, fourSteps);
    if (isScaled) {
      numbers0 = f64x2.div(numbers0, scales);
      numbers1 = f64x2.div(numbers1, scales);
      numbers2 = f64x2.div(numbers2, scales);
      numbers3 = f64x2.div(numbers3, scales);
    }
    v128.store(place, numbers0);
    v128.store(place, numbers1, 16);
    v128.store(place, numbers2, 32);
    v128.store(place, numbers3, 48);
    place += 64;
  }
  let total = u32(i32x4.extract_lane(sum, 0));
  const mask = maskOf(width);
  for (let i = bulk; i < count; i++) {
    const residual = u32(residualAt(packed, width, mask, i));
    total = isSum ? total + residual : residual;
    store<f64>(out + (usize(i) << 3), (base + f64(i + 1) * step + f64(total) * factor) / scale);
  }
  return total;
}

/** Four residuals, one in each lane. */
@inline
function fourResiduals(bytes: v128, gather: v128, multiply: v128, left: i32, right: i32): v128 {
  return i32x4.shr_u(i32x4.shl(i32x4.mul(i8x16.swizzle(bytes, gather), multiply), left), right);
}
/** Each lane and those before it, added up. */
@inline
function sums(lanes: v128): v128 {
  const zero = i32x4.splat(0);
  const twos = i32x4.add(lanes, i8x16.shuffle(zero, lanes, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27));
  return i32x4.add(twos, i8x16.shuffle(zero, twos, 0, 0, 0, 0, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23));
}
/** The last lane, in all lanes. */
@inline
function lastLane(lanes: v128): v128 {
  return i8x16.shuffle(lanes, lanes, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
}
@inline
function upperHalf(lanes: v128): v128 {
  return i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
}
/** Of each lane's bit position the four bytes that begin there, as indexes for a swizzle. */
@inline
function gatherOf(bits: v128): v128 {
  const bytes = i32x4.mul(i32x4.shr_u(bits, 3), i32x4.splat(0x0101_0101));
  return i32x4.add(bytes, i32x4.splat(0x0302_0100));
}
/** Of each lane's bit position 2^(7 - position modulo 8). */
@inline
function multiplierOf(bits: v128): v128 {
  const powers = i8x16(-128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  // Indexes of 16 and above give 0: only the lowest byte of each lane gets a power.
  const indexes = v128.or(v128.and(bits, i32x4.splat(7)), i32x4.splat(0x7f7f_7f00));
  return i8x16.swizzle(powers, indexes);
}
