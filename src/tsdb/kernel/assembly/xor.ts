/**
 * Prometheus' XOR chunks (tsdb/chunkenc/xor.go), after Facebook's Gorilla with times in ms:
 *   count u16 BE | t0 zigzag varint | v0 8 B BE | t1 - t0 uvarint, v1 | then per sample: delta of delta, value
 *   delta of delta: 0 → 0 · 10 → 14 bits · 110 → 17 · 1110 → 20 · 1111 → 64; n bits hold -(2^(n-1) - 1) ... 2^(n-1)
 *   value XOR previous: 0 → equal · 10 → bits inside the previous window · 11 → leading 5 bits, length 6 bits
 *     (64 as 0), bits
 * The encoder keeps its state in XorState (layout.ts).
 */
import { XorState } from "./layout";
import { loadBigEndian, storeBigEndian } from "./bytes";
import { BAD, putVarint, readVarint, unzigzag, zigzag } from "./varint";

const NO_WINDOW: u8 = 0xff;
/** The count that chunks begin with. */
const COUNT_BITS: u32 = 16;

/**
 * Makes the state that of an empty chunk. The last time and value stay: in a series they tell late samples and
 * duplicates, and readers may be looking at the time.
 */
export function xorStart(state: XorState): void {
  state.deltaMs = 0;
  state.bitPosition = 0;
  state.leading = NO_WINDOW;
  state.trailing = 0;
  state.count = 0;
}

/** Puts the low `bits` (at most 56) of `value` at a bit position. The byte there holds its earlier bits, then zeros. */
@inline
function put(chunk: usize, position: u32, value: u64, bits: u32): void {
  const at = chunk + (position >> 3);
  storeBigEndian(at, (u64(load<u8>(at)) << 56) | (value << (64 - bits - (position & 7))));
}
@inline
function putLong(chunk: usize, position: u32, value: u64, bits: u32): void {
  if (bits <= 56) put(chunk, position, value, bits);
  else {
    put(chunk, position, value >> 32, bits - 32);
    put(chunk, position + bits - 32, value & 0xffff_ffff, 32);
  }
}
/** Appends a varint at a whole byte, as the position is near the start of a chunk. @returns the position behind it */
@inline
function putBytesOfVarint(chunk: usize, position: u32, value: u64): u32 {
  return u32(putVarint(chunk + (position >> 3), value) - chunk) << 3;
}

/**
 * Encodes one sample. `chunk` is the address that byte 0 of the chunk has or would have: only the byte at the state's
 * bit position (byte 2 for the first sample) and those behind it are touched, at most 32 of them.
 */
export function xorAppend(chunk: usize, state: XorState, timestampMs: i64, value: u64): void {
  let position = state.bitPosition;
  if (state.count == 0) {
    position = putBytesOfVarint(chunk, COUNT_BITS, zigzag(timestampMs));
    storeBigEndian(chunk + (position >> 3), value);
    position += 64;
  } else {
    const delta = timestampMs - state.lastTimestampMs;
    if (state.count == 1) {
      position = putBytesOfVarint(chunk, position, u64(delta));
      store<u8>(chunk + (position >> 3), 0);
    } else {
      const change = delta - state.deltaMs;
      if (change == 0) {
        put(chunk, position, 0, 1);
        position += 1;
      } else if (fits(change, 14)) {
        put(chunk, position, (0b10 << 14) | (u64(change) & 0x3fff), 16);
        position += 16;
      } else if (fits(change, 17)) {
        put(chunk, position, (0b110 << 17) | (u64(change) & 0x1_ffff), 20);
        position += 20;
      } else if (fits(change, 20)) {
        put(chunk, position, (0b1110 << 20) | (u64(change) & 0xf_ffff), 24);
        position += 24;
      } else {
        put(chunk, position, 0b1111, 4);
        putLong(chunk, position + 4, u64(change), 64);
        position += 68;
      }
    }
    state.deltaMs = delta;
    position = putValue(chunk, position, value ^ state.lastValue, state);
  }
  state.lastTimestampMs = timestampMs;
  state.lastValue = value;
  state.bitPosition = position;
  state.count++;
}

@inline
function fits(value: i64, bits: u32): bool {
  return -((i64(1) << (bits - 1)) - 1) <= value && value <= i64(1) << (bits - 1);
}

@inline
function putValue(chunk: usize, position: u32, xor: u64, state: XorState): u32 {
  if (xor == 0) {
    put(chunk, position, 0, 1);
    return position + 1;
  }
  const leading = min<u32>(u32(clz(xor)), 31);
  const trailing = u32(ctz(xor));
  if (state.leading != NO_WINDOW && leading >= u32(state.leading) && trailing >= u32(state.trailing)) {
    const bits = 64 - u32(state.leading) - u32(state.trailing);
    put(chunk, position, 0b10, 2);
    putLong(chunk, position + 2, xor >> state.trailing, bits);
    return position + 2 + bits;
  }
  state.leading = u8(leading);
  state.trailing = u8(trailing);
  const bits = 64 - leading - trailing;
  put(chunk, position, (0b11 << 11) | (u64(leading) << 6) | u64(bits & 63), 13);
  putLong(chunk, position + 13, xor >> trailing, bits);
  return position + 13 + bits;
}

/** How many samples the chunk says it holds; 0 when its bytes cannot, as a sample takes at least two bits. */
export function xorSampleCount(chunk: usize, chunkBytes: u32): u32 {
  if (chunkBytes < 2) return 0;
  const count = (u32(load<u8>(chunk)) << 8) | u32(load<u8>(chunk, 1));
  return count <= 4 * chunkBytes ? count : 0;
}

/**
 * Decodes a chunk into two columns: times in ms as f64, values bit for bit.
 * @param chunk readable up to 16 bytes past its end
 * @returns the number of samples, or -1 when the chunk is malformed or has more than countMax
 */
export function xorDecode(chunk: usize, chunkBytes: u32, times: usize, values: usize, countMax: u32): i32 {
  if (chunkBytes < 2) return -1;
  const count = (u32(load<u8>(chunk)) << 8) | u32(load<u8>(chunk, 1));
  if (count == 0) return 0;
  if (count > countMax) return -1;
  const end = chunk + chunkBytes;
  // The first number of each column serves as scratch until it is known.
  let at = readVarint(chunk + 2, end, times);
  if (at == BAD || end - at < 8) return -1;
  let timestampMs = unzigzag(load<u64>(times));
  let value = loadBigEndian(at);
  at += 8;
  if (count > 1) {
    at = readVarint(at, end, values);
    if (at == BAD) return -1;
  }
  let delta = i64(load<u64>(values));
  store<f64>(times, f64(timestampMs));
  store<u64>(values, value);
  if (count == 1) return 1;
  timestampMs += delta;
  let position = u32(at - chunk) << 3;
  const positionEnd = chunkBytes << 3;
  let trailing: u32 = 0;
  let bits: u32 = 64;
  const timesEnd = times + (usize(count) << 3);
  times += 8;
  values += 8;
  let isFirst = true;
  while (true) {
    // At least 57 valid bits from here.
    let word = loadBigEndian(chunk + (position >> 3)) << (position & 7);
    if (!isFirst) {
      if (i64(word) >= 0) {
        position += 1;
        word <<= 1;
      } else {
        let change: i64;
        if (word >> 62 == 0b10) {
          change = i64(word << 2) >> 50;
          if (change == -8192) change = 8192;
          position += 16;
        } else if (word >> 61 == 0b110) {
          change = i64(word << 3) >> 47;
          if (change == -65536) change = 65536;
          position += 20;
        } else if (word >> 60 == 0b1110) {
          change = i64(word << 4) >> 44;
          if (change == -524288) change = 524288;
          position += 24;
        } else {
          change = i64(loadBits64(chunk, position + 4));
          position += 68;
        }
        if (position >= positionEnd) return -1;
        delta += change;
        word = loadBigEndian(chunk + (position >> 3)) << (position & 7);
      }
      timestampMs += delta;
    }
    isFirst = false;
    if (i64(word) >= 0) position += 1;
    else {
      if (word >> 62 == 0b10) {
        position += 2;
        word <<= 2;
      } else {
        const leading = u32(word >> 57) & 31;
        bits = u32(word >> 51) & 63;
        if (bits == 0) bits = 64;
        if (leading + bits > 64) return -1;
        trailing = 64 - leading - bits;
        position += 13;
        word <<= 13;
      }
      if (position + bits > positionEnd) return -1;
      const window = bits <= 43 ? word : loadBits64(chunk, position);
      value ^= (window >> (64 - bits)) << trailing;
      position += bits;
    }
    if (position > positionEnd) return -1;
    store<f64>(times, f64(timestampMs));
    store<u64>(values, value);
    times += 8;
    values += 8;
    if (times >= timesEnd) return i32(count);
  }
}

/** 64 bits from any bit position. */
@inline
export function loadBits64(chunk: usize, position: u32): u64 {
  const at = chunk + (position >> 3);
  const skip = position & 7;
  const word = loadBigEndian(at) << skip;
  return skip == 0 ? word : word | (u64(load<u8>(at, 8)) >> (8 - skip));
}

/** Encodes whole columns into a chunk at `out`. @returns its length in bytes */
export function xorEncode(times: usize, values: usize, count: u32, out: usize, state: usize): u32 {
  const encoder = changetype<XorState>(state);
  xorStart(encoder);
  for (let i: u32 = 0; i < count; i++) {
    xorAppend(out, encoder, i64(load<f64>(times + (usize(i) << 3))), load<u64>(values + (usize(i) << 3)));
  }
  store<u8>(out, u8(count >> 8));
  store<u8>(out, u8(count), 1);
  return max<u32>(2, (encoder.bitPosition + 7) >> 3);
}
