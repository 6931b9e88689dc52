/**
 * Reading the head from another thread: which series match, and their encoded chunks, copied out. Runs in a query
 * worker's own instance on the shared memory, between pin and unpin; writes only to the worker's scratch.
 *
 * Selection works on windows of refs, a bit each: `matched` starts with every ref of the window, each matcher's pairs
 * are collected in `union` and then kept or taken away. Which pairs a matcher means is the host's business (it has the
 * regular expressions); here are only ids.
 *   scratch: matched 1 MiB | union 1 MiB | list 1 MiB (ids in, refs out) | chunk records 3.5 MiB | open chunks and late
 *            samples 2 MiB | key 64 KiB
 */
import {
  CELL_PAYLOAD,
  CHUNK_RANGE_MS,
  ENTRIES_INLINE,
  ENTRIES_PER_CELL,
  ENTRY_DATA_BYTES,
  ENTRY_FILE,
  ENTRY_MINT,
  ENTRY_OFFSET,
  ENTRY_SPAN,
  header,
  Header,
  Name,
  READER_SCRATCH_BYTES,
} from "./layout";
import { LateLine, ROW_MAXT, ROW_MINT } from "./layout-late";
import {
  cellEntry,
  copyCells,
  findSealed,
  firstTimestamp,
  inlineEntry,
  listDropped,
  listEntries,
  listFirstCell,
  loadList,
  loadOpen,
  NOT_IN_ORDER,
  oldestInOrder,
  oldestSealed,
  openCells,
  openCount,
  openFirstCell,
  wholeFileIndex,
} from "./chunk";
import { hash32 } from "./hash";
import { pin, unpin } from "./heap";
import { findName, findPair, nameOf, wireName, wireNameBytes, wireValue } from "./labels";
import { deletesOf, firstRow, isUpTo, lateOf, loadRows, lowSequence, nextRow, NO_LATE_LINE, rowsEnd } from "./late";
import { hasLate, isAllDeleted, lateBytesMax, overlapsLate, readLate, TOO_MANY_ROWS } from "./late-read";
import { loadPostings, markPostings, pairOf, postingsCount } from "./postings";
import { RAW_HEADER_BYTES, RAW_SAMPLE_BYTES } from "./raw";
import { coldOf, hasPages, hotOf, isInUse } from "./series";

/** Refs in one window. */
export const WINDOW_REFS: u32 = 8 << 20;
const BITMAP_BYTES: u32 = WINDOW_REFS >> 3;
const LIST_AT: u32 = 2 * BITMAP_BYTES;
const LIST_BYTES: u32 = 1 << 20;
const RECORDS_AT: u32 = LIST_AT + LIST_BYTES;
/** A series with more chunks in the range than fit here (90,000) cannot be gathered. */
const RECORDS_BYTES: u32 = 14 << 18;
const BYTES_AT: u32 = RECORDS_AT + RECORDS_BYTES;
const BYTES_BYTES: u32 = 2 << 20;
const KEY_AT: u32 = BYTES_AT + BYTES_BYTES + 4096;
/** A reader hashes in its own scratch: the writer's is in use by the writer. */
const KEY_HASH_AT: u32 = KEY_AT - 16;
/** A Range. */
const RANGE_AT: u32 = KEY_AT - 64;

/** Encodings of records: as in storage.ts, and one for what is deleted of the series' chunks that are not raw. */
const ENCODING_DELETED: u32 = 0;
const ENCODING_XOR: u32 = 1;
const ENCODING_RAW: u32 = 0xff;

/** A chunk that gather found. `address` is 0 for one that must be read from its file. */
@unmanaged
export class ChunkRecord {
  /** Index into the list of refs that gather was given. */
  series: u32;
  /** In the reader's scratch or in a block that is being written to its file: valid until the reader unpins. */
  address: u32;
  dataBytes: u32;
  fileIndex: u32;
  offset: u32;
  encoding: u32;
  /** Of the first sample, exactly; and not before the last one. */
  mint: i64;
  maxt: i64;
}

@inline
function scratch(slot: u32): usize {
  return usize(header().readerScratch) + usize(slot) * READER_SCRATCH_BYTES;
}
export function listAddress(slot: u32): usize {
  return scratch(slot) + LIST_AT;
}
export function recordsAddress(slot: u32): usize {
  return scratch(slot) + RECORDS_AT;
}
export function keyAddress(slot: u32): usize {
  return scratch(slot) + KEY_AT;
}
export function listIdsMax(): u32 {
  return LIST_BYTES >> 2;
}

/** How many refs there are; those at or above it did not exist when it was asked. */
export function refCount(): u32 {
  return atomic.load<u32>(changetype<usize>(header()) + offsetof<Header>("seriesNext"));
}

/** The id + 1 of the name whose `bytes` stand at the key address. */
export function lookupName(slot: u32, bytes: u32): u32 {
  return findName(keyAddress(slot), bytes, keyHash(slot, bytes));
}
/** The id + 1 of the pair whose wire bytes stand at the key address. */
export function lookupPair(slot: u32, bytes: u32): u32 {
  return findPair(keyAddress(slot), bytes, keyHash(slot, bytes));
}
@inline
function keyHash(slot: u32, bytes: u32): u32 {
  return hash32(keyAddress(slot), bytes, scratch(slot) + KEY_HASH_AT);
}
/** Names are numbered from 0 without gaps. */
export function nameCount(): u32 {
  return atomic.load<u32>(changetype<usize>(header()) + offsetof<Header>("nameNext"));
}
export function nameAddress(id: u32): u32 {
  return nameOf(id).address;
}
export function nameBytes(id: u32): u32 {
  return nameOf(id).nameBytes;
}
export function namePairCount(id: u32): u32 {
  return nameOf(id).pairCount;
}

/**
 * Writes ids of the name's pairs to the list, newest first, starting behind `after` (a pair id + 1; 0 starts).
 * @returns how many; fewer than listIdsMax when these were the last
 */
export function listPairs(slot: u32, nameId: u32, after: u32): u32 {
  const list = listAddress(slot);
  const max = listIdsMax();
  let id =
    after == 0
      ? atomic.load<u32>(changetype<usize>(nameOf(nameId)) + offsetof<Name>("firstPair"))
      : pairOf(after - 1).nextOfName;
  let count: u32 = 0;
  while (id != 0 && count < max) {
    store<u32>(list + (usize(count++) << 2), id - 1);
    id = pairOf(id - 1).nextOfName;
  }
  return count;
}
export function pairNameId(id: u32): u32 {
  return pairOf(id).nameId;
}
/** How many series have the pair; with none, nothing else of it may be looked at. */
export function pairPostings(id: u32): u32 {
  const pair = pairOf(id);
  const count = postingsCount(loadPostings(pair));
  // A pair that is gone has none; those of series that are gone may be counted a moment too late.
  return count == 0 ? 0 : count - min(pair.gone, count);
}
export function pairNameAddress(id: u32): u32 {
  return u32(wireName(pairOf(id).address));
}
export function pairNameBytes(id: u32): u32 {
  return wireNameBytes(pairOf(id).address);
}
export function pairValueAddress(id: u32): u32 {
  return u32(wireValue(pairOf(id).address));
}
export function pairValueBytes(id: u32): u32 {
  const pair = pairOf(id);
  return pair.address + pair.wireBytes - u32(wireValue(pair.address));
}

/**
 * Starts a window at ref `base`: every ref below `end` matches. `end` is what refCount said before any pair was looked
 * up: a pair that came later has no series below it, and one that was gone before was not found.
 * @returns refs in it; 0 when all of its series are gone
 */
export function selectAll(slot: u32, base: u32, end: u32): u32 {
  const refs = min<u32>(WINDOW_REFS, end - base);
  if (!hasPages(base, refs)) return 0;
  const matched = scratch(slot);
  const whole = refs >> 6;
  memory.fill(matched, 0xff, usize(whole) << 3);
  if ((refs & 63) != 0) store<u64>(matched + (usize(whole) << 3), (u64(1) << (refs & 63)) - 1);
  memory.fill(matched + BITMAP_BYTES, 0, (usize(refs + 63) >> 6) << 3);
  return refs;
}

/** Adds the series of the first `ids` pairs of the list to the union. */
export function selectUnion(slot: u32, base: u32, refs: u32, ids: u32): void {
  const list = listAddress(slot);
  const union = scratch(slot) + BITMAP_BYTES;
  for (let i: u32 = 0; i < ids; i++) markPostings(pairOf(load<u32>(list + (usize(i) << 2))), union, base, refs);
}

/** Keeps what is in the union, or takes it away (`subtract`), and empties the union. */
export function selectApply(slot: u32, refs: u32, subtract: bool): void {
  const words = (refs + 63) >> 6;
  let matched = scratch(slot);
  let union = matched + BITMAP_BYTES;
  for (let i: u32 = 0; i < words; i++) {
    const bits = load<u64>(union);
    store<u64>(matched, subtract ? load<u64>(matched) & ~bits : load<u64>(matched) & bits);
    store<u64>(union, 0);
    matched += 8;
    union += 8;
  }
}

/**
 * Writes matching refs to the list and clears their bits, so that the next call goes on.
 * @returns how many; fewer than listIdsMax when these were the last
 */
export function selectCollect(slot: u32, base: u32, refs: u32): u32 {
  const matched = scratch(slot);
  const list = listAddress(slot);
  const max = listIdsMax();
  const words = (refs + 63) >> 6;
  let count: u32 = 0;
  for (let i: u32 = 0; i < words; i++) {
    let bits = load<u64>(matched + (usize(i) << 3));
    while (bits != 0) {
      if (count == max) {
        store<u64>(matched + (usize(i) << 3), bits);
        return count;
      }
      const ref = base + (i << 6) + u32(ctz(bits));
      bits &= bits - 1;
      // A ref that only a chunk file names has no labels, nor has one whose series is gone.
      if (isInUse(ref)) {
        store<u32>(list + (usize(count++) << 2), ref);
      }
    }
    store<u64>(matched + (usize(i) << 3), 0);
  }
  return count;
}

export function seriesPairs(ref: u32): u32 {
  return coldOf(ref).pairs;
}
export function seriesPairCount(ref: u32): u32 {
  return coldOf(ref).pairCount;
}

/**
 * Keeps of the first `count` refs of the list those whose series may have samples in [mint, maxt]: late ones, or
 * in-order ones that are not before `floor`.
 * @returns how many are left
 */
export function selectOverlapping(slot: u32, count: u32, mint: f64, maxt: f64, floor: f64): u32 {
  const list = listAddress(slot);
  const inOrderMint = max(mint, floor);
  let kept: u32 = 0;
  pin(slot);
  for (let i: u32 = 0; i < count; i++) {
    const ref = load<u32>(list + (usize(i) << 2));
    const line = lateOf(coldOf(ref));
    const isKept = overlaps(ref, line, inOrderMint, maxt) || (line != NO_LATE_LINE && hasLate(line, mint, maxt));
    if (isKept) store<u32>(list + (usize(kept++) << 2), ref);
  }
  unpin(slot);
  return kept;
}

/** Whether the series may have in-order samples in [mint, maxt] that are not deleted. */
@inline
function overlaps(ref: u32, line: LateLine, mint: f64, maxt: f64): bool {
  const hot = hotOf(ref);
  const newest = f64(hot.lastTimestampMs);
  if (newest < mint) return false;
  const oldestMs = oldestInOrder(hot, coldOf(ref));
  const oldest = f64(oldestMs);
  if (oldestMs == NOT_IN_ORDER || oldest > maxt) return false;
  return line == NO_LATE_LINE || !isAllDeleted(line, max(mint, oldest), min(maxt, newest));
}

/** Space that decoders want behind a chunk. */
const CHUNK_SLACK: u32 = 16;

const TOO_MANY: u32 = 0xffff_ffff;

/** What gather was asked for. */
@unmanaged
class Range {
  mint: f64;
  maxt: f64;
  /** In-order samples before it are not asked for. */
  floor: f64;
  /** Low half of the sequence up to which late samples and deletes count. */
  sequence: u32;
}

/**
 * Finds the chunks that overlap [mint, maxt] of refs[first...] (at the list address), copies open ones and late samples
 * to the scratch, and writes a ChunkRecord for each, series by series: first what is deleted of in-order samples, then
 * in-order chunks, oldest first, then late samples as one raw chunk. Must run pinned, and what the records point at is
 * to be copied before unpinning.
 * @param floor in-order chunks that end before it are left out
 * @param sequence late samples and deletes of later records are left out; infinite: none is
 * @returns how many series were gathered whole (high 32 bits), none when the first has too many chunks or late samples,
 * and chunk records (low)
 */
export function gather(slot: u32, first: u32, count: u32, mint: f64, maxt: f64, floor: f64, sequence: f64): u64 {
  const list = listAddress(slot);
  const range = changetype<Range>(scratch(slot) + RANGE_AT);
  range.mint = mint;
  range.maxt = maxt;
  range.floor = floor;
  range.sequence = lowSequence(sequence);
  const oldest = oldestSealed();
  let used: u32 = 0;
  let records: u32 = 0;
  let done: u32 = 0;
  for (; done < count; done++) {
    const ref = load<u32>(list + (usize(first + done) << 2));
    const line = lateOf(coldOf(ref));
    let after = line == NO_LATE_LINE ? records : gatherDeletes(slot, records, first + done, line, range);
    if (after == TOO_MANY) break;
    // The open chunk first, then the list: see chunk.ts on the order of publication.
    const open = loadOpen(hotOf(ref));
    const openBytes = openCells(open) * CELL_PAYLOAD;
    if (used + openBytes + CHUNK_SLACK > BYTES_BYTES) break; // Never for the first: an open chunk has a few KiB.
    let usedAfter = used;
    if (open == 0) after = gatherFull(slot, after, first + done, ref, range, i64.MAX_VALUE, oldest);
    else {
      const copy = scratch(slot) + BYTES_AT + used;
      copyCells(openFirstCell(open), openCells(open), copy);
      store<u8>(copy, u8(openCount(open) >> 8));
      store<u8>(copy, u8(openCount(open)), 1);
      const openMint = firstTimestamp(copy);
      // Stored before the open word was. By now it may be the time of a later chunk: this one ends in its range.
      const openMaxt = openMint + min<i64>(hotOf(ref).lastTimestampMs - openMint, CHUNK_RANGE_MS);
      after = gatherFull(slot, after, first + done, ref, range, openMint, oldest);
      if (after == TOO_MANY) break;
      // Sealed between our two loads: then the list has it too, with perhaps more samples.
      const isSealed = after != records && isInOrderFrom(recordAt(slot, after - 1), first + done, openMint);
      if (!isSealed && f64(openMint) <= maxt && f64(openMaxt) >= max(mint, floor)) {
        const record = addRecord(slot, after, first + done, ENCODING_XOR, openMint, openMaxt);
        if (record == NO_RECORD) break;
        record.address = u32(copy);
        record.dataBytes = openBytes;
        after++;
        usedAfter = (used + openBytes + CHUNK_SLACK + 7) & ~7;
      }
    }
    if (after == TOO_MANY) break;
    if (line != NO_LATE_LINE && overlapsLate(line, mint, maxt)) {
      const bytes = gatherLate(slot, after, first + done, line, range, usedAfter);
      if (bytes == TOO_MANY) break;
      if (bytes != 0) {
        after++;
        usedAfter = (usedAfter + bytes + CHUNK_SLACK + 7) & ~7;
      }
    }
    records = after;
    used = usedAfter;
  }
  return (u64(done) << 32) | u64(records);
}

@inline
function isInOrderFrom(record: ChunkRecord, series: u32, mint: i64): bool {
  return record.series == series && record.encoding == ENCODING_XOR && record.mint >= mint;
}

/** Adds records of what is deleted of a series' in-order samples. @returns the number of records then, or TOO_MANY */
function gatherDeletes(slot: u32, records: u32, series: u32, line: LateLine, range: Range): u32 {
  const word = loadRows(deletesOf(line));
  const end = rowsEnd(word);
  for (let i: u32 = 0, row = firstRow(word); i < end; i++, row = nextRow(row)) {
    const mint = load<i64>(row, ROW_MINT);
    const maxt = load<i64>(row, ROW_MAXT);
    const isWanted = f64(mint) <= range.maxt && f64(maxt) >= max(range.mint, range.floor);
    if (!isWanted || !isUpTo(row, range.sequence)) continue;
    if (addRecord(slot, records, series, ENCODING_DELETED, mint, maxt) == NO_RECORD) return TOO_MANY;
    records++;
  }
  return records;
}

/**
 * Adds records of the full chunks of a series.
 * @param openMint of its open chunk: when that reaches back before the range, no older one overlaps
 * @returns the number of records then, or TOO_MANY
 */
function gatherFull(
  slot: u32,
  records: u32,
  series: u32,
  ref: u32,
  range: Range,
  openMint: i64,
  oldest: u64,
): u32 {
  const mint = max(range.mint, range.floor);
  if (f64(openMint) <= mint) return records;
  const cold = coldOf(ref);
  const word = loadList(cold);
  const entries = listEntries(word);
  const dropped = listDropped(word);
  let cell = listFirstCell(word);
  for (let i: u32 = 0; i < entries; i++) {
    let entry: usize;
    if (i < ENTRIES_INLINE) entry = inlineEntry(cold, i);
    else {
      const inCell = (i - ENTRIES_INLINE) % ENTRIES_PER_CELL;
      if (inCell == 0 && i != ENTRIES_INLINE) cell = load<u32>(cell);
      entry = cellEntry(cell, inCell);
    }
    if (i < dropped) continue;
    const entryMint = load<i64>(entry, ENTRY_MINT);
    const entryMaxt = entryMint + i64(load<u32>(entry, ENTRY_SPAN));
    if (f64(entryMint) > range.maxt) break;
    if (f64(entryMaxt) < mint) continue;
    const record = addRecord(slot, records, series, ENCODING_XOR, entryMint, entryMaxt);
    if (record == NO_RECORD) return TOO_MANY;
    record.fileIndex = wholeFileIndex(load<u16>(entry, ENTRY_FILE));
    record.offset = load<u32>(entry, ENTRY_OFFSET);
    record.dataBytes = load<u16>(entry, ENTRY_DATA_BYTES);
    record.address = u32(findSealed(record.fileIndex, record.offset, oldest));
    records++;
  }
  return records;
}

/**
 * Adds a record of a series' late samples, read to behind the `used` bytes of the scratch, if there are any.
 * @returns how many bytes they take, or TOO_MANY
 */
function gatherLate(slot: u32, records: u32, series: u32, line: LateLine, range: Range, used: u32): u32 {
  // Never for the first series, either.
  if (used + lateBytesMax(line) + CHUNK_SLACK > BYTES_BYTES) return TOO_MANY;
  const chunk = scratch(slot) + BYTES_AT + used;
  const samples = readLate(line, range.mint, range.maxt, range.sequence, chunk, scratch(slot));
  if (samples == TOO_MANY_ROWS) return TOO_MANY;
  if (samples == 0) return 0;
  const times = chunk + RAW_HEADER_BYTES;
  const newest = i64(load<f64>(times + (usize(samples - 1) << 3)));
  const record = addRecord(slot, records, series, ENCODING_RAW, i64(load<f64>(times)), newest);
  if (record == NO_RECORD) return TOO_MANY;
  record.address = u32(chunk);
  record.dataBytes = RAW_HEADER_BYTES + samples * RAW_SAMPLE_BYTES;
  return record.dataBytes;
}

@inline
function recordAt(slot: u32, i: u32): ChunkRecord {
  return changetype<ChunkRecord>(recordsAddress(slot) + usize(i) * offsetof<ChunkRecord>());
}

/** There is no room for it. */
const NO_RECORD: ChunkRecord = changetype<ChunkRecord>(0);

/** A record of which the chunk's place is still to be entered, or NO_RECORD. */
function addRecord(slot: u32, i: u32, series: u32, encoding: u32, mint: i64, maxt: i64): ChunkRecord {
  if ((i + 1) * u32(offsetof<ChunkRecord>()) > RECORDS_BYTES) return NO_RECORD;
  const record = recordAt(slot, i);
  record.series = series;
  record.encoding = encoding;
  record.mint = mint;
  record.maxt = maxt;
  record.address = 0;
  record.dataBytes = 0;
  return record;
}
