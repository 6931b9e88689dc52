/**
 * Chunks of the head. An open chunk is a chain of cells that samples are appended to; when it is full it is sealed: copied
 * as one entry to a block of the seal queue, from where the host writes it to a head chunk file, and its cells are freed.
 *
 *   seal queue: [block][block]...   block: entries of one file, in file order, from startOffset on
 *   entry (docs/format/head-chunks.md): crc32c u32 | dataBytes << 8 | encoding u32 | ref u32 | mint i64 | maxt - mint u32 | data
 *
 * Order of publication, on which readers rely: the entry's bytes, the block's usedBytes, the series' chunk list, then the
 * open word. A reader loads the open word before the list, so a chunk that is sealed meanwhile is seen twice (and the
 * copy recognised by its first timestamp), never missed.
 */
import {
  CELL_PAYLOAD,
  ENTRIES_INLINE,
  ENTRIES_PER_CELL,
  ENTRY_BYTES,
  ENTRY_DATA_BYTES,
  ENTRY_FILE,
  ENTRY_MINT,
  ENTRY_OFFSET,
  ENTRY_SPAN,
  header,
  SEAL_BLOCK_BYTES,
  SEAL_BLOCKS,
  SEAL_CONTROL,
  SEAL_QUEUE,
  SealBlock,
  SeriesCold,
  SeriesHot,
} from "./layout";
import { allocateCell, retireCells } from "./heap";
import { crc32c } from "./bytes";
import { xorAppend, xorStart } from "./xor";

export const CHUNK_FILE_HEADER_BYTES: u32 = 32;
export const CHUNK_ENTRY_HEADER_BYTES: u32 = 24;
const ENCODING_XOR: u32 = 1;
/** The count at the start of a chunk; the first sample's bits follow. */
const COUNT_BYTES: u32 = 2;

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
  let zigzag: u64 = 0;
  let shift: u64 = 0;
  let byte: u64;
  do {
    byte = load<u8>(at++);
    zigzag |= (byte & 127) << shift;
    shift += 7;
  } while (byte > 127 && shift < 70);
  return i64(zigzag >> 1) ^ -i64(zigzag & 1);
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
  // Whole cells are copied, so the entry may run over by less than a cell; the block has that much slack.
  const at = reserveEntry(entryBytes);
  const data = at + CHUNK_ENTRY_HEADER_BYTES;
  copyCells(first, cells, data);
  store<u8>(data, u8(hot.count >> 8));
  store<u8>(data, u8(hot.count), 1);
  const mint = firstTimestamp(data);
  const span = u32(min<i64>(hot.lastTimestampMs - mint, 0xffff_ffff));
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
  h.openChunks--;
  h.chunksSealed++;
  h.chunkBytesSealed += entryBytes;
  publishOpen(hot, 0);
  hot.count = 0;
  hot.bitPosition = 0;
  retireCells(first, hot.tailCell, cells);
}

/** The i-th oldest block in use. */
@inline
export function sealBlock(i: u32): SealBlock {
  return blockAt(sealIndex(i));
}
@inline
export function sealIndex(i: u32): u32 {
  return load<u32>(queueSlot(i));
}
@inline
function queueSlot(i: u32): usize {
  return SEAL_QUEUE + (usize((header().sealFirst + i) % SEAL_BLOCKS) << 2);
}
@inline
function blockAt(index: u32): SealBlock {
  return changetype<SealBlock>(SEAL_CONTROL + usize(index) * offsetof<SealBlock>());
}
@inline
export function sealBlockData(index: u32): usize {
  return usize(header().sealData) + usize(index) * SEAL_BLOCK_BYTES;
}

/** Room for an entry at chunkFileOffset of chunkFileIndex, in the block being filled or a fresh one. */
function reserveEntry(bytes: u32): usize {
  const h = header();
  let fresh = h.sealCount == h.sealTaken;
  if (h.chunkFileOffset + bytes > h.chunkFileBytesMax && h.chunkFileOffset > CHUNK_FILE_HEADER_BYTES) {
    h.chunkFileIndex++;
    h.chunkFileOffset = CHUNK_FILE_HEADER_BYTES;
    fresh = true;
  }
  if (!fresh) {
    const filling = sealBlock(h.sealCount - 1);
    if (filling.usedBytes + bytes + CELL_PAYLOAD > SEAL_BLOCK_BYTES) fresh = true;
    else return sealBlockData(sealIndex(h.sealCount - 1)) + filling.usedBytes;
  }
  // The lowest free block: memory that was touched before is used again.
  let index: u32 = 0;
  while (blockAt(index).inUse != 0) index++;
  if (index >= SEAL_BLOCKS) unreachable();
  store<u32>(queueSlot(h.sealCount), index);
  const block = blockAt(index);
  block.inUse = 1;
  atomic.store<u32>(changetype<usize>(block) + offsetof<SealBlock>("generation"), block.generation + 1);
  atomic.store<u32>(changetype<usize>(block) + offsetof<SealBlock>("usedBytes"), 0);
  block.fileIndex = h.chunkFileIndex;
  block.startOffset = h.chunkFileOffset;
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

/** Gives the oldest taken block back: its entries are in their file. Readers may use it until it is filled again. */
export function sealRelease(): void {
  const h = header();
  if (h.sealTaken == 0) unreachable();
  sealBlock(0).inUse = 0;
  h.sealFirst = (h.sealFirst + 1) % SEAL_BLOCKS;
  h.sealCount--;
  h.sealTaken--;
}

/** Makes the oldest taken block untaken again, after its write failed; blocks are given back in the order taken. */
export function sealUntake(): void {
  header().sealTaken = 0;
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
  return usize(u32(word));
}
@inline
export function listEntries(word: u64): u32 {
  return u32(word >> 32) & 0xffff;
}
@inline
export function listDropped(word: u64): u32 {
  return u32(word >> 48);
}
@inline
function publishList(cold: SeriesCold, firstCell: usize, entries: u32, dropped: u32): void {
  const word = u64(firstCell) | (u64(entries) << 32) | (u64(dropped) << 48);
  atomic.store<u64>(changetype<usize>(cold) + offsetof<SeriesCold>("list"), word);
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

/**
 * Takes full chunks that end before `before` off the front of the list. Cells whose entries are all gone are freed; the
 * two inline entries of a list that once spilled stay unused.
 * @returns how many were dropped
 */
export function dropEntries(cold: SeriesCold, before: i64): u32 {
  const h = header();
  let word = cold.list;
  let dropped = listDropped(word);
  const start = dropped;
  let entries = listEntries(word);
  let cell = listFirstCell(word);
  while (dropped < entries) {
    const entry =
      dropped < ENTRIES_INLINE
        ? inlineEntry(cold, dropped)
        : cellEntry(cell, (dropped - ENTRIES_INLINE) % ENTRIES_PER_CELL);
    if (load<i64>(entry, ENTRY_MINT) + i64(load<u32>(entry, ENTRY_SPAN)) >= before) break;
    dropped++;
    h.fullChunks--;
    if (dropped == ENTRIES_INLINE + ENTRIES_PER_CELL) {
      // The first cell is used up: publish the list without it, then let go of it.
      const next = load<u32>(cell);
      entries -= ENTRIES_PER_CELL;
      dropped -= ENTRIES_PER_CELL;
      publishList(cold, next, entries, dropped);
      retireCells(cell, cell, 1);
      cell = next;
      word = cold.list;
    }
  }
  if (listDropped(cold.list) != dropped) publishList(cold, cell, entries, dropped);
  return dropped - start;
}
