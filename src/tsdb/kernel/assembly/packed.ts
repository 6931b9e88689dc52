/**
 * Packed chunks: long runs of samples as columns of whole numbers, docs/format/packed-chunk.md.
 *   count uvarint | first time varint | last - first time uvarint | times | values
 *   times   a column that begins at the first time (packed-column.ts)
 *   values  mode u8 | first number | a column | specials, if the mode says so
 *     mode: 0 ... 22, values are numbers / 10^mode; 31, numbers are the values' bits; + 0x80, specials follow
 *     specials: runs uvarint | per run: gap uvarint | length uvarint | kind u8 | bits u64 of kind 0
 * Samples that the mode cannot give back bit for bit (NaNs, infinities, -0, more digits than the rest) are specials.
 */
import { encodeColumn, KIND_BITS, KIND_DECIMAL, KIND_TIMES, power10 } from "./packed-column";
import { decodeColumn } from "./packed-column-decode";
import { MODE_BITS, runCountOf, scaleValues } from "./packed-scale";
import { BAD, putVarint, readVarint, unzigzag, zigzag } from "./varint";

/** A chunk has at most so many samples. */
const PACKED_SAMPLES_MAX: u32 = 8192;
const EXPONENT_MAX: u32 = 22;
const HAS_SPECIALS: u32 = 0x80;
/** What stands before the first column, at most. */
const HEADER_BYTES_MAX: u32 = 32;

/** Kinds of specials; 0 is followed by the bits. */
const KINDS: u32 = 6;
function bitsOfKind(kind: u32): u64 {
  if (kind == 1) return 0x7ff0_0000_0000_0002; // the stale marker
  if (kind == 2) return 0x7ff8_0000_0000_0001; // Go's NaN
  if (kind == 3) return 0x7ff0_0000_0000_0000;
  if (kind == 4) return 0xfff0_0000_0000_0000;
  return 0x8000_0000_0000_0000; // -0
}
function kindOfBits(bits: u64): u32 {
  for (let kind: u32 = 1; kind < KINDS; kind++) if (bitsOfKind(kind) == bits) return kind;
  return 0;
}

/**
 * Encodes ascending samples.
 * @param count 1 ... PACKED_SAMPLES_MAX
 * @param out room for outBytesMax bytes, of which those behind the chunk may be written to
 * @param scratch 16 bytes a sample and 4 KiB
 * @returns the chunk's length, or 0 when it does not fit
 */
export function packedEncode(
  times: usize,
  values: usize,
  count: u32,
  out: usize,
  outBytesMax: u32,
  scratch: usize,
): u32 {
  if (count == 0 || count > PACKED_SAMPLES_MAX || outBytesMax < 2 * HEADER_BYTES_MAX) return 0;
  const end = out + outBytesMax;
  const numbers = scratch;
  const runs = scratch + (usize(count) << 3);
  const workspace = runs + (usize(count) << 3);

  for (let i: u32 = 0; i < count; i++) {
    store<i64>(numbers + (usize(i) << 3), i64(load<f64>(times + (usize(i) << 3))));
  }
  const first = load<i64>(numbers);
  let at = putVarint(out, count);
  at = putVarint(at, zigzag(first));
  at = putVarint(at, u64(load<i64>(numbers + (usize(count - 1) << 3)) - first));
  at = encodeColumn(KIND_TIMES, numbers, count, at, end, 0, 0, workspace);
  if (at == BAD || end - at < HEADER_BYTES_MAX) return 0;

  const mode = scaleValues(values, count, numbers, runs, workspace);
  const runCount = runCountOf(workspace);
  store<u8>(at++, u8(mode | (runCount > 0 ? HAS_SPECIALS : 0)));
  if (mode == MODE_BITS) {
    store<i64>(at, load<i64>(numbers));
    at += 8;
  } else at = putVarint(at, zigzag(load<i64>(numbers)));
  const kind = mode == MODE_BITS ? KIND_BITS : KIND_DECIMAL;
  at = encodeColumn(kind, numbers, count, at, end, runs, runCount, workspace);
  if (at == BAD) return 0;
  if (runCount > 0) at = putSpecials(values, runs, runCount, at, end);
  return at == BAD ? 0 : u32(at - out);
}

function putSpecials(values: usize, runs: usize, runCount: u32, at: usize, end: usize): usize {
  if (end - at < HEADER_BYTES_MAX) return BAD;
  at = putVarint(at, runCount);
  let behind: u32 = 0;
  for (let i: u32 = 0; i < runCount; i++) {
    if (end - at < HEADER_BYTES_MAX) return BAD;
    const start = load<u32>(runs + (usize(i) << 3));
    const length = load<u32>(runs + (usize(i) << 3), 4);
    const bits = load<u64>(values + (usize(start) << 3));
    const kind = kindOfBits(bits);
    at = putVarint(at, start - behind);
    at = putVarint(at, length);
    store<u8>(at++, u8(kind));
    if (kind == 0) {
      store<u64>(at, bits);
      at += 8;
    }
    behind = start + length;
  }
  return at;
}

/**
 * How many samples the chunk says it holds; 0 when that is more than a packed chunk has. Equal steps take no bytes, so
 * there is no other bound.
 */
export function packedSampleCount(chunk: usize, chunkBytes: u32): u32 {
  if (chunkBytes < 2) return 0;
  const low = u32(load<u8>(chunk));
  const count = low < 128 ? low : (low & 127) | (u32(load<u8>(chunk, 1)) << 7);
  return count <= PACKED_SAMPLES_MAX ? count : 0;
}

/**
 * Decodes a chunk into two columns: times in ms as f64, values bit for bit.
 * @param chunk readable up to 16 bytes past its end
 * @returns the number of samples, or -1 when the chunk is malformed or has more than countMax
 */
export function packedDecode(chunk: usize, chunkBytes: u32, times: usize, values: usize, countMax: u32): i32 {
  const count = packedSampleCount(chunk, chunkBytes);
  if (count == 0 || count > countMax) return -1;
  const end = chunk + chunkBytes;
  // Numbers are read to the first places of the columns, which are not yet known.
  let at = readVarint(chunk + (load<u8>(chunk) < 128 ? 1 : 2), end, times);
  if (at == BAD) return -1;
  at = readVarint(at, end, values);
  if (at == BAD) return -1;
  const first = unzigzag(load<u64>(times));
  const last = first + load<i64>(values);
  at = decodeColumn(KIND_TIMES, at, end, times, count, first, last, 1);
  if (at == BAD || at == end) return -1;
  if (load<f64>(times + (usize(count - 1) << 3)) != f64(last)) return -1;

  const mode = u32(load<u8>(at++));
  const exponent = mode & ~HAS_SPECIALS;
  if (exponent == MODE_BITS) {
    if (end - at < 8) return -1;
    at = decodeColumn(KIND_BITS, at + 8, end, values, count, load<i64>(at), 0, 1);
  } else {
    if (exponent > EXPONENT_MAX) return -1;
    at = readVarint(at, end, values);
    if (at == BAD) return -1;
    const scale = power10(exponent);
    at = decodeColumn(KIND_DECIMAL, at, end, values, count, unzigzag(load<u64>(values)), 0, scale);
  }
  if (at != BAD && (mode & HAS_SPECIALS) != 0) at = takeSpecials(at, end, values, count);
  return at == end ? i32(count) : -1;
}

/** A varint of at most three bytes: its value << 8 | its bytes, or 0 when it is not one. */
@inline
function readShort(at: usize, end: usize): u32 {
  let value: u32 = 0;
  for (let bytes: u32 = 1; bytes <= 3; bytes++) {
    if (at >= end) return 0;
    const byte = u32(load<u8>(at++));
    value |= (byte & 127) << (7 * (bytes - 1));
    if (byte < 128) return (value << 8) | bytes;
  }
  return 0;
}

/** Puts specials in their places. @returns the address behind them, or BAD */
function takeSpecials(at: usize, end: usize, values: usize, count: u32): usize {
  const runCount = readShort(at, end);
  if (runCount == 0) return BAD;
  at += runCount & 255;
  let i: u32 = 0;
  for (let run: u32 = 0; run < runCount >> 8; run++) {
    const gap = readShort(at, end);
    at += gap & 255;
    const length = readShort(at, end);
    at += length & 255;
    if (gap == 0 || length == 0 || at >= end) return BAD;
    i += gap >> 8;
    const runEnd = i + (length >> 8);
    if (runEnd > count) return BAD;
    const kind = u32(load<u8>(at++));
    if (kind >= KINDS || (kind == 0 && end - at < 8)) return BAD;
    const bits = kind == 0 ? load<u64>(at) : bitsOfKind(kind);
    if (kind == 0) at += 8;
    for (; i < runEnd; i++) store<u64>(values + (usize(i) << 3), bits);
  }
  return at;
}
