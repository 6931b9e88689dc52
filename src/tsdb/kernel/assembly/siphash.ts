/**
 * SipHash-1-3 with 128-bit output (Aumasson, Bernstein: "SipHash: a fast short-input PRF"): one round per word, three
 * to finish. Keyed, so that senders cannot choose labels that collide.
 *
 * A round is a chain of additions, rotations and XORs in which each step waits for the one before. Two messages at once,
 * one in each half of a vector, take little longer than one.
 */

/** Writes the hash of `bytes` at `address` to `out`: two u64, the low half first. Reads up to 7 bytes past the end. */
export function siphash128(key0: u64, key1: u64, address: usize, bytes: u32, out: usize): void {
  siphash128Two(key0, key1, address, bytes, out, address, bytes, out);
}

/** As siphash128, for two messages. */
export function siphash128Two(
  key0: u64,
  key1: u64,
  addressA: usize,
  bytesA: u32,
  outA: usize,
  addressB: usize,
  bytesB: u32,
  outB: usize,
): void {
  if (bytesA >> 3 < bytesB >> 3) {
    siphash128Two(key0, key1, addressB, bytesB, outB, addressA, bytesA, outA);
    return;
  }
  let a0: u64 = key0 ^ 0x736f_6d65_7073_6575;
  let a1: u64 = key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee;
  let a2: u64 = key0 ^ 0x6c79_6765_6e65_7261;
  let a3: u64 = key1 ^ 0x7465_6462_7974_6573;
  let v0 = i64x2.splat(a0);
  let v1 = i64x2.splat(a1);
  let v2 = i64x2.splat(a2);
  let v3 = i64x2.splat(a3);

  // What A has more of goes first and alone; from then on both have the same number of words.
  let atA = addressA;
  for (let more = (bytesA >> 3) - (bytesB >> 3); more > 0; more--, atA += 8) {
    const word = load<u64>(atA);
    a3 ^= word;
    a0 += a1; a1 = rotl<u64>(a1, 13); a1 ^= a0; a0 = rotl<u64>(a0, 32);
    a2 += a3; a3 = rotl<u64>(a3, 16); a3 ^= a2;
    a0 += a3; a3 = rotl<u64>(a3, 21); a3 ^= a0;
    a2 += a1; a1 = rotl<u64>(a1, 17); a1 ^= a2; a2 = rotl<u64>(a2, 32);
    a0 ^= word;
  }
  v0 = i64x2.replace_lane(v0, 0, a0);
  v1 = i64x2.replace_lane(v1, 0, a1);
  v2 = i64x2.replace_lane(v2, 0, a2);
  v3 = i64x2.replace_lane(v3, 0, a3);

  // Whole words, then one of what is left with the length on top.
  const words = bytesB >> 3;
  for (let i: u32 = 0; i <= words; i++) {
    const offset = usize(i) << 3;
    const word =
      i < words
        ? v128.load64_lane(addressB + offset, v128.load64_zero(atA + offset), 1)
        : i64x2.replace_lane(i64x2.splat(lastWord(atA + offset, bytesA)), 1, lastWord(addressB + offset, bytesB));
    v3 = v128.xor(v3, word);
    v0 = i64x2.add(v0, v1); v1 = v128.xor(rotate(v1, 13), v0); v0 = swapHalves(v0);
    v2 = i64x2.add(v2, v3); v3 = v128.xor(rotate(v3, 16), v2);
    v0 = i64x2.add(v0, v3); v3 = v128.xor(rotate(v3, 21), v0);
    v2 = i64x2.add(v2, v1); v1 = v128.xor(rotate(v1, 17), v2); v2 = swapHalves(v2);
    v0 = v128.xor(v0, word);
  }

  v2 = v128.xor(v2, i64x2.splat(0xee));
  for (let half: usize = 0; half < 2; half++) {
    if (half == 1) v1 = v128.xor(v1, i64x2.splat(0xdd));
    for (let round = 0; round < 3; round++) {
      v0 = i64x2.add(v0, v1); v1 = v128.xor(rotate(v1, 13), v0); v0 = swapHalves(v0);
      v2 = i64x2.add(v2, v3); v3 = v128.xor(rotate(v3, 16), v2);
      v0 = i64x2.add(v0, v3); v3 = v128.xor(rotate(v3, 21), v0);
      v2 = i64x2.add(v2, v1); v1 = v128.xor(rotate(v1, 17), v2); v2 = swapHalves(v2);
    }
    const hash = v128.xor(v128.xor(v0, v1), v128.xor(v2, v3));
    v128.store64_lane(outA + (half << 3), hash, 0);
    v128.store64_lane(outB + (half << 3), hash, 1);
  }
}

/** The bytes behind the last whole word, filled up with zeros, and the length of all in the highest byte. */
@inline
function lastWord(rest: usize, bytes: u32): u64 {
  const bits = u64(bytes & 7) << 3;
  return (u64(bytes) << 56) | (load<u64>(rest) & ((u64(1) << bits) - 1));
}
@inline
function rotate(value: v128, bits: i32): v128 {
  return v128.or(i64x2.shl(value, bits), i64x2.shr_u(value, 64 - bits));
}
/** Rotates by 32 bits. */
@inline
function swapHalves(value: v128): v128 {
  return i32x4.shuffle(value, value, 1, 0, 3, 2);
}
