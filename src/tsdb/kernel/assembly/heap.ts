/**
 * The heap of a head's memory: slabs, and in them cells (64 B, for chunks) and blocks (for labels, postings, tables).
 * Only the writer allocates and frees. Cells are recycled, blocks live as long as the memory.
 *
 * A reader may still be following what the writer lets go of, so chains of cells first wait in limbo, untouched: a
 * queue of who and when (LimboEntry), in cells of its own. The epoch advances when every pinned reader has pinned the
 * present one; what was let go of two epochs ago can then be in nobody's hands. Readers take no locks and hold nothing
 * up for longer than one batch (pin, copy, unpin).
 */
import {
  BLOCK_BYTES_MAX,
  CELL_BYTES,
  CELL_PAYLOAD,
  Header,
  header,
  LimboEntry,
  READER_BYTES,
  READER_SLOTS,
  READERS,
  SLAB_BYTES,
} from "./layout";

/** In the debug build a free cell's payload is filled with this, and checked when the cell is handed out again. */
export const HAS_CANARIES: bool = ASC_OPTIMIZE_LEVEL < 3;
const CANARY: u64 = 0xfeed_dead_cafe_beef;

/** Whether `bytes` more can be handed out without failing. */
export function hasHeap(bytes: u64): bool {
  const h = header();
  return u64(h.heapNext) + bytes <= u64(h.heapEnd);
}

/** Bytes in use, free cells not counted. */
export function heapBytesUsed(): u64 {
  const h = header();
  return u64(h.heapNext - h.heapStart) - u64(h.cellsFree) * CELL_BYTES;
}

/** Fresh memory, zero, 64-byte aligned, never returned. The caller has made sure that there is room (hasHeap). */
export function allocateExtent(bytes: u32): usize {
  const h = header();
  bytes = (bytes + 63) & ~63;
  if (!hasHeap(bytes)) unreachable();
  const address = h.heapNext;
  h.heapNext = address + bytes;
  return address;
}

/** A block of at least `bytes`, zero, 8-byte aligned, never returned. */
export function allocateBlock(bytes: u32): usize {
  const h = header();
  bytes = (bytes + 7) & ~7;
  if (bytes > BLOCK_BYTES_MAX) return allocateExtent(bytes);
  if (h.slabEnd - h.slabNext < bytes) {
    h.slabNext = u32(allocateExtent(SLAB_BYTES));
    h.slabEnd = h.slabNext + SLAB_BYTES;
  }
  const block = h.slabNext;
  h.slabNext = block + bytes;
  return block;
}

/** What allocating `bytes` in `blocks` blocks can take from the heap, rests of slabs included. */
export function heapBytesForBlocks(bytes: u64, blocks: u64): u64 {
  const rounded = bytes + blocks * 64;
  return rounded + rounded / (SLAB_BYTES / BLOCK_BYTES_MAX - 1) + SLAB_BYTES;
}

/** What allocating `cells` cells can take from the heap. */
export function heapBytesForCells(cells: u64): u64 {
  return cells * CELL_BYTES + SLAB_BYTES;
}

/** A cell whose link is 0; its payload is undefined. */
export function allocateCell(): usize {
  const h = header();
  h.cellsUsed++;
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
  h.cellsUsed -= cells;
  const inCell = (h.limboFront + h.limboCount) % LIMBO_PER_CELL;
  if (inCell == 0) {
    const cell = allocateCell();
    h.cellsUsed--;
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
}

/** A reader says that from here to `unpin` it may follow what is published now. */
export function pin(slot: u32): void {
  const address = READERS + slot * READER_BYTES;
  const epochAddress = changetype<usize>(header()) + offsetof<Header>("epoch");
  let epoch = atomic.load<u32>(epochAddress);
  while (true) {
    atomic.store<u32>(address, epoch);
    // The writer may have advanced between the load and the store without seeing the pin: pin what is true now.
    const now = atomic.load<u32>(epochAddress);
    if (now == epoch) return;
    epoch = now;
  }
}

export function unpin(slot: u32): void {
  atomic.store<u32>(READERS + slot * READER_BYTES, 0);
}
