/**
 * The heap of a head's memory: cells (64 B in slabs, for chunks) and, in blocks.ts, everything else. Only the writer
 * allocates and frees.
 *
 * A reader may still be following what the writer lets go of. Blocks and extents wait until no view is older
 * (views.ts). Cells come and go much faster, so chains of them wait in a limbo of their own, untouched: a queue of who
 * and when (LimboEntry), in cells too. The epoch advances when every pinned reader has pinned the present one; what was
 * let go of two epochs ago can then be in nobody's hands. Readers take no locks and hold up cells for no longer than
 * one batch (pin, copy, unpin).
 */
import {
  CELL_BYTES,
  CELL_PAYLOAD,
  Header,
  header,
  LimboEntry,
  Pair,
  READER_BYTES,
  READER_SLOTS,
  READERS,
  SLAB_BYTES,
} from "./layout";
import { allocateExtent, CANARY, HAS_CANARIES } from "./blocks";
import { freeUnseen, pinEpoch } from "./views";

/**
 * Whether `bytes` more, and `inOnePiece` more in pieces that smaller free ones do not make up for (tables, pages of
 * pairs, long texts), can be handed out without failing.
 */
export function hasHeap(bytes: u64, inOnePiece: u64 = 0): bool {
  const h = header();
  const fresh = u64(h.heapEnd - h.heapNext);
  if (fresh >= bytes + inOnePiece) return true;
  // Slabs and pages of series are cut from free extents too; of fresh memory a rest may be too small for either.
  return fresh >= inOnePiece && fresh + h.freeLargeBytes >= bytes + inOnePiece + SLAB_BYTES;
}

/** Bytes in use, what is free to be handed out again not counted. */
export function heapBytesUsed(): u64 {
  const h = header();
  return u64(h.heapNext - h.heapStart) - heapBytesFree();
}

/** Bytes that were touched and are free: cells, ids of pairs, blocks and extents. */
export function heapBytesFree(): u64 {
  const h = header();
  return u64(h.cellsFree) * CELL_BYTES + u64(h.pairsFree) * offsetof<Pair>() + h.freeBytes;
}

/** What allocating `cells` cells can take from the heap, free ones aside. */
export function heapBytesForCells(cells: u64): u64 {
  const free = u64(header().cellsFree);
  return cells <= free ? 0 : (cells - free) * CELL_BYTES + SLAB_BYTES;
}

/** A cell whose link is 0; its payload is undefined. */
export function allocateCell(): usize {
  const h = header();
  if (h.cellFree == 0) reclaimCells(1);
  let cell = h.cellFree;
  if (cell != 0) {
    h.cellFree = load<u32>(cell);
    h.cellsFree--;
    if (HAS_CANARIES) {
      for (let i: usize = 8; i < CELL_BYTES; i += 8) if (load<u64>(cell + i) != CANARY) unreachable();
    }
  } else {
    if (h.cellNext == h.cellEnd) {
      h.cellNext = u32(allocateExtent(SLAB_BYTES));
      h.cellEnd = h.cellNext + SLAB_BYTES;
    }
    cell = h.cellNext;
    h.cellNext = cell + CELL_BYTES;
  }
  store<u32>(cell, 0);
  return cell;
}

/** Links a chain into the free list. Nobody may be following it. */
function freeCells(first: usize, last: usize, cells: u32): void {
  const h = header();
  if (HAS_CANARIES) {
    for (let cell = first, i: u32 = 0; i < cells; i++, cell = load<u32>(cell)) {
      for (let at: usize = 8; at < CELL_BYTES; at += 8) store<u64>(cell + at, CANARY);
    }
  }
  store<u32>(last, h.cellFree);
  h.cellFree = u32(first);
  h.cellsFree += cells;
}

/** Entries in one cell of limbo. */
const LIMBO_PER_CELL: u32 = CELL_PAYLOAD / u32(offsetof<LimboEntry>());

@inline
function limboEntry(cell: usize, i: u32): LimboEntry {
  return changetype<LimboEntry>(cell + 4 + usize(i) * offsetof<LimboEntry>());
}

/**
 * Hands the chain of `cells` cells from `first` to `last` to limbo, after whatever published it no longer does. Their
 * links stay as they are, that of the last one too: it may lead on to cells that are still in use.
 */
export function retireCells(first: usize, last: usize, cells: u32): void {
  const h = header();
  const inCell = (h.limboFront + h.limboCount) % LIMBO_PER_CELL;
  if (inCell == 0) {
    const cell = allocateCell();
    if (h.limboFirstCell == 0) h.limboFirstCell = u32(cell);
    else store<u32>(h.limboLastCell, u32(cell));
    h.limboLastCell = u32(cell);
  }
  const entry = limboEntry(h.limboLastCell, inCell);
  entry.first = u32(first);
  entry.last = u32(last);
  entry.cells = u16(cells);
  entry.epoch = u16(h.epoch);
  h.limboCount++;
}

/**
 * Whether what was let go of in `epoch` (its low 16 bits) can be in no reader's hands any more. After 65,536 epochs the
 * answer may be "no" for two more: never a wrong "yes".
 */
@inline
export function hasPassed(epoch: u16): bool {
  const h = header();
  if (HAS_CANARIES && h.ignoreReaders != 0) return true;
  return u16(u16(h.epoch) - epoch) >= 2;
}

/** Frees what waits in limbo and may be freed, at most `entriesMax` chains. */
function reclaimCells(entriesMax: u32): void {
  const h = header();
  for (; entriesMax > 0 && h.limboCount != 0; entriesMax--) {
    const cell = usize(h.limboFirstCell);
    const entry = limboEntry(cell, h.limboFront);
    if (!hasPassed(entry.epoch)) return;
    h.cellsReclaimed += entry.cells;
    freeCells(entry.first, entry.last, entry.cells);
    h.limboFront++;
    h.limboCount--;
    if (h.limboFront != LIMBO_PER_CELL) continue;
    h.limboFront = 0;
    h.limboFirstCell = load<u32>(cell);
    // No reader ever saw it.
    freeCells(cell, cell, 1);
  }
}

/** Chains freed per request at most: some tens of microseconds. */
const RECLAIM_PER_REQUEST: u32 = 1024;
/** And so many blocks that no view can see any more. */
const FREE_PER_REQUEST: u32 = 256;

/** Advances the epoch if all pinned readers allow it, and frees what is due. Cheap; called once per request. */
export function advanceEpoch(): void {
  const h = header();
  const epoch = h.epoch;
  let isAllowed = true;
  for (let slot: u32 = 0; slot < READER_SLOTS; slot++) {
    const pinned = atomic.load<u32>(READERS + slot * READER_BYTES);
    if (pinned != 0 && pinned != epoch) isAllowed = false;
  }
  if (isAllowed) {
    // 0 would read as "not pinned": after the last epoch comes the next number whose low half continues the count.
    const next = epoch == 0xffff_ffff ? 0x1_0000 : epoch + 1;
    atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("epoch"), next);
  }
  reclaimCells(RECLAIM_PER_REQUEST);
  freeUnseen(FREE_PER_REQUEST);
}

/** A reader says that from here to `unpin` it may follow what is published now. */
export function pin(slot: u32): void {
  pinEpoch(READERS + slot * READER_BYTES, changetype<usize>(header()) + offsetof<Header>("epoch"));
}

export function unpin(slot: u32): void {
  atomic.store<u32>(READERS + slot * READER_BYTES, 0);
}
