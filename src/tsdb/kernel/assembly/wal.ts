/**
 * Building WAL records (docs/format/wal.md): one per request, and those not known to be durable once more for a fresh
 * segment. Reading them back: replay.ts.
 *
 *   header: dataBytes u32 | type u8 | sequence u64 | synced up to u64 | crc32c u32
 *   data:   symbols | series declared | samples
 *
 * A segment declares its own symbols and series and starts its XOR bases at 0; Header.walSegment numbers it, and a pair
 * or series whose own number differs has not been declared in it. Samples are encoded straight into the WAL buffer
 * while declarations gather elsewhere; when there are any, the samples are moved up to make room for them.
 */
import { FLAG_WAL_FIRST, header, NO_REF, PENDING_BYTES_MAX, PendingRecord, PendingSample, SeriesHot } from "./layout";
import { crc32c } from "./bytes";
import { wireValueTag } from "./labels";
import { pairOf } from "./postings";
import { coldOf, hasPage, hotOf } from "./series";
import { putVarint, varintBytes, zigzag } from "./varint";
import { getBase, putBase } from "./xor-bases";

export const RECORD_HEADER_BYTES: u32 = 25;
export const RECORD_SAMPLES: u32 = 1;
export const RECORD_DELETES: u32 = 2;
/** The sample count is padded to this many bytes, since it is known only after the samples. */
const SAMPLE_COUNT_BYTES: u32 = 3;

/**
 * A sample's flag byte: whether a ref delta (else the ref before + 1) and a time delta (else the same time) follow,
 * then how many bytes of the XORed value (0 to 6, or all 8) and how many zero bytes are cut off below them.
 */
export const SAMPLE_HAS_REF: u32 = 1;
export const SAMPLE_HAS_TIME: u32 = 2;
export const SAMPLE_BYTES_SHIFT: u32 = 2;
export const SAMPLE_WHOLE_VALUE: u32 = 7;
export const SAMPLE_TRAILING_SHIFT: u32 = 5;
/**
 * A late sample: its value is there as it is, not XORed, nor is anything XORed against it. (A whole value with a zero
 * byte cut off below it would be a contradiction.)
 */
export const SAMPLE_LATE: u32 = (SAMPLE_WHOLE_VALUE << SAMPLE_BYTES_SHIFT) | (1 << SAMPLE_TRAILING_SHIFT);
/** A row at its longest, which is a delete: ref, two times. A sample is flag, ref, time, value. */
const SAMPLE_BYTES_MAX: u32 = 25;
/** Header, counts, and what wide stores touch behind the end. */
const RECORD_BYTES_REST: u32 = 4096;

@inline
function walBuffer(): usize {
  const h = header();
  return h.walActive == 0 ? h.walBuffer0 : h.walBuffer1;
}

/** Rows are not moved for less. */
const PENDING_FREE_BYTES: u32 = 1 << 20;

/** Whether a record of a request of `bytes`, and its rows until it is durable, have room. */
export function hasRoomForRecord(bytes: u32, samples: u32): bool {
  const h = header();
  // What stands in the record must stay in order: nothing new before all that is encoded again.
  if (h.reencodeNext != 0) return false;
  // A request carries all labels that its record can declare, in no fewer bytes than their symbols or their ids take.
  const recordBytes = u64(bytes) * 2 + u64(samples) * SAMPLE_BYTES_MAX + RECORD_BYTES_REST;
  const rowBytes = u32(offsetof<PendingRecord>()) + samples * u32(offsetof<PendingSample>());
  if (u64(h.walUsed) + recordBytes > u64(h.walBufferBytes)) return false;
  if (u64(h.pendingBytes) + rowBytes > u64(PENDING_BYTES_MAX)) return false;
  if (u64(h.pendingFirst) + h.pendingBytes + rowBytes > u64(PENDING_BYTES_MAX)) movePendingToFront();
  return true;
}

function movePendingToFront(): void {
  const h = header();
  memory.copy(h.pending, h.pending + h.pendingFirst, h.pendingBytes);
  h.pendingFirst = 0;
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
  h.pendingStart = h.pending + h.pendingFirst + h.pendingBytes;
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

/** The same for a sample that goes to the late rows. */
export function encodeLateSample(hot: SeriesHot, ref: u32, timestampMs: i64, value: u64): void {
  const h = header();
  if (hot.walSegment != u16(h.walSegment)) declareSeries(hot, ref);
  const flagAt = usize(h.recordEnd);
  const at = encodePlace(flagAt, ref, timestampMs);
  store<u64>(at, value);
  store<u8>(flagAt, u8(u32(load<u8>(flagAt)) | SAMPLE_LATE));
  h.recordEnd = u32(at + 8);
}

/** Writes what comes before the value, with the flags for that. @returns where the value goes */
@inline
function encodePlace(flagAt: usize, ref: u32, timestampMs: i64): usize {
  const h = header();
  let at = flagAt + 1;
  let flag: u32 = 0;
  if (ref != h.lastRef + 1) {
    flag = SAMPLE_HAS_REF;
    at = putVarint(at, zigzag(i64(i32(ref - h.lastRef))));
  }
  if (timestampMs != h.lastTimeMs) {
    flag |= SAMPLE_HAS_TIME;
    at = putVarint(at, zigzag(timestampMs - h.lastTimeMs));
    h.lastTimeMs = timestampMs;
  }
  if (timestampMs > h.recordMaxTimeMs) h.recordMaxTimeMs = timestampMs;
  h.lastRef = ref;
  store<u8>(flagAt, u8(flag));
  return at;
}

@inline
function encodeRow(ref: u32, timestampMs: i64, xor: u64): void {
  const h = header();
  const flagAt = usize(h.recordEnd);
  let at = encodePlace(flagAt, ref, timestampMs);
  if (xor != 0) {
    let flag = u32(load<u8>(flagAt));
    const trailing = u32(ctz(xor)) >> 3;
    const bytes = 8 - trailing - (u32(clz(xor)) >> 3);
    if (bytes >= 7) {
      store<u64>(at, xor);
      at += 8;
      flag |= SAMPLE_WHOLE_VALUE << SAMPLE_BYTES_SHIFT;
    } else {
      store<u64>(at, xor >> (trailing << 3));
      at += bytes;
      flag |= (bytes << SAMPLE_BYTES_SHIFT) | (trailing << SAMPLE_TRAILING_SHIFT);
    }
    store<u8>(flagAt, u8(flag));
  }
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
      const value = wireValueTag(wire);
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

/** Keeps the row until the record is durable. */
@inline
export function keepPending(ref: u32, timestampMs: i64, value: u64, isLate: bool): void {
  const h = header();
  const row = changetype<PendingSample>(usize(h.pendingEnd));
  row.timestampMs = timestampMs;
  row.value = value;
  row.ref = ref;
  row.isLate = u32(isLate);
  h.pendingEnd += u32(offsetof<PendingSample>());
}

/** Adds a range of time that is deleted of a series. */
export function encodeDelete(ref: u32, mint: i64, maxt: i64): void {
  const h = header();
  let at = putVarint(usize(h.recordEnd), zigzag(i64(i32(ref - h.lastRef))));
  at = putVarint(at, zigzag(mint - h.lastTimeMs));
  at = putVarint(at, u64(maxt - mint));
  h.lastRef = ref;
  h.lastTimeMs = mint;
  if (maxt > h.recordMaxTimeMs) h.recordMaxTimeMs = maxt;
  h.recordEnd = u32(at);
}

/** Finishes the record of so many rows, RECORD_SAMPLES or RECORD_DELETES, under the next sequence. */
export function endRecord(rows: u32, type: u32): void {
  const h = header();
  h.walSequence++;
  const pending = changetype<PendingRecord>(usize(h.pendingStart));
  pending.sequence = h.walSequence;
  pending.sampleCount = rows;
  pending.type = type;
  h.pendingBytes += h.pendingEnd - h.pendingStart;
  finishRecord(h.walSequence, rows, type);
}

function finishRecord(sequence: u64, samples: u32, type: u32): void {
  const h = header();
  const start = usize(h.recordStart);
  let at = start + RECORD_HEADER_BYTES;
  let end = usize(h.recordEnd);
  const samplesAt = at + 2 + SAMPLE_COUNT_BYTES;
  if ((h.symbolCount | h.declaredCount) != 0) {
    const declared =
      varintBytes(h.symbolCount) + h.symbolBytes + varintBytes(h.declaredCount) + h.declaredBytes + SAMPLE_COUNT_BYTES;
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
  store<u8>(start, u8(type), 4);
  store<u64>(start, sequence, 5);
  store<u64>(start, h.walSynced, 13);
  let crc = crc32c(start, 21, 0);
  crc = crc32c(start + RECORD_HEADER_BYTES, u32(end - start) - RECORD_HEADER_BYTES, crc);
  store<u32>(start, crc, 21);
  h.walUsed = u32(end - walBuffer());
  h.walEncoded = sequence;
  h.walDeclaredBytes += h.symbolBytes + h.declaredBytes;
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
  h.walDeclaredBytes = 0;
  return used;
}

@inline
function pendingRecordBytes(record: PendingRecord): u32 {
  return u32(offsetof<PendingRecord>()) + record.sampleCount * u32(offsetof<PendingSample>());
}

/** Forgets the rows of records up to `sequence`, which are durable now. */
export function setSynced(sequence: u64): void {
  const h = header();
  h.walSynced = max(h.walSynced, sequence);
  while (h.pendingBytes != 0) {
    const record = changetype<PendingRecord>(usize(h.pending) + h.pendingFirst);
    if (record.sequence > sequence) break;
    const bytes = pendingRecordBytes(record);
    h.pendingFirst += bytes;
    h.pendingBytes -= bytes;
  }
  // Rows move to the front once more room is free before them than they take: that is cheap, and of the region only as
  // much is ever touched as is needed. Offsets that reencodePending hands out count from the front: then at once.
  const isFarOut = h.pendingFirst >= PENDING_FREE_BYTES && h.pendingBytes <= h.pendingFirst;
  if (h.pendingBytes == 0) h.pendingFirst = 0;
  else if (h.reencodeNext != 0 || isFarOut) movePendingToFront();
}

/**
 * Encodes records that are not known to be durable once more, under their old sequences, for a fresh segment. Series'
 * present values are of no use as XOR bases here, so bases are kept apart. Until all are encoded, ingest refuses
 * requests.
 * @param from 0 to start: what the active buffer holds is dropped, since all of it is encoded again; otherwise what
 * this function returned, once the buffer was taken
 * @returns NO_REF when all are encoded; otherwise where in the pending rows the next record begins
 */
export function reencodePending(from: u32): u32 {
  const h = header();
  if (from == 0) {
    h.walUsed = 0;
    h.walDeclaredBytes = 0;
    h.reencodeNext = 0;
    movePendingToFront();
    beginSegment();
  }
  const end = usize(h.pending) + h.pendingFirst + h.pendingBytes;
  for (let at = usize(h.pending) + h.pendingFirst; at < end; ) {
    const record = changetype<PendingRecord>(at);
    if (record.sequence >= h.reencodeNext) {
      if (h.walUsed + recordBytesMax(record) > h.walBufferBytes) {
        // An empty buffer holds any record that was admitted.
        if (h.walUsed == 0) unreachable();
        h.reencodeNext = record.sequence;
        return u32(at - usize(h.pending));
      }
      reencodeRecord(record);
    }
    at += pendingRecordBytes(record);
  }
  h.reencodeNext = 0;
  return NO_REF;
}

function reencodeRecord(record: PendingRecord): void {
  const h = header();
  const rows = record.sampleCount;
  let row = changetype<usize>(record) + offsetof<PendingRecord>();
  beginRecord();
  for (let i: u32 = 0; i < rows; i++, row += offsetof<PendingSample>()) {
    const sample = changetype<PendingSample>(row);
    if (record.type == RECORD_DELETES) {
      encodeDelete(sample.ref, sample.timestampMs, i64(sample.value));
      continue;
    }
    const hot = hotOf(sample.ref);
    if (sample.isLate != 0) {
      encodeLateSample(hot, sample.ref, sample.timestampMs, sample.value);
      continue;
    }
    if (hot.walSegment != u16(h.walSegment)) declareSeries(hot, sample.ref);
    const isFirst = (hot.flags & FLAG_WAL_FIRST) != 0;
    hot.flags &= ~FLAG_WAL_FIRST;
    encodeRow(sample.ref, sample.timestampMs, sample.value ^ (isFirst ? 0 : getBase(sample.ref)));
    // There are fewer rows than bases.
    if (!putBase(sample.ref, sample.value)) unreachable();
  }
  finishRecord(record.sequence, rows, record.type);
}

/** What a record of these rows can need at most, declarations included: no more than hasRoomForRecord asked for. */
function recordBytesMax(record: PendingRecord): u32 {
  const h = header();
  const rows = record.sampleCount;
  let row = changetype<usize>(record) + offsetof<PendingRecord>();
  let bytes: u64 = u64(rows) * SAMPLE_BYTES_MAX + RECORD_BYTES_REST;
  if (record.type == RECORD_DELETES) return u32(bytes);
  let last: u32 = NO_REF;
  for (let i: u32 = 0; i < rows; i++, row += offsetof<PendingSample>()) {
    const ref = changetype<PendingSample>(row).ref;
    if (ref == last || hotOf(ref).walSegment == u16(h.walSegment)) continue;
    last = ref;
    const cold = coldOf(ref);
    for (let p: u32 = 0; p < u32(cold.pairCount); p++) {
      bytes += 5 + pairOf(load<u32>(usize(cold.pairs) + (usize(p) << 2))).wireBytes;
    }
    bytes += 10;
  }
  return u32(min<u64>(bytes, 0x7fff_ffff));
}
