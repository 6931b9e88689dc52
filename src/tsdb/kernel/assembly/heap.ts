/**
 * The heap of a head's memory: slabs, and in them cells (64 B, for chunks) and blocks (8 B classes, for labels, postings,
 * tables). Only the writer allocates and frees.
 *
 * A reader may still be following what the writer frees, so a freed cell chain first goes to limbo: three lists, one per
 * epoch modulo 3. The epoch advances when every pinned reader has pinned the present one; what was freed two epochs ago
 * can then be in nobody's hands and is handed out again. Readers take no locks and hold nothing up for longer than one
 * batch (pin, copy, unpin).
 *
 * A chain in limbo keeps its links; only its last cell's link is changed, to the next chain of the list. That is safe
 * because readers count the cells they follow instead of looking for the end.
 */
import {
  BLOCK_BYTES_MAX,
  BLOCK_FREE,
  CELL_BYTES,
  Header,
  header,
  READER_BYTES,
  READER_SLOTS,
  READERS,
  SLAB_BYTES,
} from "./layout";

/** In the debug build a free cell's payload is filled with this, and checked when the cell is handed out again. */
const HAS_CANARIES: bool = ASC_OPTIMIZE_LEVEL < 3;
const CANARY: u64 = 0xfeed_dead_cafe_beef;

/** Makes sure that `bytes` more can be handed out without failing; false when the memory cannot grow that far. */
export function reserveHeap(bytes: u64): bool {
  const h = header();
  const need = u64(h.heapNext) + bytes;
  if (need <= u64(h.heapEnd)) return true;
  if (need > 0xffff_0000) return false;
  // In steps of 4 MiB: growing costs microseconds, and address space that is not touched costs nothing.
  const target = min<u64>(0xffff_0000, (need + 0x3f_ffff) & ~u64(0x3f_ffff));
  const pages = i32((target - u64(h.heapEnd) + 65535) >> 16);
  if (memory.grow(pages) < 0) return false;
  h.heapEnd = u32(u64(h.heapEnd) + (u64(pages) << 16));
  return true;
}

/** Bytes that can still be handed out, address space that is not yet committed included. */
export function heapBytesLeft(): u64 {
  return 0xffff_0000 - u64(header().heapNext);
}

/** Bytes in use, free cells not counted. */
export function heapBytesUsed(): u64 {
  const h = header();
  return u64(h.heapNext - h.heapStart) - u64(h.cellsFree) * CELL_BYTES;
}

/** Fresh memory, zero, 64-byte aligned, never returned. The caller has made sure that there is room (reserveHeap). */
export function allocateExtent(bytes: u32): usize {
  const h = header();
  bytes = (bytes + 63) & ~63;
  if (!reserveHeap(bytes)) unreachable();
  const address = h.heapNext;
  h.heapNext = address + bytes;
  return address;
}

@inline
function blockClass(bytes: u32): usize {
  return BLOCK_FREE + (usize((bytes + 7) >> 3) << 2);
}

/** A block of at least `bytes`, 8-byte aligned, contents undefined. */
export function allocateBlock(bytes: u32): usize {
  const h = header();
  bytes = (bytes + 7) & ~7;
  if (bytes > BLOCK_BYTES_MAX) return allocateExtent(bytes);
  const free = blockClass(bytes);
  const address = load<u32>(free);
  if (address != 0) {
    store<u32>(free, load<u32>(address));
    return address;
  }
  if (h.slabEnd - h.slabNext < bytes) {
    h.slabNext = u32(allocateExtent(SLAB_BYTES));
    h.slabEnd = h.slabNext + SLAB_BYTES;
  }
  const fresh = h.slabNext;
  h.slabNext = fresh + bytes;
  return fresh;
}

/** Gives a block back at once: for what no reader can have seen. Extents are not reused. */
export function freeBlock(address: usize, bytes: u32): void {
  bytes = (bytes + 7) & ~7;
  if (bytes > BLOCK_BYTES_MAX) return;
  const free = blockClass(bytes);
  store<u32>(address, load<u32>(free));
  store<u32>(free, u32(address));
}

/** A cell whose link is 0; its payload is undefined. */
export function allocateCell(): usize {
  const h = header();
  h.cellsUsed++;
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

/** Hands a chain of `cells` cells to limbo, after whatever published it no longer does. */
export function retireCells(first: usize, last: usize, cells: u32): void {
  const h = header();
  const list = h.epoch % 3;
  const headAddress = offsetof<HeaderLimbo>("head0") + (list << 2);
  const tailAddress = offsetof<HeaderLimbo>("tail0") + (list << 2);
  const countAddress = offsetof<HeaderLimbo>("count0") + (list << 2);
  const limbo = changetype<usize>(h) + LIMBO;
  const head = load<u32>(limbo + headAddress);
  if (head == 0) store<u32>(limbo + tailAddress, u32(last));
  else store<u32>(last, head);
  store<u32>(limbo + headAddress, u32(first));
  store<u32>(limbo + countAddress, load<u32>(limbo + countAddress) + cells);
  h.cellsUsed -= cells;
}

/** The limbo fields of Header as they lie there, so that a list can be picked by number. */
@unmanaged
class HeaderLimbo {
  head0: u32;
  head1: u32;
  head2: u32;
  tail0: u32;
  tail1: u32;
  tail2: u32;
  count0: u32;
  count1: u32;
  count2: u32;
}
const LIMBO: usize = offsetof<Header>("limboHead0");

/**
 * Advances the epoch if all pinned readers allow it, and frees what two advances have made unreachable. Cheap; called
 * once per request.
 */
export function advanceEpoch(): void {
  const h = header();
  const epoch = h.epoch;
  if ((h.limboCount0 | h.limboCount1 | h.limboCount2) == 0) return;
  for (let slot: u32 = 0; slot < READER_SLOTS; slot++) {
    const pinned = atomic.load<u32>(READERS + slot * READER_BYTES);
    if (pinned != 0 && pinned != epoch) return;
  }
  const next = epoch + 1;
  // Epoch 0 would read as "not pinned"; 2^32 advances are years away, and three more keep the modulus in step.
  atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("epoch"), next == 0 ? 3 : next);
  const list = (next == 0 ? 3 : next) % 3;
  const limbo = changetype<usize>(h) + LIMBO;
  const head = load<u32>(limbo + offsetof<HeaderLimbo>("head0") + (list << 2));
  if (head == 0) return;
  const tail = load<u32>(limbo + offsetof<HeaderLimbo>("tail0") + (list << 2));
  const count = load<u32>(limbo + offsetof<HeaderLimbo>("count0") + (list << 2));
  store<u32>(tail, 0);
  if (HAS_CANARIES) {
    for (let cell: usize = head, i: u32 = 0; i < count; i++, cell = load<u32>(cell)) {
      for (let at: usize = 8; at < CELL_BYTES; at += 8) store<u64>(cell + at, CANARY);
    }
  }
  store<u32>(tail, h.cellFree);
  h.cellFree = head;
  h.cellsFree += count;
  store<u32>(limbo + offsetof<HeaderLimbo>("head0") + (list << 2), 0);
  store<u32>(limbo + offsetof<HeaderLimbo>("tail0") + (list << 2), 0);
  store<u32>(limbo + offsetof<HeaderLimbo>("count0") + (list << 2), 0);
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

