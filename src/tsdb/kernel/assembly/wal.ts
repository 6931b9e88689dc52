/**
 * Building WAL records (docs/format/wal.md): one per request, and those not known to be durable once more for a fresh
 * segment. Reading them back: replay.ts.
 *
 *   header: dataBytes u32 | type u8 | sequence u64 | synced up to u64 | crc32c u32
 *   data:   symbols | series declared | samples
 *
 * A segment declares its own symbols and series and starts its XOR bases at 0; Header.walSegment numbers it, and a pair
 * or series whose own number differs has not been declared in it. Samples are encoded straight into the WAL buffer while
 * declarations gather elsewhere; when there are any, the samples are moved up to make room for them.
 */
import { DECLARED_BYTES_MAX, FLAG_WAL_FIRST, header, NO_REF, PendingRecord, PendingSample, SeriesHot } from "./layout";
import { crc32c } from "./bytes";
import { wireName, wireNameBytes } from "./labels";
import { pairOf } from "./postings";
import { coldOf, hasPage, hotOf } from "./series";
import { getBase, putBase } from "./xor-bases";

export const RECORD_HEADER_BYTES: u32 = 25;
export const RECORD_SAMPLES: u32 = 1;
/** The sample count is padded to this many bytes, since it is known only after the samples. */
const SAMPLE_COUNT_BYTES: u32 = 3;

@inline
function putVarint(at: usize, value: u64): usize {
  while (value > 127) {
    store<u8>(at++, u8(value) | 128);
    value >>= 7;
  }
  store<u8>(at++, u8(value));
  return at;
}
@inline
function zigzag(value: i64): u64 {
  return u64((value << 1) ^ (value >> 63));
}
@inline
function walBuffer(): usize {
  const h = header();
  return h.walActive == 0 ? h.walBuffer0 : h.walBuffer1;
}

/** Starts a record behind those in the active buffer. Nothing is kept of it unless endRecord follows. */
export function beginRecord(): void {
  const h = header();
  h.recordStart = u32(walBuffer()) + h.walUsed;
  // Two zero counts, then the samples' count: what a record without declarations has.
  h.recordEnd = h.recordStart + RECORD_HEADER_BYTES + 2 + SAMPLE_COUNT_BYTES;
  h.symbolBytes = 0;
  h.symbolCount = 0;
  h.declaredBytes = 0;
  h.declaredCount = 0;
  h.lastDeclaredRef = 0;
  h.lastRef = NO_REF;
  h.lastTimeMs = 0;
  h.recordMaxTimeMs = i64.MIN_VALUE;
  h.pendingStart = h.pending + h.pendingBytes;
  h.pendingEnd = h.pendingStart + u32(offsetof<PendingRecord>());
}

/** Adds a sample to the record being built; must run before the sample is appended to the head. */
@inline
export function encodeSample(hot: SeriesHot, ref: u32, timestampMs: i64, value: u64): void {
  const h = header();
  if (hot.walSegment != u16(h.walSegment)) declareSeries(hot, ref);
  let base: u64 = hot.lastValue;
  if ((hot.flags & FLAG_WAL_FIRST) != 0) {
    hot.flags &= ~FLAG_WAL_FIRST;
    base = 0;
  }
  encodeRow(ref, timestampMs, value ^ base);
}

@inline
function encodeRow(ref: u32, timestampMs: i64, xor: u64): void {
  const h = header();
  const flagAt = usize(h.recordEnd);
  let at = flagAt + 1;
  let flag: u32 = 0;
  if (ref != h.lastRef + 1) {
    flag = 1;
    at = putVarint(at, zigzag(i64(i32(ref - h.lastRef))));
  }
  if (timestampMs != h.lastTimeMs) {
    flag |= 2;
    at = putVarint(at, zigzag(timestampMs - h.lastTimeMs));
    h.lastTimeMs = timestampMs;
    if (timestampMs > h.recordMaxTimeMs) h.recordMaxTimeMs = timestampMs;
  }
  if (xor != 0) {
    const trailing = u32(ctz(xor)) >> 3;
    const bytes = 8 - trailing - (u32(clz(xor)) >> 3);
    if (bytes >= 7) {
      store<u64>(at, xor);
      at += 8;
      flag |= 7 << 2;
    } else {
      store<u64>(at, xor >> (trailing << 3));
      at += bytes;
      flag |= (bytes << 2) | (trailing << 5);
    }
  }
  store<u8>(flagAt, u8(flag));
  h.lastRef = ref;
  h.recordEnd = u32(at);
}

/** Adds the series, and those of its pairs that this segment has not seen, to what the record declares. */
function declareSeries(hot: SeriesHot, ref: u32): void {
  const h = header();
  const cold = coldOf(ref);
  let at = usize(h.declaredSeries) + h.declaredBytes;
  at = putVarint(at, zigzag(i64(i32(ref - h.lastDeclaredRef))));
  at = putVarint(at, cold.pairCount);
  for (let i: u32 = 0; i < u32(cold.pairCount); i++) {
    const pair = pairOf(load<u32>(usize(cold.pairs) + (usize(i) << 2)));
    if (pair.walSegment != h.walSegment) {
      pair.walSegment = h.walSegment;
      pair.walSymbol = h.walSymbolNext++;
      // The wire bytes hold the two lengths and texts in the order that a symbol has them, behind a tag each.
      const wire = usize(pair.address);
      const end = wire + pair.wireBytes;
      const value = symbolValueTag(wire);
      const to = usize(h.declaredSymbols) + h.symbolBytes;
      memory.copy(to, wire + 1, value - wire - 1);
      memory.copy(to + (value - wire - 1), value + 1, end - value - 1);
      h.symbolBytes += pair.wireBytes - 2;
      h.symbolCount++;
    }
    at = putVarint(at, pair.walSymbol);
  }
  h.declaredBytes = u32(at) - h.declaredSeries;
  h.declaredCount++;
  h.lastDeclaredRef = ref;
  hot.walSegment = u16(h.walSegment);
  hot.flags |= FLAG_WAL_FIRST;
}

/** Where the value's tag stands in a pair's wire bytes. */
@inline
function symbolValueTag(wire: usize): usize {
  return wireName(wire) + wireNameBytes(wire);
}

/** Keeps the row until the record is durable. */
@inline
export function keepPending(ref: u32, timestampMs: i64, value: u64): void {
  const h = header();
  const row = changetype<PendingSample>(usize(h.pendingEnd));
  row.timestampMs = timestampMs;
  row.value = value;
  row.ref = ref;
  h.pendingEnd += u32(offsetof<PendingSample>());
}

/** Finishes the record of `samples` samples under the next sequence. */
export function endRecord(samples: u32): void {
  const h = header();
  h.walSequence++;
  const pending = changetype<PendingRecord>(usize(h.pendingStart));
  pending.sequence = h.walSequence;
  pending.sampleCount = samples;
  h.pendingBytes = h.pendingEnd - h.pending;
  finishRecord(h.walSequence, samples);
}

function finishRecord(sequence: u64, samples: u32): void {
  const h = header();
  const start = usize(h.recordStart);
  let at = start + RECORD_HEADER_BYTES;
  let end = usize(h.recordEnd);
  const samplesAt = at + 2 + SAMPLE_COUNT_BYTES;
  if ((h.symbolCount | h.declaredCount) != 0) {
    const declared =
      varintLength(h.symbolCount) + h.symbolBytes + varintLength(h.declaredCount) + h.declaredBytes + SAMPLE_COUNT_BYTES;
    memory.copy(at + declared, samplesAt, end - samplesAt);
    end = end + declared - 2 - SAMPLE_COUNT_BYTES;
  }
  at = putVarint(at, h.symbolCount);
  memory.copy(at, h.declaredSymbols, h.symbolBytes);
  at += h.symbolBytes;
  at = putVarint(at, h.declaredCount);
  memory.copy(at, h.declaredSeries, h.declaredBytes);
  at += h.declaredBytes;
  store<u8>(at, u8(samples) | 128);
  store<u8>(at, u8(samples >> 7) | 128, 1);
  store<u8>(at, u8(samples >> 14), 2);
  store<u32>(start, u32(end - start) - RECORD_HEADER_BYTES);
  store<u8>(start, u8(RECORD_SAMPLES), 4);
  store<u64>(start, sequence, 5);
  store<u64>(start, h.walSynced, 13);
  let crc = crc32c(start, 21, 0);
  crc = crc32c(start + RECORD_HEADER_BYTES, u32(end - start) - RECORD_HEADER_BYTES, crc);
  store<u32>(start, crc, 21);
  h.walUsed = u32(end - walBuffer());
}

@inline
function varintLength(value: u32): u32 {
  return value < 1 << 7 ? 1 : value < 1 << 14 ? 2 : value < 1 << 21 ? 3 : value < 1 << 28 ? 4 : 5;
}

/** From here on records are for a fresh segment: it has seen no symbol and no series. */
export function beginSegment(): void {
  const h = header();
  h.walSegment++;
  h.walSymbolNext = 0;
  if ((h.walSegment & 0xffff) != 0) return;
  // Series remember 16 bits of it: once in 65,536 segments the memory of older ones is wiped.
  h.walSegment++;
  for (let ref: u32 = 0; ref < h.seriesNext; ref++) if (hasPage(ref)) hotOf(ref).walSegment = 0;
}

/** Hands out the active buffer and goes on in the other, which the host has released. @returns bytes in it */
export function takeRecords(): u32 {
  const h = header();
  const used = h.walUsed;
  h.walActive ^= 1;
  h.walUsed = 0;
  return used;
}

/** Forgets the rows of records up to `sequence`, which are durable now. */
export function setSynced(sequence: u64): void {
  const h = header();
  h.walSynced = max(h.walSynced, sequence);
  let at = usize(h.pending);
  const end = at + h.pendingBytes;
  while (at < end) {
    const record = changetype<PendingRecord>(at);
    if (record.sequence > sequence) break;
    at += offsetof<PendingRecord>() + usize(record.sampleCount) * offsetof<PendingSample>();
  }
  const left = u32(end - at);
  memory.copy(h.pending, at, left);
  h.pendingBytes = left;
}

/**
 * Encodes records that are not known to be durable once more, under their old sequences, for the segment that
 * beginSegment has just started, into the active buffer, which must be empty. Series' present values are of no use as XOR
 * bases here, so bases are kept apart.
 * @param from offset into the pending rows; start with 0
 * @returns the offset to go on from once the buffer was taken; NO_REF when all are encoded; REENCODE_TOO_LARGE when a
 * record does not fit the buffer at all
 */
export function reencodePending(from: u32): u32 {
  const h = header();
  const end = usize(h.pending) + h.pendingBytes;
  let at = usize(h.pending) + from;
  while (at < end) {
    const record = changetype<PendingRecord>(at);
    const rows = record.sampleCount;
    const first = at + offsetof<PendingRecord>();
    const room = u64(recordBytesMax(first, rows));
    if (u64(h.walUsed) + room > u64(h.walBufferBytes) || room > DECLARED_BYTES_MAX) {
      return h.walUsed == 0 ? REENCODE_TOO_LARGE : u32(at - usize(h.pending));
    }
    beginRecord();
    let row = first;
    for (let i: u32 = 0; i < rows; i++, row += offsetof<PendingSample>()) {
      const sample = changetype<PendingSample>(row);
      const hot = hotOf(sample.ref);
      if (hot.walSegment != u16(h.walSegment)) declareSeries(hot, sample.ref);
      const isFirst = (hot.flags & FLAG_WAL_FIRST) != 0;
      hot.flags &= ~FLAG_WAL_FIRST;
      encodeRow(sample.ref, sample.timestampMs, sample.value ^ (isFirst ? 0 : getBase(sample.ref)));
      putBase(sample.ref, sample.value);
    }
    finishRecord(record.sequence, rows);
    at = row;
  }
  return NO_REF;
}
export const REENCODE_TOO_LARGE: u32 = 0xffff_fffe;

/** What a record of these rows can need at most, declarations included. */
function recordBytesMax(row: usize, rows: u32): u32 {
  const h = header();
  let bytes: u64 = 4096;
  for (let i: u32 = 0; i < rows; i++, row += offsetof<PendingSample>()) {
    bytes += 24;
    const ref = changetype<PendingSample>(row).ref;
    if (hotOf(ref).walSegment == u16(h.walSegment)) continue;
    const cold = coldOf(ref);
    for (let p: u32 = 0; p < u32(cold.pairCount); p++) {
      const pair = pairOf(load<u32>(usize(cold.pairs) + (usize(p) << 2)));
      bytes += 5;
      if (pair.walSegment != h.walSegment) bytes += pair.wireBytes;
    }
    bytes += 16;
  }
  return u32(min<u64>(bytes, 0xffff_ffff));
}
