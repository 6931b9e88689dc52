/** Bytes: CRC32C, big-endian words, comparison, UTF-8. Everything works on addresses of linear memory. */
import { CRC_TABLES } from "./layout";

/** Castagnoli's polynomial, reflected. */
const CRC32C_POLYNOMIAL: u32 = 0x82f6_3b78;

/** What is checked at a time: four lanes side by side, as each step of a lane waits for the one before. */
const LANE_BYTES: u32 = 32;

/** Tables of 256 words: for each byte of eight, and for each byte of a checksum that moves on over a lane of zeros. */
const TABLE_1: usize = CRC_TABLES + 1024;
const TABLE_2: usize = CRC_TABLES + 2 * 1024;
const TABLE_3: usize = CRC_TABLES + 3 * 1024;
const TABLE_4: usize = CRC_TABLES + 4 * 1024;
const TABLE_5: usize = CRC_TABLES + 5 * 1024;
const TABLE_6: usize = CRC_TABLES + 6 * 1024;
const TABLE_7: usize = CRC_TABLES + 7 * 1024;
const ZEROS_0: usize = CRC_TABLES + 8 * 1024;
const ZEROS_1: usize = CRC_TABLES + 9 * 1024;
const ZEROS_2: usize = CRC_TABLES + 10 * 1024;
const ZEROS_3: usize = CRC_TABLES + 11 * 1024;

/** Computes the tables that crc32c needs; once per memory, by the thread that creates it. */
export function initTables(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? CRC32C_POLYNOMIAL : 0);
    store<u32>(CRC_TABLES + (usize(i) << 2), crc);
  }
  for (let i: u32 = 256; i < 8 * 256; i++) {
    const before = load<u32>(CRC_TABLES + (usize(i - 256) << 2));
    store<u32>(CRC_TABLES + (usize(i) << 2), nextByte(before, 0));
  }
  for (let i: u32 = 0; i < 4 * 256; i++) {
    let crc = (i & 255) << ((i >> 8) << 3);
    for (let zeros: u32 = 0; zeros < LANE_BYTES; zeros++) crc = nextByte(crc, 0);
    store<u32>(ZEROS_0 + (usize(i) << 2), crc);
  }
}

@inline
function nextByte(crc: u32, byte: u32): u32 {
  return (crc >> 8) ^ load<u32>(usize((crc ^ byte) & 255) << 2, CRC_TABLES);
}

@inline
function nextEight(crc: u32, bytes: u64): u32 {
  const low = u32(bytes) ^ crc;
  const high = u32(bytes >> 32);
  return (
    load<u32>(usize(low & 255) << 2, TABLE_7) ^
    load<u32>(usize((low >> 8) & 255) << 2, TABLE_6) ^
    load<u32>(usize((low >> 16) & 255) << 2, TABLE_5) ^
    load<u32>(usize(low >> 24) << 2, TABLE_4) ^
    load<u32>(usize(high & 255) << 2, TABLE_3) ^
    load<u32>(usize((high >> 8) & 255) << 2, TABLE_2) ^
    load<u32>(usize((high >> 16) & 255) << 2, TABLE_1) ^
    load<u32>(usize(high >> 24) << 2, CRC_TABLES)
  );
}

/** The checksum as if a lane of zeros followed. */
@inline
function overLane(crc: u32): u32 {
  return (
    load<u32>(usize(crc & 255) << 2, ZEROS_0) ^
    load<u32>(usize((crc >> 8) & 255) << 2, ZEROS_1) ^
    load<u32>(usize((crc >> 16) & 255) << 2, ZEROS_2) ^
    load<u32>(usize(crc >> 24) << 2, ZEROS_3)
  );
}

/** CRC32C of `bytes` at `address`, continuing from `seed` (0 to start). */
export function crc32c(address: usize, bytes: u32, seed: u32): u32 {
  let crc = ~seed;
  let at = address;
  const end = address + bytes;
  while (end - at >= 4 * LANE_BYTES) {
    // Checksums are linear: each lane's begins at 0, and is added to that of those before, moved on over it.
    let lane1: u32 = 0;
    let lane2: u32 = 0;
    let lane3: u32 = 0;
    for (const laneEnd = at + LANE_BYTES; at < laneEnd; at += 8) {
      crc = nextEight(crc, load<u64>(at));
      lane1 = nextEight(lane1, load<u64>(at, LANE_BYTES));
      lane2 = nextEight(lane2, load<u64>(at, 2 * LANE_BYTES));
      lane3 = nextEight(lane3, load<u64>(at, 3 * LANE_BYTES));
    }
    crc = overLane(overLane(overLane(crc) ^ lane1) ^ lane2) ^ lane3;
    at += 3 * LANE_BYTES;
  }
  for (; end - at >= 8; at += 8) crc = nextEight(crc, load<u64>(at));
  for (; at < end; at++) crc = nextByte(crc, load<u8>(at));
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
