/** Bytes: CRC32C, big-endian words, comparison, UTF-8. Everything works on addresses of linear memory. */
import { CRC_TABLES } from "./layout";

/** Castagnoli's polynomial, reflected. */
const CRC32C_POLYNOMIAL: u32 = 0x82f6_3b78;

/** Computes the tables that crc32c needs; once per memory, by the thread that creates it. */
export function initTables(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? CRC32C_POLYNOMIAL : 0);
    store<u32>(CRC_TABLES + (usize(i) << 2), crc);
  }
  for (let table: u32 = 1; table < 8; table++) {
    for (let i: u32 = 0; i < 256; i++) {
      const before = load<u32>(CRC_TABLES + (usize((table - 1) * 256 + i) << 2));
      store<u32>(CRC_TABLES + (usize(table * 256 + i) << 2), (before >> 8) ^ table0(before & 255));
    }
  }
}

@inline
function table0(byte: u32): u32 {
  return load<u32>(CRC_TABLES + (usize(byte) << 2));
}
@inline
function tableN(table: u32, byte: u32): u32 {
  return load<u32>(CRC_TABLES + (usize(table * 256 + byte) << 2));
}

/** CRC32C of `bytes` at `address`, continuing from `seed` (0 to start), eight bytes a step. */
export function crc32c(address: usize, bytes: u32, seed: u32): u32 {
  let crc = ~seed;
  let at = address;
  const end = address + bytes;
  while (end - at >= 8) {
    const low = load<u32>(at) ^ crc;
    const high = load<u32>(at, 4);
    crc =
      tableN(7, low & 255) ^
      tableN(6, (low >> 8) & 255) ^
      tableN(5, (low >> 16) & 255) ^
      tableN(4, low >> 24) ^
      tableN(3, high & 255) ^
      tableN(2, (high >> 8) & 255) ^
      tableN(1, (high >> 16) & 255) ^
      table0(high >> 24);
    at += 8;
  }
  while (at < end) crc = (crc >> 8) ^ table0((crc ^ u32(load<u8>(at++))) & 255);
  return ~crc;
}

/** Loads eight bytes, most significant first. */
@inline
export function loadBigEndian(address: usize): u64 {
  const word = v128.load64_zero(address);
  return i64x2.extract_lane(i8x16.shuffle(word, word, 7, 6, 5, 4, 3, 2, 1, 0, 7, 6, 5, 4, 3, 2, 1, 0), 0);
}

/** Stores eight bytes, most significant first. */
@inline
export function storeBigEndian(address: usize, value: u64): void {
  const word = i64x2.splat(value);
  v128.store64_lane(address, i8x16.shuffle(word, word, 7, 6, 5, 4, 3, 2, 1, 0, 7, 6, 5, 4, 3, 2, 1, 0), 0);
}

@inline
export function equalBytes(a: usize, b: usize, bytes: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= bytes; i += 8) if (load<u64>(a + i) != load<u64>(b + i)) return false;
  for (; i < bytes; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
  return true;
}

/** Whether the bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isValidUtf8(address: usize, bytes: u32): bool {
  let at = address;
  const end = address + bytes;
  while (at < end) {
    while (end - at >= 8 && (load<u64>(at) & 0x8080_8080_8080_8080) == 0) at += 8;
    if (at == end) return true;
    const first = u32(load<u8>(at++));
    if (first < 0x80) continue;
    if (first < 0xc2 || first > 0xf4) return false;
    if (at == end) return false;
    const second = u32(load<u8>(at++));
    // The second byte's range is narrower where a longer form, a surrogate or too large a number would begin.
    const low: u32 = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const high: u32 = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return false;
    for (let more: u32 = first < 0xe0 ? 0 : first < 0xf0 ? 1 : 2; more > 0; more--) {
      if (at == end || (load<u8>(at++) & 0xc0) != 0x80) return false;
    }
  }
  return true;
}
