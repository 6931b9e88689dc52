/**
 * Replaying WAL records into an empty head whose full chunks were loaded from chunk files. Idempotent: a sample not
 * newer than its series is skipped, and so are the late ones of a record that was replayed before: chunks that were
 * loaded, and records that stand in the log twice, change nothing.
 *
 * The record's checksum was verified, yet every length and id is checked again: a damaged record must never write
 * outside its own series.
 */
import {
  CANONICAL_BYTES_MAX,
  FLAG_REPLAY_BASE,
  FLAG_UNDECLARED,
  FLAG_WAL_FIRST,
  header,
  LABELS_PER_SERIES_MAX,
  PAIR_BYTES_MAX,
  PENDING_BYTES_MAX,
  SAMPLES_PER_REQUEST_MAX,
  TIME_MS_MAX,
} from "./layout";
import { appendSample, heapBytesForSamples } from "./append";
import { addEntry, dropEntries, dropOpen, hasRoomToSeal } from "./chunk";
import { forgetSeries } from "./collect";
import { advanceEpoch, heapBytesForCells, hasHeap } from "./heap";
import {
  compareBytes,
  hasIdsForPairs,
  heapBytesForPairs,
  internPair,
  wireBytesOf,
  wireName,
  wireNameBytes,
  writeCanonical,
} from "./labels";
import { addLateSample, addRow, deletesOf, dropLate, ensureLate } from "./late";
import { pairOf } from "./postings";
import {
  coldOf,
  createSeries,
  ensurePage,
  findSeries,
  hasPage,
  hotOf,
  publishRef,
  REFS_MAX,
  canCreateSeries,
  SERIES_PAGE_BYTES,
} from "./series";
import { siphash128 } from "./siphash";
import { BAD, putVarint, readVarint, unzigzag, varintBytes } from "./varint";
import { heapBytesToRetire } from "./views";
import {
  SAMPLE_BYTES_SHIFT,
  SAMPLE_HAS_REF,
  SAMPLE_HAS_TIME,
  SAMPLE_LATE,
  SAMPLE_TRAILING_SHIFT,
  SAMPLE_WHOLE_VALUE,
} from "./wal";
import { getBase, putBase } from "./xor-bases";

const REPLAY_OK: i32 = 0;
const REPLAY_MALFORMED: i32 = -1;
/** The memory cannot hold what the log holds. */
const REPLAY_FULL: i32 = -2;
/** Full chunks must be brought to their files first; then the same record can be replayed. */
const REPLAY_SEAL_FIRST: i32 = -3;

const SYMBOLS_MAX: u32 = PENDING_BYTES_MAX / 4;

/** The segment's symbols so far, as pair ids. They lie where pending rows will be once the head is written to. */
@inline
function symbolAddress(symbol: u32): usize {
  return usize(header().pending) + (usize(symbol) << 2);
}

/**
 * Applies the data of one samples record, `bytes` long at `data` (16 readable bytes behind it). h.accepted is set to
 * the samples that were new, h.recordMaxTimeMs to its newest time.
 * @returns a REPLAY_ code
 */
export function replayRecord(data: usize, bytes: u32): i32 {
  const h = header();
  const end = data + bytes;
  const symbolsBefore = h.walSymbolNext;
  h.accepted = 0;
  h.recordMaxTimeMs = i64.MIN_VALUE;
  // Three sections, each with its count before it.
  const out = usize(h.scratch);
  h.replayAt = u32(data);
  let result = REPLAY_OK;
  for (let section = 0; section < 3 && result == REPLAY_OK; section++) {
    h.replayAt = u32(readVarint(h.replayAt, end, out));
    if (h.replayAt == 0) return REPLAY_MALFORMED;
    const count = load<u64>(out);
    // Nothing takes less than a byte.
    if (count > u64(end - h.replayAt)) return REPLAY_MALFORMED;
    if (section == 0) result = replaySymbols(u32(count), end);
    else if (section == 1) result = replayDeclarations(u32(count), end);
    else result = replaySamples(u32(count), end);
  }
  if (result == REPLAY_SEAL_FIRST) h.walSymbolNext = symbolsBefore;
  if (result != REPLAY_OK) return result;
  if (usize(h.replayAt) != end) return REPLAY_MALFORMED;
  h.replayedSequence = max(h.replayedSequence, h.walSequence + 1);
  return REPLAY_OK;
}

/**
 * Applies the data of one deletes record. A ref that nothing has named is passed over: what was deleted of it went with
 * its segments.
 * @returns a REPLAY_ code
 */
export function replayDeletes(data: usize, bytes: u32): i32 {
  const h = header();
  const end = data + bytes;
  const out = usize(h.scratch);
  h.accepted = 0;
  h.recordMaxTimeMs = i64.MIN_VALUE;
  let at = data;
  for (let section = 0; section < 3; section++) {
    at = readVarint(at, end, out);
    // It declares neither symbols nor series.
    if (at == BAD || (section < 2 && load<u64>(out) != 0)) return REPLAY_MALFORMED;
  }
  const count = load<u64>(out);
  if (count > u64(SAMPLES_PER_REQUEST_MAX)) return REPLAY_MALFORMED;
  if (!hasHeap(heapBytesForCells(count * 2))) return REPLAY_FULL;
  const isRepeated = h.walSequence < h.replayedSequence;
  const flushedMs = h.walSequence < h.flushedSequence ? h.flushedMs : i64.MIN_VALUE;
  let ref: i64 = -1;
  let mint: i64 = 0;
  for (let left = u32(count); left > 0; left--) {
    at = readVarint(at, end, out);
    if (at == BAD) return REPLAY_MALFORMED;
    ref += unzigzag(load<u64>(out));
    at = readVarint(at, end, out);
    if (at == BAD) return REPLAY_MALFORMED;
    mint += unzigzag(load<u64>(out));
    at = readVarint(at, end, out);
    if (at == BAD || ref < 0 || u64(ref) >= REFS_MAX) return REPLAY_MALFORMED;
    if (mint < -TIME_MS_MAX || mint > TIME_MS_MAX) return REPLAY_MALFORMED;
    if (load<u64>(out) > u64(TIME_MS_MAX - mint)) return REPLAY_MALFORMED;
    const maxt = mint + i64(load<u64>(out));
    if (maxt > h.recordMaxTimeMs) h.recordMaxTimeMs = maxt;
    if (isRepeated || maxt < flushedMs || u64(ref) >= u64(h.seriesNext) || !hasPage(u32(ref))) continue;
    const hot = hotOf(u32(ref));
    if ((hot.hashLow | hot.hashHigh) == 0 && (hot.flags & FLAG_UNDECLARED) == 0) continue;
    addRow(deletesOf(ensureLate(coldOf(u32(ref)))), mint, u64(maxt), u32(h.walSequence + 1));
    h.accepted++;
  }
  if (at != end) return REPLAY_MALFORMED;
  h.replayedSequence = max(h.replayedSequence, h.walSequence + 1);
  return REPLAY_OK;
}

/** Symbols: each a label pair, interned and entered in the segment's list. */
function replaySymbols(count: u32, end: usize): i32 {
  const h = header();
  const out = usize(h.scratch);
  let at = usize(h.replayAt);
  for (; count > 0; count--) {
    const name = readVarint(at, end, out);
    if (name == BAD || load<u64>(out) > u64(end - name)) return REPLAY_MALFORMED;
    const nameBytes = u32(load<u64>(out));
    const value = readVarint(name + nameBytes, end, out);
    if (value == BAD || load<u64>(out) > u64(end - value)) return REPLAY_MALFORMED;
    const valueBytes = u32(load<u64>(out));
    at = value + valueBytes;
    if (nameBytes == 0 || valueBytes == 0 || u64(nameBytes) + valueBytes + 16 > u64(PAIR_BYTES_MAX)) {
      return REPLAY_MALFORMED;
    }
    if (h.walSymbolNext == SYMBOLS_MAX || !hasIdsForPairs(1)) return REPLAY_FULL;
    const wireBytes = wireBytesOf(nameBytes, valueBytes);
    if (!hasHeap(0, heapBytesForPairs(1, wireBytes))) return REPLAY_FULL;
    // Written anew, so that one pair has one spelling.
    const wire = usize(h.canonical);
    store<u8>(wire, 0x0a);
    let to = putVarint(wire + 1, nameBytes);
    memory.copy(to, name, nameBytes);
    to += nameBytes;
    store<u8>(to, 0x12);
    to = putVarint(to + 1, valueBytes);
    memory.copy(to, value, valueBytes);
    store<u32>(symbolAddress(h.walSymbolNext), internPair(wire, wireBytes));
    h.walSymbolNext++;
  }
  h.replayAt = u32(at);
  return REPLAY_OK;
}

/** Series: each a ref and the symbols of its labels; created, or found under the same ref. */
function replayDeclarations(count: u32, end: usize): i32 {
  const h = header();
  const out = usize(h.scratch);
  const ids = usize(h.labelScratch);
  let ref: i64 = 0;
  for (; count > 0; count--) {
    let at = readVarint(h.replayAt, end, out);
    if (at == BAD) return REPLAY_MALFORMED;
    ref += unzigzag(load<u64>(out));
    if (ref < 0 || u64(ref) >= REFS_MAX) return REPLAY_MALFORMED;
    at = readVarint(at, end, out);
    if (at == BAD) return REPLAY_MALFORMED;
    const labels = load<u64>(out);
    if (labels == 0 || labels > u64(LABELS_PER_SERIES_MAX)) return REPLAY_MALFORMED;
    let canonicalBytes: u64 = 0;
    for (let i: u32 = 0; i < u32(labels); i++) {
      at = readVarint(at, end, out);
      if (at == BAD || load<u64>(out) >= u64(h.walSymbolNext)) return REPLAY_MALFORMED;
      const id = load<u32>(symbolAddress(u32(load<u64>(out))));
      if (i > 0 && compareNames(load<u32>(ids + (usize(i - 1) << 2)), id) >= 0) return REPLAY_MALFORMED;
      store<u32>(ids + (usize(i) << 2), id);
      const wireBytes = pairOf(id).wireBytes;
      canonicalBytes += 1 + varintBytes(wireBytes) + wireBytes;
    }
    if (canonicalBytes > u64(CANONICAL_BYTES_MAX)) return REPLAY_MALFORMED;
    h.replayAt = u32(at);
    const result = declareSeries(u32(ref), ids, u32(labels));
    if (result != REPLAY_OK) return result;
  }
  return REPLAY_OK;
}

/** Compares the names of two pairs. */
function compareNames(a: u32, b: u32): i32 {
  const first = usize(pairOf(a).address);
  const second = usize(pairOf(b).address);
  return compareBytes(wireName(first), wireNameBytes(first), wireName(second), wireNameBytes(second));
}

function declareSeries(ref: u32, ids: usize, labels: u32): i32 {
  const h = header();
  const hash = usize(h.scratch);
  const bytes = writeCanonical(ids, labels, h.canonical);
  siphash128(h.hashKey0, h.hashKey1, h.canonical, bytes, hash);
  const low = load<u64>(hash);
  const high = load<u64>(hash, 8);
  let known = findSeries(low, high);
  if (known != 0 && known - 1 < ref) {
    // The series went away and came back under another ref: all that it had was gone by then.
    if (!giveUp(known - 1)) return REPLAY_FULL;
    known = 0;
  }
  if (known == 0) {
    if (!canCreateSeries(h.canonical, bytes, ref + 1, 0)) return REPLAY_FULL;
    ensurePage(ref);
    // The ref already has other labels: the log contradicts itself.
    if ((hotOf(ref).hashLow | hotOf(ref).hashHigh) != 0) return REPLAY_MALFORMED;
    createSeries(ref, h.canonical, bytes, low, high);
  } else if (known - 1 != ref) return REPLAY_MALFORMED;
  const hot = hotOf(ref);
  hot.walSegment = u16(h.walSegment);
  hot.flags = (hot.flags | FLAG_WAL_FIRST) & ~FLAG_REPLAY_BASE;
  return REPLAY_OK;
}

/** Forgets a series, with what samples it has. @returns false when there is no memory to note what is let go of */
function giveUp(ref: u32): bool {
  if (!hasHeap(heapBytesForCells(8) + heapBytesToRetire(1))) return false;
  const cold = coldOf(ref);
  while (dropEntries(cold, Infinity) != 0) {}
  dropOpen(hotOf(ref), Infinity);
  if (cold.late != 0) dropLate(cold, Infinity, u32(header().walSequence) + 1, i64.MAX_VALUE);
  forgetSeries(ref);
  return true;
}

function replaySamples(count: u32, end: usize): i32 {
  const h = header();
  const out = usize(h.scratch);
  if (count > SAMPLES_PER_REQUEST_MAX) return REPLAY_MALFORMED;
  advanceEpoch();
  if (!hasRoomToSeal(count)) return REPLAY_SEAL_FIRST;
  if (!hasHeap(heapBytesForSamples(count))) return REPLAY_FULL;
  // Records that were in doubt stand in the log twice.
  const isRepeated = h.walSequence < h.replayedSequence;
  // Blocks have what is before this.
  const flushedMs = h.walSequence < h.flushedSequence ? h.flushedMs : i64.MIN_VALUE;
  let at = usize(h.replayAt);
  let ref: i64 = -1;
  let timestampMs: i64 = 0;
  for (; count > 0; count--) {
    if (at >= end) return REPLAY_MALFORMED;
    const flag = u32(load<u8>(at++));
    let refDelta: i64 = 1;
    if ((flag & SAMPLE_HAS_REF) != 0) {
      at = readVarint(at, end, out);
      if (at == BAD) return REPLAY_MALFORMED;
      refDelta = unzigzag(load<u64>(out));
    }
    ref += refDelta;
    if ((flag & SAMPLE_HAS_TIME) != 0) {
      at = readVarint(at, end, out);
      if (at == BAD) return REPLAY_MALFORMED;
      timestampMs += unzigzag(load<u64>(out));
      if (timestampMs > TIME_MS_MAX || timestampMs < -TIME_MS_MAX) return REPLAY_MALFORMED;
    }
    const isLate = flag >> SAMPLE_BYTES_SHIFT == SAMPLE_LATE >> SAMPLE_BYTES_SHIFT;
    const coded = (flag >> SAMPLE_BYTES_SHIFT) & 7;
    const bytes = coded == SAMPLE_WHOLE_VALUE ? 8 : coded;
    if (end - at < usize(bytes)) return REPLAY_MALFORMED;
    let xor: u64 = 0;
    if (coded == SAMPLE_WHOLE_VALUE) xor = load<u64>(at);
    else if (coded != 0) {
      xor = (load<u64>(at) & ((u64(1) << (coded << 3)) - 1)) << ((flag >> SAMPLE_TRAILING_SHIFT) << 3);
    }
    at += bytes;
    if (ref < 0 || u64(ref) >= u64(h.seriesNext) || !hasPage(u32(ref))) return REPLAY_MALFORMED;
    const hot = hotOf(u32(ref));
    if (hot.walSegment != u16(h.walSegment)) return REPLAY_MALFORMED;
    if (timestampMs > h.recordMaxTimeMs) h.recordMaxTimeMs = timestampMs;
    if (isLate) {
      if (isRepeated || timestampMs < flushedMs) continue;
      addLateSample(u32(ref), timestampMs, xor);
      // It was below the floor, then: what comes in order stays above late samples, or deletes of these would hide it.
      if (timestampMs > hot.lastTimestampMs) h.floorMs = max(h.floorMs, timestampMs + 1);
      h.accepted++;
      continue;
    }
    let base = hot.lastValue;
    if ((hot.flags & FLAG_WAL_FIRST) != 0) base = 0;
    else if ((hot.flags & FLAG_REPLAY_BASE) != 0) base = getBase(u32(ref));
    hot.flags &= ~(FLAG_WAL_FIRST | FLAG_REPLAY_BASE);
    const value = xor ^ base;
    if (timestampMs > hot.lastTimestampMs && timestampMs >= flushedMs) {
      appendSample(hot, u32(ref), timestampMs, value);
      h.accepted++;
    } else if (hot.count == 0) {
      // The sample is in a chunk that was loaded, or in a block: its value is what the next one was XORed against.
      hot.lastValue = value;
    } else {
      if (!putBase(u32(ref), value)) return REPLAY_FULL;
      hot.flags |= FLAG_REPLAY_BASE;
    }
  }
  h.replayAt = u32(at);
  return REPLAY_OK;
}

/**
 * Enters a full chunk found in a chunk file, before replay. Chunks of a series must come in time order.
 * @returns a REPLAY_ code: malformed when it does not belong there
 */
export function loadChunk(ref: u32, mint: f64, span: u32, fileIndex: u32, offset: u32, dataBytes: u32): i32 {
  const h = header();
  if (u64(ref) >= REFS_MAX || dataBytes > u32(u16.MAX_VALUE)) return REPLAY_MALFORMED;
  if (!(abs(mint) <= f64(TIME_MS_MAX)) || mint != trunc(mint)) return REPLAY_MALFORMED;
  if (!hasHeap(u64(SERIES_PAGE_BYTES) + heapBytesForCells(1))) return REPLAY_FULL;
  ensurePage(ref);
  const hot = hotOf(ref);
  const cold = coldOf(ref);
  if ((hot.flags & FLAG_UNDECLARED) == 0 && (hot.hashLow | hot.hashHigh) == 0) {
    hot.flags |= FLAG_UNDECLARED;
    hot.lastTimestampMs = i64.MIN_VALUE;
  }
  const mintMs = i64(mint);
  if (mintMs <= hot.lastTimestampMs || hot.count != 0) return REPLAY_MALFORMED;
  hot.lastTimestampMs = mintMs + i64(span);
  addEntry(cold, mintMs, span, fileIndex, offset, dataBytes);
  publishRef(ref);
  if (fileIndex > h.chunkFileIndex) h.chunkFileIndex = fileIndex;
  if (mintMs < h.minTimeMs) h.minTimeMs = mintMs;
  if (hot.lastTimestampMs > h.maxTimeMs) h.maxTimeMs = hot.lastTimestampMs;
  return REPLAY_OK;
}
