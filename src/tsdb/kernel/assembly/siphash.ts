/**
 * SipHash-1-3 with 128-bit output (Aumasson, Bernstein: "SipHash: a fast short-input PRF"): one round per word, three
 * to finish. Keyed, so that senders cannot choose labels that collide.
 */

/** Writes the hash of `bytes` at `address` to `out`: two u64, the low half first. Reads up to 7 bytes past the end. */
export function siphash128(key0: u64, key1: u64, address: usize, bytes: u32, out: usize): void {
  let v0: u64 = key0 ^ 0x736f_6d65_7073_6575;
  let v1: u64 = key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee;
  let v2: u64 = key0 ^ 0x6c79_6765_6e65_7261;
  let v3: u64 = key1 ^ 0x7465_6462_7974_6573;
  const whole = address + (bytes & ~7);
  for (let at = address; at < whole; at += 8) {
    const word = load<u64>(at);
    v3 ^= word;
    v0 += v1; v1 = rotl<u64>(v1, 13); v1 ^= v0; v0 = rotl<u64>(v0, 32);
    v2 += v3; v3 = rotl<u64>(v3, 16); v3 ^= v2;
    v0 += v3; v3 = rotl<u64>(v3, 21); v3 ^= v0;
    v2 += v1; v1 = rotl<u64>(v1, 17); v1 ^= v2; v2 = rotl<u64>(v2, 32);
    v0 ^= word;
  }
  const rest = bytes & 7;
  const last = (u64(bytes) << 56) | (rest == 0 ? 0 : load<u64>(whole) & ((u64(1) << (rest << 3)) - 1));
  v3 ^= last;
  v0 += v1; v1 = rotl<u64>(v1, 13); v1 ^= v0; v0 = rotl<u64>(v0, 32);
  v2 += v3; v3 = rotl<u64>(v3, 16); v3 ^= v2;
  v0 += v3; v3 = rotl<u64>(v3, 21); v3 ^= v0;
  v2 += v1; v1 = rotl<u64>(v1, 17); v1 ^= v2; v2 = rotl<u64>(v2, 32);
  v0 ^= last;
  v2 ^= 0xee;
  for (let half = 0; half < 2; half++) {
    if (half == 1) v1 ^= 0xdd;
    for (let round = 0; round < 3; round++) {
      v0 += v1; v1 = rotl<u64>(v1, 13); v1 ^= v0; v0 = rotl<u64>(v0, 32);
      v2 += v3; v3 = rotl<u64>(v3, 16); v3 ^= v2;
      v0 += v3; v3 = rotl<u64>(v3, 21); v3 ^= v0;
      v2 += v1; v1 = rotl<u64>(v1, 17); v1 ^= v2; v2 = rotl<u64>(v2, 32);
    }
    store<u64>(out + (half << 3), v0 ^ v1 ^ v2 ^ v3);
  }
}
