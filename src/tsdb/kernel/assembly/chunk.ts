/**
 * Chunks of the head. An open chunk is a chain of cells that samples are appended to; when it is full it is sealed:
 * copied as one entry to a block of the seal queue, from where the host writes it to a head chunk file, and its cells
 * are freed.
 *
 *   seal queue: [block][block]...   block: entries of one file, in file order, from startOffset on
 *   entry (docs/format/head-chunks.md):
 *     crc32c u32 | dataBytes << 8 | encoding u32 | ref u32 | mint i64 | maxt - mint u32 | data
 *
 * Order of publication, on which readers rely: the entry's bytes, the block's usedBytes, the series' chunk list, then
 * the open word. A reader loads the open word before the list, so a chunk that is sealed meanwhile is seen twice (and
 * the copy recognised by its first timestamp), never missed. A block whose file has its entries is used again only when
 * no reader can be reading it: like a cell, but counted in the queue itself.
 */
import {
  CELL_PAYLOAD,
  CHUNK_SAMPLES,
  ENTRIES_INLINE,
  ENTRIES_PER_CELL,
  ENTRY_BYTES,
  ENTRY_DATA_BYTES,
  ENTRY_FILE,
  ENTRY_MINT,
  ENTRY_OFFSET,
  ENTRY_SPAN,
  header,
  LIST_DROPPED_MASK,
  SEAL_BLOCK_BYTES,
  SEAL_BLOCKS,
  SEAL_CONTROL,
  SEAL_QUEUE,
  SealBlock,
  SeriesCold,
  SeriesHot,
} from "./layout";
import { allocateCell, hasPassed, retireCells } from "./heap";
import { crc32c } from "./bytes";
import { unzigzag } from "./varint";
import { xorAppend, xorStart } from "./xor";

export const CHUNK_FILE_HEADER_BYTES: u32 = 32;
export const CHUNK_ENTRY_HEADER_BYTES: u32 = 24;
const ENCODING_XOR: u32 = 1;
/** The count at the start of a chunk; the first sample's bits follow. */
const COUNT_BYTES: u32 = 2;
/** No chunk of CHUNK_SAMPLES samples is longer: count, first time, first value, then per sample 145 bits at most. */
const CHUNK_BYTES_MAX: u32 = COUNT_BYTES + 10 + 8 + (145 * CHUNK_SAMPLES + 7) / 8 + 8;
/** An entry of this length leaves less of a block unused than it is long; copies run over by less than a cell. */
const ENTRY_ROOM_MAX: u32 = CHUNK_ENTRY_HEADER_BYTES + CHUNK_BYTES_MAX + CELL_PAYLOAD;

@inline
export function loadOpen(hot: SeriesHot): u64 {
  return atomic.load<u64>(changetype<usize>(hot) + offsetof<SeriesHot>("open"));
}
@inline
function publishOpen(hot: SeriesHot, word: u64): void {
  atomic.store<u64>(changetype<usize>(hot) + offsetof<SeriesHot>("open"), word);
}
@inline
export function openFirstCell(word: u64): usize {
  return usize(u32(word));
}
@inline
export function openCount(word: u64): u32 {
  return u32(word >> 32) & 0xffff;
}
@inline
export function openCells(word: u64): u32 {
  return u32(word >> 48);
}

/** Appends one sample, newer than all of the series, to the open chunk; starts one when there is none. */
@inline
export function appendToOpen(hot: SeriesHot, timestampMs: i64, value: u64, scratch: usize): void {
  let word = hot.open;
  if (word == 0) {
    header().openChunks++;
    xorStart(hot);
    const first = allocateCell();
    hot.tailCell = u32(first);
    word = u64(first) | (u64(1) << 48);
  }
  const from = hot.count == 0 ? COUNT_BYTES : hot.bitPosition >> 3;
  const tail = usize(hot.tailCell);
  const offset = from % CELL_PAYLOAD;
  store<u8>(scratch, (hot.bitPosition & 7) != 0 ? load<u8>(tail + 4 + offset) : 0);
  // The encoder sees a chunk in one piece whose byte `from` is at `scratch`.
  xorAppend(scratch - from, hot, timestampMs, value);
  const bits = hot.bitPosition;
  const bytes = ((bits + 7) >> 3) - from;
  if (offset + bytes < CELL_PAYLOAD || (offset + bytes == CELL_PAYLOAD && (bits & 7) != 0)) {
    if (offset + 16 <= CELL_PAYLOAD && bytes <= 16) v128.store(tail + 4 + offset, v128.load(scratch));
    else memory.copy(tail + 4 + offset, scratch, bytes);
  } else {
    // The tail always holds the byte that the next bit goes to, so a cell filled to the brim gets its successor now.
    const fits = CELL_PAYLOAD - offset;
    memory.copy(tail + 4 + offset, scratch, min<u32>(fits, bytes));
    const cell = allocateCell();
    if (bytes > fits) memory.copy(cell + 4, scratch + fits, bytes - fits);
    store<u32>(tail, u32(cell));
    hot.tailCell = u32(cell);
    word += u64(1) << 48;
  }
  publishOpen(hot, (word & 0xffff_0000_ffff_ffff) | (u64(hot.count) << 32));
}

/** Copies a chain of cells to `out`, `cells * CELL_PAYLOAD` bytes. */
export function copyCells(first: usize, cells: u32, out: usize): void {
  let cell = first;
  for (let i: u32 = 0; i < cells; i++) {
    memory.copy(out, cell + 4, CELL_PAYLOAD);
    out += CELL_PAYLOAD;
    cell = load<u32>(cell);
  }
}

/** The first timestamp of a chunk: a zigzag varint behind the count. */
export function firstTimestamp(chunk: usize): i64 {
  let at = chunk + COUNT_BYTES;
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    const byte = u64(load<u8>(at++));
    value |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  return unzigzag(value);
}

/** Closes the open chunk: entry to the seal queue, reference to the series' list, cells to limbo. */
export function sealOpen(hot: SeriesHot, cold: SeriesCold, ref: u32): void {
  const h = header();
  const word = hot.open;
  if (word == 0) return;
  const dataBytes = (hot.bitPosition + 7) >> 3;
  const first = openFirstCell(word);
  const cells = openCells(word);
  const entryBytes = CHUNK_ENTRY_HEADER_BYTES + dataBytes;
  const at = reserveEntry();
  const data = at + CHUNK_ENTRY_HEADER_BYTES;
  copyCells(first, cells, data);
  store<u8>(data, u8(hot.count >> 8));
  store<u8>(data, u8(hot.count), 1);
  const mint = firstTimestamp(data);
  // A chunk lies within one range of CHUNK_RANGE_MS.
  const span = u32(hot.lastTimestampMs - mint);
  store<u32>(at, (dataBytes << 8) | ENCODING_XOR, 4);
  store<u32>(at, ref, 8);
  store<i64>(at, mint, 12);
  store<u32>(at, span, 20);
  store<u32>(at, crc32c(at + 4, entryBytes - 4, 0));
  const block = sealBlock(h.sealCount - 1);
  block.lastSequence = h.walSequence + 1;
  atomic.store<u32>(changetype<usize>(block) + offsetof<SealBlock>("usedBytes"), block.usedBytes + entryBytes);
  addEntry(cold, mint, span, h.chunkFileIndex, h.chunkFileOffset, dataBytes);
  h.chunkFileOffset += entryBytes;
  h.chunksSealed++;
  h.chunkBytesSealed += entryBytes;
  letGoOfOpen(hot);
}

/** Lets go of the open chunk if its newest sample is older than `before`. @returns whether it did */
export function dropOpen(hot: SeriesHot, before: f64): bool {
  if (hot.open == 0 || f64(hot.lastTimestampMs) >= before) return false;
  letGoOfOpen(hot);
  return true;
}

function letGoOfOpen(hot: SeriesHot): void {
  const word = hot.open;
  header().openChunks--;
  publishOpen(hot, 0);
  hot.count = 0;
  hot.bitPosition = 0;
  retireCells(openFirstCell(word), hot.tailCell, openCells(word));
}

/** The i-th oldest block that is not in its file yet. */
@inline
function sealBlock(i: u32): SealBlock {
  return sealBlockAt(sealIndex(i));
}
@inline
function sealIndex(i: u32): u32 {
  return load<u32>(queueSlot(header().sealFirst + i));
}
@inline
function queueSlot(position: u32): usize {
  return SEAL_QUEUE + (usize(position % SEAL_BLOCKS) << 2);
}
@inline
export function sealBlockAt(index: u32): SealBlock {
  return changetype<SealBlock>(SEAL_CONTROL + usize(index) * offsetof<SealBlock>());
}
@inline
export function sealBlockData(index: u32): usize {
  return usize(header().sealData) + usize(index) * SEAL_BLOCK_BYTES;
}

/** Makes blocks free that no reader can be reading any more. */
function reclaimBlocks(): void {
  const h = header();
  while (h.sealRetired > 0) {
    const block = sealBlockAt(load<u32>(queueSlot(h.sealFirst + SEAL_BLOCKS - h.sealRetired)));
    if (!hasPassed(block.retiredEpoch)) return;
    block.inUse = 0;
    h.sealRetired--;
  }
}

/** Whether `chunks` more can be sealed before a block must come back from the host. */
export function hasRoomToSeal(chunks: u32): bool {
  const h = header();
  reclaimBlocks();
  const freeBlocks = u64(SEAL_BLOCKS - h.sealCount - h.sealRetired);
  return freeBlocks * (SEAL_BLOCK_BYTES - ENTRY_ROOM_MAX) >= u64(chunks) * ENTRY_ROOM_MAX;
}

/**
 * Where the next entry goes, in the block being filled or a fresh one; the caller made sure of room (hasRoomToSeal).
 */
function reserveEntry(): usize {
  const h = header();
  if (h.sealCount != h.sealTaken) {
    const filling = sealBlock(h.sealCount - 1);
    if (filling.usedBytes + ENTRY_ROOM_MAX <= SEAL_BLOCK_BYTES) {
      return sealBlockData(sealIndex(h.sealCount - 1)) + filling.usedBytes;
    }
  }
  reclaimBlocks();
  // A file is left when one more block could overfill it, so that a file of any size has whole blocks.
  if (h.chunkFileOffset > CHUNK_FILE_HEADER_BYTES && h.chunkFileOffset + SEAL_BLOCK_BYTES > h.chunkFileBytesMax) {
    h.chunkFileIndex++;
    h.chunkFileOffset = CHUNK_FILE_HEADER_BYTES;
  }
  // The lowest free block: memory that was touched before is used again.
  let index: u32 = 0;
  while (index < SEAL_BLOCKS && sealBlockAt(index).inUse != 0) index++;
  if (index == SEAL_BLOCKS) unreachable();
  store<u32>(queueSlot(h.sealFirst + h.sealCount), index);
  const block = sealBlockAt(index);
  block.inUse = 1;
  const position = u64(h.chunkFileIndex) | (u64(h.chunkFileOffset) << 32);
  atomic.store<u64>(changetype<usize>(block) + offsetof<SealBlock>("position"), position);
  h.sealCount++;
  return sealBlockData(index);
}

/** The index of the oldest block not yet taken whose samples are durable and, unless `all`, which is full; or -1. */
export function sealTake(durableSequence: u64, all: bool): i32 {
  const h = header();
  if (h.sealTaken == h.sealCount) return -1;
  if (!all && h.sealTaken + 1 == h.sealCount) return -1;
  if (sealBlock(h.sealTaken).lastSequence > durableSequence) return -1;
  return i32(sealIndex(h.sealTaken++));
}

/** Gives the oldest taken block back: its entries are in their file, and new readers look there. */
export function sealRelease(): void {
  const h = header();
  if (h.sealTaken == 0) unreachable();
  const block = sealBlock(0);
  atomic.store<u32>(changetype<usize>(block) + offsetof<SealBlock>("usedBytes"), 0);
  block.retiredEpoch = u16(h.epoch);
  h.sealFirst = (h.sealFirst + 1) % SEAL_BLOCKS;
  h.sealCount--;
  h.sealTaken--;
  h.sealRetired++;
}

/** Makes all taken blocks untaken again, after a write failed; blocks are given back in the order taken. */
export function sealUntake(): void {
  header().sealTaken = 0;
}

/**
 * No block has a chunk that lies in front of this: file index << 32 | offset. Stays true while the reader is pinned.
 */
export function oldestSealed(): u64 {
  let oldest: u64 = u64.MAX_VALUE;
  for (let i: u32 = 0; i < SEAL_BLOCKS; i++) {
    const block = changetype<usize>(sealBlockAt(i));
    const position = atomic.load<u64>(block + offsetof<SealBlock>("position"));
    if (position == 0) break; // The lowest free block is always taken: the rest was never used.
    oldest = min<u64>(oldest, rotl<u64>(position, 32));
  }
  return oldest;
}

/**
 * The address of the data of a full chunk that is still in memory, or 0: then its file has it. For readers, pinned.
 *
 * Blocks may be used again during the search, for positions behind all that this reader has seen. usedBytes is loaded
 * before the position: a new usedBytes then comes with the new position, and an old one with either is a range that
 * does not have this chunk. A block that has it was not in its file when the reader pinned, so it stays until it
 * unpins.
 */
export function findSealed(fileIndex: u32, offset: u32, oldest: u64): usize {
  if (((u64(fileIndex) << 32) | u64(offset)) < oldest) return 0;
  for (let i: u32 = 0; i < SEAL_BLOCKS; i++) {
    const block = changetype<usize>(sealBlockAt(i));
    const usedBytes = atomic.load<u32>(block + offsetof<SealBlock>("usedBytes"));
    const position = atomic.load<u64>(block + offsetof<SealBlock>("position"));
    if (position == 0) return 0; // The lowest free block is always taken: the rest was never used.
    const start = u32(position >> 32);
    if (u32(position) != fileIndex || offset < start || offset - start >= usedBytes) continue;
    return sealBlockData(i) + (offset - start) + CHUNK_ENTRY_HEADER_BYTES;
  }
  return 0;
}

@inline
export function loadList(cold: SeriesCold): u64 {
  return atomic.load<u64>(changetype<usize>(cold) + offsetof<SeriesCold>("list"));
}
/** Addresses of entries: inline ones first, then three to a cell. */
@inline
export function inlineEntry(cold: SeriesCold, i: u32): usize {
  return changetype<usize>(cold) + offsetof<SeriesCold>("inline0") + usize(i) * ENTRY_BYTES;
}
@inline
export function cellEntry(cell: usize, i: u32): usize {
  return cell + 4 + usize(i) * ENTRY_BYTES;
}
@inline
export function listFirstCell(word: u64): usize {
  return usize(u32(word) & ~LIST_DROPPED_MASK);
}
@inline
export function listEntries(word: u64): u32 {
  return u32(word >> 32);
}
@inline
export function listDropped(word: u64): u32 {
  return u32(word) & LIST_DROPPED_MASK;
}
@inline
function publishList(cold: SeriesCold, firstCell: usize, entries: u32, dropped: u32): void {
  const word = u64(firstCell) | u64(dropped) | (u64(entries) << 32);
  atomic.store<u64>(changetype<usize>(cold) + offsetof<SeriesCold>("list"), word);
}
/** The whole index of a file of which an entry keeps the low half: none is newer than the one being filled. */
@inline
export function wholeFileIndex(low: u16): u32 {
  const newest = header().chunkFileIndex;
  return newest - u32(u16(u16(newest) - low));
}

/** Appends a reference to a full chunk to the series' list. */
export function addEntry(cold: SeriesCold, mint: i64, span: u32, fileIndex: u32, offset: u32, dataBytes: u32): void {
  const word = cold.list;
  const entries = listEntries(word);
  let firstCell = listFirstCell(word);
  let entry: usize;
  if (entries < ENTRIES_INLINE) entry = inlineEntry(cold, entries);
  else {
    const inCell = (entries - ENTRIES_INLINE) % ENTRIES_PER_CELL;
    let cell = usize(cold.lastListCell);
    if (inCell == 0) {
      const fresh = allocateCell();
      if (firstCell == 0) firstCell = fresh;
      else store<u32>(cell, u32(fresh));
      cell = fresh;
      cold.lastListCell = u32(cell);
    }
    entry = cellEntry(cell, inCell);
  }
  store<i64>(entry, mint, ENTRY_MINT);
  store<u32>(entry, span, ENTRY_SPAN);
  store<u32>(entry, offset, ENTRY_OFFSET);
  store<u16>(entry, u16(fileIndex), ENTRY_FILE);
  store<u16>(entry, u16(dataBytes), ENTRY_DATA_BYTES);
  publishList(cold, firstCell, entries + 1, listDropped(word));
  header().fullChunks++;
}

/** Cells of one list that are let go of at a time; a longer list is dropped in several calls. */
const RETIRED_CELLS_MAX: u32 = 1024;

/**
 * Takes full chunks that end before `before` off the front of the list. Cells whose entries are all gone are let go of;
 * the two inline entries of a list that once spilled stay unused.
 * @returns how many were dropped
 */
export function dropEntries(cold: SeriesCold, before: f64): u32 {
  const word = cold.list;
  let entries = listEntries(word);
  let dropped = listDropped(word);
  let cell = listFirstCell(word);
  const retiredFirst = cell;
  let retiredLast: usize = 0;
  let retiredCells: u32 = 0;
  let count: u32 = 0;
  for (; dropped < entries && retiredCells < RETIRED_CELLS_MAX; count++) {
    const entry =
      dropped < ENTRIES_INLINE
        ? inlineEntry(cold, dropped)
        : cellEntry(cell, (dropped - ENTRIES_INLINE) % ENTRIES_PER_CELL);
    if (f64(load<i64>(entry, ENTRY_MINT)) + f64(load<u32>(entry, ENTRY_SPAN)) >= before) break;
    dropped++;
    if (dropped < ENTRIES_INLINE + ENTRIES_PER_CELL) continue;
    // The first cell is used up.
    entries -= ENTRIES_PER_CELL;
    dropped -= ENTRIES_PER_CELL;
    retiredLast = cell;
    retiredCells++;
    cell = load<u32>(cell);
  }
  if (count == 0) return 0;
  publishList(cold, cell, entries, dropped);
  header().fullChunks -= count;
  if (retiredCells != 0) retireCells(retiredFirst, retiredLast, retiredCells);
  return count;
}

/** Takes from a series whose entries are all dropped what is left of its list. */
export function clearList(cold: SeriesCold): void {
  const cell = listFirstCell(cold.list);
  publishList(cold, 0, 0, 0);
  // The last cells of a list are let go of when they are used up; one may be in use in part.
  if (cell != 0) retireCells(cell, cell, 1);
}

/** What oldestInOrder says of a series without in-order samples. */
export const NOT_IN_ORDER: i64 = i64.MAX_VALUE;

/** The time of the oldest in-order sample that a series has here, or NOT_IN_ORDER. For readers too, pinned. */
@inline
export function oldestInOrder(hot: SeriesHot, cold: SeriesCold): i64 {
  const open = loadOpen(hot);
  const list = loadList(cold);
  const i = listDropped(list);
  // The first entry that is not dropped is inline or in the first cell.
  if (listEntries(list) != i) {
    const entry = i < ENTRIES_INLINE ? inlineEntry(cold, i) : cellEntry(listFirstCell(list), i - ENTRIES_INLINE);
    return load<i64>(entry, ENTRY_MINT);
  }
  return open == 0 ? NOT_IN_ORDER : firstTimestamp(openFirstCell(open) + 4);
}
