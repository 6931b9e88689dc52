/**
 * Replaying WAL records into an empty head whose full chunks were loaded from chunk files. Idempotent: a sample not newer
 * than its series is skipped, so chunks that were loaded, and records that stand in the log twice, change nothing.
 *
 * The record's checksum was verified, yet every length and id is checked again: a damaged record must never write outside
 * its own series.
 */
import {
  CANONICAL_BYTES_MAX,
  FLAG_REPLAY_BASE,
  FLAG_UNDECLARED,
  FLAG_WAL_FIRST,
  header,
  LABELS_PER_SERIES_MAX,
  PENDING_BYTES_MAX,
  SERIES_PAGES_MAX,
  SERIES_PER_PAGE,
} from "./layout";
import { appendSample } from "./append";
import { addEntry } from "./chunk";
import { advanceEpoch, reserveHeap } from "./heap";
import { internPair, writeCanonical } from "./labels";
import { pairOf } from "./postings";
import { coldOf, createSeries, findSeries, hasPage, hotOf, reserveRef } from "./series";
import { siphash128 } from "./siphash";
import { getBase, putBase } from "./xor-bases";

export const REPLAY_OK: i32 = 0;
export const REPLAY_MALFORMED: i32 = -1;
/** The memory cannot hold what the log holds. */
export const REPLAY_FULL: i32 = -2;

const SYMBOLS_MAX: u32 = PENDING_BYTES_MAX / 4;
const REFS_MAX: u64 = u64(SERIES_PAGES_MAX) * SERIES_PER_PAGE;

/** Reads a varint of at most 64 bits to the first scratch word; returns the address behind it, 0 past the end. */
@inline
function varint(at: usize, end: usize, out: usize): usize {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) return 0;
    const byte = u64(load<u8>(at++));
    value |= (byte & 127) << shift;
    if (byte < 128) {
      store<u64>(out, value);
      return at;
    }
  }
  return 0;
}
@inline
function unzigzag(value: u64): i64 {
  return i64(value >> 1) ^ -i64(value & 1);
}

/**
 * Applies the data of one samples record, `bytes` long at `data` (16 readable bytes behind it). h.accepted is set to the
 * samples that were new.
 */
export function replayRecord(data: usize, bytes: u32): i32 {
  const h = header();
  const out = usize(h.chunkScratch);
  const end = data + bytes;
  h.accepted = 0;
  h.recordMaxTimeMs = i64.MIN_VALUE;
  advanceEpoch();
  if (!reserveHeap(u64(bytes) * 64 + (4 << 20))) return REPLAY_FULL;

  let at = varint(data, end, out);
  if (at == 0) return REPLAY_MALFORMED;
  for (let left = load<u64>(out); left > 0; left--) {
    at = replaySymbol(at, end);
    if (at == 0) return REPLAY_MALFORMED;
  }

  at = varint(at, end, out);
  if (at == 0) return REPLAY_MALFORMED;
  let ref: i64 = 0;
  for (let left = load<u64>(out); left > 0; left--) {
    at = varint(at, end, out);
    if (at == 0) return REPLAY_MALFORMED;
    ref += unzigzag(load<u64>(out));
    if (ref < 0 || u64(ref) >= REFS_MAX) return REPLAY_MALFORMED;
    at = replaySeries(u32(ref), at, end);
    if (at == 0) return REPLAY_MALFORMED;
  }

  at = varint(at, end, out);
  if (at == 0) return REPLAY_MALFORMED;
  return replaySamples(at, end, load<u64>(out));
}

/** One symbol: interned, and entered in the segment's list. */
function replaySymbol(at: usize, end: usize): usize {
  const h = header();
  const out = usize(h.chunkScratch);
  const nameAt = varint(at, end, out);
  if (nameAt == 0 || load<u64>(out) > u64(end - nameAt)) return 0;
  const nameBytes = u32(load<u64>(out));
  const nameLengthBytes = u32(nameAt - at);
  const valueLengthAt = nameAt + nameBytes;
  const valueAt = varint(valueLengthAt, end, out);
  if (valueAt == 0 || load<u64>(out) > u64(end - valueAt)) return 0;
  const valueBytes = u32(load<u64>(out));
  const valueLengthBytes = u32(valueAt - valueLengthAt);
  if (nameBytes == 0 || h.walSymbolNext >= SYMBOLS_MAX) return 0;
  const wireBytes: u32 = 2 + nameLengthBytes + nameBytes + valueLengthBytes + valueBytes;
  if (u64(load<u64>(out)) + nameBytes > u64(CANONICAL_BYTES_MAX / 2)) return 0;
  if (nameLengthBytes > 3 || valueLengthBytes > 3) return 0;
  const wire = usize(h.canonical);
  store<u8>(wire, 0x0a);
  memory.copy(wire + 1, at, nameLengthBytes + nameBytes);
  const tag = wire + 1 + nameLengthBytes + nameBytes;
  store<u8>(tag, 0x12);
  memory.copy(tag + 1, valueLengthAt, valueLengthBytes + valueBytes);
  const id = internPair(wire, wireBytes);
  store<u32>(usize(h.pending) + (usize(h.walSymbolNext) << 2), id);
  h.walSymbolNext++;
  return valueAt + valueBytes;
}

/** One declared series: created, or found under the same ref. */
function replaySeries(ref: u32, at: usize, end: usize): usize {
  const h = header();
  const out = usize(h.chunkScratch);
  at = varint(at, end, out);
  if (at == 0) return 0;
  const count = u32(min<u64>(load<u64>(out), 0xffff_ffff));
  if (count == 0 || count > LABELS_PER_SERIES_MAX) return 0;
  const ids = usize(h.labelScratch);
  let labelBytes: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    at = varint(at, end, out);
    if (at == 0 || load<u64>(out) >= u64(h.walSymbolNext)) return 0;
    const id = load<u32>(usize(h.pending) + (usize(load<u64>(out)) << 2));
    store<u32>(ids + (usize(i) << 2), id);
    labelBytes += u64(pairOf(id).wireBytes) + 8;
  }
  if (labelBytes > u64(CANONICAL_BYTES_MAX)) return 0;
  const bytes = writeCanonical(ids, count, h.canonical);
  siphash128(h.hashKey0, h.hashKey1, h.canonical, bytes, out);
  const low = load<u64>(out);
  const high = load<u64>(out, 8);
  const known = findSeries(low, high);
  if (known == 0) {
    reserveRef(ref);
    // The ref already has other labels: the log contradicts itself.
    if (hotOf(ref).hashLow != 0 || hotOf(ref).hashHigh != 0) return 0;
    createSeries(ref, h.canonical, bytes, low, high);
  } else if (known - 1 != ref) return 0;
  const hot = hotOf(ref);
  hot.walSegment = u16(h.walSegment);
  hot.flags = (hot.flags | FLAG_WAL_FIRST) & ~FLAG_REPLAY_BASE;
  return at;
}

function replaySamples(at: usize, end: usize, samples: u64): i32 {
  const h = header();
  const out = usize(h.chunkScratch);
  let ref: i64 = -1;
  let timestampMs: i64 = 0;
  for (; samples > 0; samples--) {
    if (at >= end) return REPLAY_MALFORMED;
    const flag = u32(load<u8>(at++));
    let refDelta: i64 = 1;
    if ((flag & 1) != 0) {
      at = varint(at, end, out);
      if (at == 0) return REPLAY_MALFORMED;
      refDelta = unzigzag(load<u64>(out));
    }
    ref += refDelta;
    if ((flag & 2) != 0) {
      at = varint(at, end, out);
      if (at == 0) return REPLAY_MALFORMED;
      timestampMs += unzigzag(load<u64>(out));
    }
    const coded = (flag >> 2) & 7;
    const bytes = coded == 7 ? 8 : coded;
    if (end - at < usize(bytes)) return REPLAY_MALFORMED;
    let xor: u64 = 0;
    if (coded == 7) xor = load<u64>(at);
    else if (coded != 0) xor = (load<u64>(at) & ((u64(1) << (coded << 3)) - 1)) << ((flag >> 5) << 3);
    at += bytes;
    if (ref < 0 || u64(ref) >= u64(h.seriesNext) || !hasPage(u32(ref))) return REPLAY_MALFORMED;
    const hot = hotOf(u32(ref));
    if (hot.walSegment != u16(h.walSegment)) return REPLAY_MALFORMED;
    let base = hot.lastValue;
    if ((hot.flags & FLAG_WAL_FIRST) != 0) base = 0;
    else if ((hot.flags & FLAG_REPLAY_BASE) != 0) base = getBase(u32(ref));
    hot.flags &= ~(FLAG_WAL_FIRST | FLAG_REPLAY_BASE);
    const value = xor ^ base;
    if (timestampMs > h.recordMaxTimeMs) h.recordMaxTimeMs = timestampMs;
    if (timestampMs > hot.lastTimestampMs) {
      appendSample(hot, u32(ref), timestampMs, value);
      h.accepted++;
    } else if (hot.count == 0) {
      // The sample is in a chunk that was loaded: its value is what the next one was XORed against.
      hot.lastValue = value;
    } else {
      putBase(u32(ref), value);
      hot.flags |= FLAG_REPLAY_BASE;
    }
  }
  return at == end ? REPLAY_OK : REPLAY_MALFORMED;
}

/**
 * Enters a full chunk found in a chunk file, before replay. Chunks of a series must come in time order.
 * @returns false when it does not belong there
 */
export function loadChunk(ref: u32, mint: f64, span: u32, fileIndex: u32, offset: u32, dataBytes: u32): bool {
  const h = header();
  if (u64(ref) >= REFS_MAX || dataBytes > 0xffff) return false;
  if (!reserveHeap(8 << 20)) return false;
  const isNew = ref >= h.seriesNext || !hasPage(ref);
  reserveRef(ref);
  const hot = hotOf(ref);
  if (isNew || ((hot.flags & FLAG_UNDECLARED) == 0 && hot.hashLow == 0 && hot.hashHigh == 0)) {
    hot.flags |= FLAG_UNDECLARED;
    hot.lastTimestampMs = i64.MIN_VALUE;
  }
  if (i64(mint) <= hot.lastTimestampMs) return false;
  hot.lastTimestampMs = i64(mint) + i64(span);
  addEntry(coldOf(ref), i64(mint), span, fileIndex, offset, dataBytes);
  if (i64(mint) < h.minTimeMs) h.minTimeMs = i64(mint);
  if (hot.lastTimestampMs > h.maxTimeMs) h.maxTimeMs = hot.lastTimestampMs;
  return true;
}
