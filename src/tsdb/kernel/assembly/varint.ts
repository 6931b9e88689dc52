/**
 * Protobuf varints: seven bits a byte, the lowest first, the top bit says that more follow. Signed numbers that may be
 * negative are zigzagged first, so that small ones stay short.
 */

/** No address: the varint ran past `end` or past 64 bits. */
export const BAD: usize = 0;

/** Stores the varint at `at` to `out` (u64). @returns the address behind it, or BAD. */
@inline
export function readVarint(at: usize, end: usize, out: usize): usize {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) return BAD;
    const byte = u64(load<u8>(at++));
    value |= (byte & 127) << shift;
    if (byte < 128) {
      // The tenth byte has room for one bit.
      if (shift == 63 && byte > 1) return BAD;
      store<u64>(out, value);
      return at;
    }
  }
  return BAD;
}

/** @returns the address behind it */
@inline
export function putVarint(at: usize, value: u64): usize {
  while (value > 127) {
    store<u8>(at++, u8(value) | 128);
    value >>= 7;
  }
  store<u8>(at++, u8(value));
  return at;
}

/** Bytes that putVarint writes. */
@inline
export function varintBytes(value: u32): u32 {
  return value < 1 << 7 ? 1 : value < 1 << 14 ? 2 : value < 1 << 21 ? 3 : value < 1 << 28 ? 4 : 5;
}

@inline
export function varintBytesOf64(value: u64): u32 {
  return (70 - u32(clz(value | 1))) / 7;
}

@inline
export function zigzag(value: i64): u64 {
  return u64((value << 1) ^ (value >> 63));
}
@inline
export function unzigzag(value: u64): i64 {
  return i64(value >> 1) ^ -i64(value & 1);
}
