/**
 * Prometheus' XOR2 chunks (tsdb/chunkenc/xor2.go), which are read and not written:
 *   count u16 BE | start times u8 | t0 zigzag varint | v0 8 B BE | start time varint, if 0x80 is set
 *   t1 - t0 uvarint, value | per sample: delta of delta and value | start time, from sample (u8 & 127) on
 *   joint: 0 → nothing changed · 10 → value · 110 → 13 bits, value · 1110 → 20 bits, value · 11110 → 64 bits, value
 *     11111 → stale
 *   value: 0 → equal · 10 → previous window · 110 → leading 5 bits, length 6 bits (64 as 0), bits · 111 → stale
 *     behind 10 of the joint code only: 0 → previous window · 1 → new one
 *   start time: up to eight ones and a zero, then 0, 3, 6, 9, 12, 18, 25, 56 or 64 bits; passed over here
 * A stale sample leaves the value that the next one is XORed with.
 */
import { loadBigEndian } from "./bytes";
import { BAD, readVarint, unzigzag } from "./varint";
import { STALE_MARKER } from "./window";
import { loadBits64 } from "./xor";

const HEADER_BYTES: u32 = 3;
const FIRST_START_KNOWN: u32 = 0x80;

/** What a value is made of. */
const EQUAL: u32 = 0;
const SAME_WINDOW: u32 = 1;
const NEW_WINDOW: u32 = 2;
const STALE: u32 = 3;

/** The form of a value whose code begins at the top of the word. */
@inline
function formOf(word: u64): u32 {
  return i64(word) >= 0 ? EQUAL : word >> 62 == 0b10 ? SAME_WINDOW : word >> 61 == 0b110 ? NEW_WINDOW : STALE;
}
@inline
function formBits(form: u32): u32 {
  return form == EQUAL ? 1 : form == SAME_WINDOW ? 2 : 3;
}

/** The position behind the start time at `position`. */
function skipStart(chunk: usize, position: u32): u32 {
  const ones = min<u32>(8, u32(clz(~loadBits64(chunk, position))));
  if (ones == 8) return position + 72;
  const bits: u32 = ones <= 4 ? 3 * ones : ones == 5 ? 18 : ones == 6 ? 25 : 56;
  return position + ones + 1 + bits;
}

/**
 * Decodes a chunk into two columns: times in ms as f64, values bit for bit.
 * @param chunk readable up to 16 bytes past its end
 * @returns the number of samples, or -1 when the chunk is malformed or has more than countMax
 */
export function xor2Decode(chunk: usize, chunkBytes: u32, times: usize, values: usize, countMax: u32): i32 {
  if (chunkBytes < HEADER_BYTES) return -1;
  const count = (u32(load<u8>(chunk)) << 8) | u32(load<u8>(chunk, 1));
  if (count == 0) return 0;
  if (count > countMax) return -1;
  const starts = u32(load<u8>(chunk, 2));
  const firstStart = starts & ~FIRST_START_KNOWN;
  const end = chunk + chunkBytes;
  // The first number of each column serves as scratch until it is known.
  let at = readVarint(chunk + HEADER_BYTES, end, times);
  if (at == BAD || end - at < 8) return -1;
  let timestampMs = unzigzag(load<u64>(times));
  let value = loadBigEndian(at);
  at += 8;
  if ((starts & FIRST_START_KNOWN) != 0) at = readVarint(at, end, values);
  if (at == BAD) return -1;
  let delta: i64 = 0;
  if (count > 1) {
    at = readVarint(at, end, values);
    if (at == BAD) return -1;
    delta = load<i64>(values);
  }
  store<f64>(times, f64(timestampMs));
  store<u64>(values, value);
  if (value == STALE_MARKER) value = 0;

  let position = u32(at - chunk) << 3;
  const positionEnd = chunkBytes << 3;
  let leading: u32 = 0;
  let trailing: u32 = 0;
  for (let i: u32 = 1; i < count; i++) {
    // Each part is looked at only when those before it lie inside: at most 9 bytes are read from there.
    if (position > positionEnd) return -1;
    let word = loadBits64(chunk, position);
    let form = EQUAL;
    if (i == 1 || word >> 61 == 0b110 || word >> 60 == 0b1110 || word >> 59 == 0b11110) {
      if (i > 1) {
        if (word >> 61 == 0b110) {
          delta += i64(word << 3) >> 51;
          position += 16;
        } else if (word >> 60 == 0b1110) {
          delta += i64(word << 4) >> 44;
          position += 24;
        } else {
          delta += i64(loadBits64(chunk, position + 5));
          position += 69;
        }
        if (position > positionEnd) return -1;
        word = loadBits64(chunk, position);
      }
      form = formOf(word);
      position += formBits(form);
    } else if (i64(word) >= 0) position += 1;
    else if (word >> 62 == 0b10) {
      form = (word >> 61) == 0b101 ? NEW_WINDOW : SAME_WINDOW;
      position += 3;
    } else {
      form = STALE;
      position += 5;
    }
    timestampMs += delta;
    if (position > positionEnd) return -1;

    if (form == NEW_WINDOW) {
      const window = loadBits64(chunk, position);
      leading = u32(window >> 59);
      let bits = u32(window >> 53) & 63;
      if (bits == 0) bits = 64;
      if (leading + bits > 64) return -1;
      trailing = 64 - leading - bits;
      position += 11;
      if (position > positionEnd) return -1;
    }
    if (form == NEW_WINDOW || form == SAME_WINDOW) {
      const bits = 64 - leading - trailing;
      value ^= (loadBits64(chunk, position) >> (64 - bits)) << trailing;
      position += bits;
      if (position > positionEnd) return -1;
    }
    if (firstStart > 0 && i >= firstStart) position = skipStart(chunk, position);
    store<f64>(times + (usize(i) << 3), f64(timestampMs));
    store<u64>(values + (usize(i) << 3), form == STALE ? STALE_MARKER : value);
  }
  return position > positionEnd ? -1 : i32(count);
}

/** How many samples the chunk says it holds; 0 when its bytes cannot, as a sample takes at least one bit. */
export function xor2SampleCount(chunk: usize, chunkBytes: u32): u32 {
  if (chunkBytes < HEADER_BYTES) return 0;
  const count = (u32(load<u8>(chunk)) << 8) | u32(load<u8>(chunk, 1));
  return count <= 8 * chunkBytes ? count : 0;
}
