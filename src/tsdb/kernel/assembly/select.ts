/**
 * Reading the head from another thread: which series match, and their encoded chunks, copied out. Runs in a query
 * worker's own instance on the shared memory, between pin and unpin; writes only to the worker's scratch.
 *
 * Selection works on windows of refs, a bit each: `matched` starts with every ref of the window, each matcher's pairs are
 * collected in `union` and then kept or taken away. Which pairs a matcher means is the host's business (it has the
 * regular expressions); here are only ids.
 *   scratch: matched 1 MiB | union 1 MiB | list 1 MiB (ids in, refs out) | chunk records 2.75 MiB | chunk bytes 2 MiB | key 64 KiB
 */
import {
  CELL_PAYLOAD,
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
  SEAL_BLOCKS,
  SEAL_CONTROL,
  SealBlock,
  SeriesCold,
  SeriesHot,
} from "./layout";
import {
  cellEntry,
  CHUNK_ENTRY_HEADER_BYTES,
  copyCells,
  firstTimestamp,
  inlineEntry,
  listDropped,
  listEntries,
  listFirstCell,
  openCells,
  openCount,
  openFirstCell,
  sealBlockData,
} from "./chunk";
import { findName, findPair, nameOf, wireName, wireNameBytes, wireValue } from "./labels";
import { markPostings, pairOf } from "./postings";
import { coldOf, hasPage, hotOf } from "./series";

/** Refs in one window. */
export const WINDOW_REFS: u32 = 8 << 20;
const BITMAP_BYTES: u32 = WINDOW_REFS >> 3;
const LIST_AT: u32 = 2 * BITMAP_BYTES;
const LIST_BYTES: u32 = 1 << 20;
const RECORDS_AT: u32 = LIST_AT + LIST_BYTES;
/** Holds the records of the longest chunk list there can be (65,535 entries), so one series always fits. */
const RECORDS_BYTES: u32 = 11 << 18;
const BYTES_AT: u32 = RECORDS_AT + RECORDS_BYTES;
const BYTES_BYTES: u32 = 2 << 20;
const KEY_AT: u32 = BYTES_AT + BYTES_BYTES + 4096;

/** A chunk that gather found. `address` is 0 for one that must be read from its file. */
@unmanaged
export class ChunkRecord {
  /** Index into the list of refs that gather was given. */
  series: u32;
  address: u32;
  dataBytes: u32;
  fileIndex: u32;
  offset: u32;
  spare: u32;
  mint: i64;
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
  return findName(keyAddress(slot), bytes);
}
/** The id + 1 of the pair whose wire bytes stand at the key address. */
export function lookupPair(slot: u32, bytes: u32): u32 {
  return findPair(keyAddress(slot), bytes);
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
export function pairPostings(id: u32): u32 {
  return pairOf(id).postingCount;
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

/** Starts a window at ref `base`: everything matches. @returns refs in it */
export function selectAll(slot: u32, base: u32): u32 {
  const refs = min<u32>(WINDOW_REFS, refCount() - base);
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
      // Refs are reserved before their series is complete, and stay behind when it is gone.
      if (hasPage(ref) && (hotOf(ref).hashLow | hotOf(ref).hashHigh) != 0) {
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
/** Whether the series has anything that may overlap [mint, maxt]. */
export function seriesOverlaps(ref: u32, mint: f64, maxt: f64): bool {
  const hot = hotOf(ref);
  if (f64(hot.lastTimestampMs) < mint) return false;
  const word = atomic.load<u64>(changetype<usize>(hot) + offsetof<SeriesHot>("open"));
  const list = atomic.load<u64>(changetype<usize>(coldOf(ref)) + offsetof<SeriesCold>("list"));
  if (listEntries(list) != listDropped(list)) return f64(load<i64>(entryAt(coldOf(ref), list, listDropped(list)))) <= maxt;
  return word != 0 && f64(firstTimestamp(openFirstCell(word) + 4)) <= maxt;
}

@inline
function entryAt(cold: SeriesCold, word: u64, i: u32): usize {
  if (i < ENTRIES_INLINE) return inlineEntry(cold, i);
  let cell = listFirstCell(word);
  for (let skip = (i - ENTRIES_INLINE) / ENTRIES_PER_CELL; skip > 0; skip--) cell = load<u32>(cell);
  return cellEntry(cell, (i - ENTRIES_INLINE) % ENTRIES_PER_CELL);
}

/**
 * Copies the chunks that overlap [mint, maxt] of refs[first...] (at the list address) to the scratch, and writes a
 * ChunkRecord for each, series by series, oldest first. Must run pinned.
 * @returns how many series, at least one, were gathered whole (high 32 bits) and chunk records (low)
 */
export function gather(slot: u32, first: u32, count: u32, mint: f64, maxt: f64): u64 {
  const list = listAddress(slot);
  const records = recordsAddress(slot);
  const bytes = scratch(slot) + BYTES_AT;
  let used: u32 = 0;
  let recordCount: u32 = 0;
  let done: u32 = 0;
  while (done < count) {
    const ref = load<u32>(list + (usize(first + done) << 2));
    const usedBefore = used;
    const recordsBefore = recordCount;
    const hot = hotOf(ref);
    const cold = coldOf(ref);

    // The open chunk first, then the list: see chunk.ts on the order of publication.
    const open = atomic.load<u64>(changetype<usize>(hot) + offsetof<SeriesHot>("open"));
    let openMint: i64 = i64.MAX_VALUE;
    let openAddress: usize = 0;
    const openBytes = openCells(open) * CELL_PAYLOAD;
    if (openCount(open) != 0) {
      if (used + openBytes + 64 > BYTES_BYTES) break; // Never for the first: an open chunk has a few KiB.
      openAddress = bytes + used;
      copyCells(openFirstCell(open), openCells(open), openAddress);
      store<u8>(openAddress, u8(openCount(open) >> 8));
      store<u8>(openAddress, u8(openCount(open)), 1);
      openMint = firstTimestamp(openAddress);
      if (f64(openMint) <= maxt) used += (openBytes + 16 + 7) & ~7;
      else openAddress = 0;
    }

    const word = atomic.load<u64>(changetype<usize>(cold) + offsetof<SeriesCold>("list"));
    const entries = listEntries(word);
    let full = false;
    // When the open chunk reaches back before mint, no older one overlaps.
    if (listDropped(word) < entries && f64(openMint) > mint) {
      let cell = listFirstCell(word);
      for (let i: u32 = 0; i < entries; i++) {
        let entry: usize;
        if (i < ENTRIES_INLINE) entry = inlineEntry(cold, i);
        else {
          const inCell = (i - ENTRIES_INLINE) % ENTRIES_PER_CELL;
          if (inCell == 0 && i != ENTRIES_INLINE) cell = load<u32>(cell);
          entry = cellEntry(cell, inCell);
        }
        if (i < listDropped(word)) continue;
        const entryMint = load<i64>(entry, ENTRY_MINT);
        const span = load<u32>(entry, ENTRY_SPAN);
        if (f64(entryMint) > maxt) break;
        if (f64(entryMint) + f64(span) < mint && span != 0xffff_ffff) continue;
        if (entryMint == openMint) {
          // Sealed between our two loads: the copy of the open chunk is the same chunk with perhaps fewer samples.
          openMint = i64.MAX_VALUE;
          openAddress = 0;
        }
        const dataBytes = load<u16>(entry, ENTRY_DATA_BYTES);
        if ((recordCount + 2) * u32(offsetof<ChunkRecord>()) > RECORDS_BYTES) {
          full = true;
          break;
        }
        const fileIndex = load<u16>(entry, ENTRY_FILE);
        const offset = load<u32>(entry, ENTRY_OFFSET);
        let address: usize = bytes + used;
        // What no longer fits can be gathered with the next series, or lies in a file by then.
        const fits = used + dataBytes + 64 <= BYTES_BYTES;
        if (!fits && done > 0) {
          full = true;
          break;
        }
        if (fits && copySealed(fileIndex, offset, dataBytes, address)) used += (dataBytes + 16 + 7) & ~7;
        else address = 0;
        addRecord(records, recordCount++, done + first, u32(address), dataBytes, fileIndex, offset, entryMint);
      }
    }
    if (full) {
      used = usedBefore;
      recordCount = recordsBefore;
      break;
    }
    if (openAddress != 0) addRecord(records, recordCount++, done + first, u32(openAddress), openBytes, 0, 0, openMint);
    done++;
    if ((recordCount + 2) * u32(offsetof<ChunkRecord>()) > RECORDS_BYTES) break;
  }
  return (u64(done) << 32) | u64(recordCount);
}

@inline
function addRecord(
  records: usize,
  i: u32,
  series: u32,
  address: u32,
  dataBytes: u32,
  fileIndex: u32,
  offset: u32,
  mint: i64,
): void {
  const record = changetype<ChunkRecord>(records + usize(i) * offsetof<ChunkRecord>());
  record.series = series;
  record.address = address;
  record.dataBytes = dataBytes;
  record.fileIndex = fileIndex;
  record.offset = offset;
  record.mint = mint;
}

/** Copies a chunk that may still wait in the seal ring. False when it does not: then its file has it. */
function copySealed(fileIndex: u32, offset: u32, dataBytes: u32, out: usize): bool {
  for (let i: u32 = 0; i < SEAL_BLOCKS; i++) {
    const block = changetype<SealBlock>(SEAL_CONTROL + usize(i) * offsetof<SealBlock>());
    const generationAt = changetype<usize>(block) + offsetof<SealBlock>("generation");
    const generation = atomic.load<u32>(generationAt);
    if (generation == 0) return false; // Blocks are used in order: the rest never was.
    const used = atomic.load<u32>(changetype<usize>(block) + offsetof<SealBlock>("usedBytes"));
    if (block.fileIndex != fileIndex || offset < block.startOffset || offset >= block.startOffset + used) continue;
    const at = offset - block.startOffset + CHUNK_ENTRY_HEADER_BYTES;
    memory.copy(out, sealBlockData(i) + at, dataBytes);
    if (atomic.load<u32>(generationAt) == generation) return true;
  }
  return false;
}
