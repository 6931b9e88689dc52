/**
 * Memory in pieces: extents (powers of two from 4 KiB on: pages of series, tables, slabs, long texts) and, in slabs,
 * blocks up to 4 KiB (label texts, pair ids of series, postings). What comes back goes to a list of its size and is
 * handed out again; a piece that is missing is cut from a larger free one before fresh memory is touched. Neighbours
 * are never joined: sizes repeat, so what was cut once is needed in that size again.
 *
 * Only the writer calls these functions. A piece may be freed when no reader can be following it (views.ts).
 */
import { BLOCK_BYTES_MAX, FREE_BLOCKS, FREE_EXTENTS, header, SLAB_BYTES } from "./layout";

/** In the debug build a free block or cell is filled with this behind its link, and checked when it is handed out. */
export const HAS_CANARIES: bool = ASC_OPTIMIZE_LEVEL < 3;
export const CANARY: u64 = 0xfeed_dead_cafe_beef;

const EXTENT_BYTES_MIN: u32 = 4096;
/** Free extents of this size or more count as room (hasHeap): slabs and pages of series can be cut from them. */
const LARGE_LOG2: u32 = 16;

/** The power of two that an extent of `bytes` takes, as its logarithm. */
@inline
function extentLog2(bytes: u32): u32 {
  return 32 - u32(clz(max(bytes, EXTENT_BYTES_MIN) - 1));
}

/** Zero memory that is never given back, 64-byte aligned. The caller has made sure that there is room (hasHeap). */
export function allocateFresh(bytes: u32): usize {
  const h = header();
  bytes = (bytes + 63) & ~63;
  if (u64(h.heapNext) + bytes > u64(h.heapEnd)) unreachable();
  const address = h.heapNext;
  h.heapNext = address + bytes;
  return address;
}

/** At least `bytes` of zero memory, 64-byte aligned. The caller has made sure that there is room (hasHeap). */
export function allocateExtent(bytes: u32): usize {
  const wanted = extentLog2(bytes);
  let log2 = wanted;
  while (log2 < 32 && load<u32>(FREE_EXTENTS + (usize(log2) << 2)) == 0) log2++;
  if (log2 == 32) return allocateFresh(1 << wanted);
  const extent = popExtent(log2);
  // The upper halves of what is too large go back.
  while (log2 > wanted) {
    log2--;
    pushExtent(extent + (usize(1) << log2), log2);
  }
  return extent;
}

/** Takes back an extent that was asked for with `bytes`; all of it is zero again. */
export function freeExtent(address: usize, bytes: u32): void {
  pushExtent(address, extentLog2(bytes));
}

/** What allocateExtent takes for `bytes`. */
export function extentBytes(bytes: u32): u32 {
  return 1 << extentLog2(bytes);
}

function pushExtent(address: usize, log2: u32): void {
  const h = header();
  const head = FREE_EXTENTS + (usize(log2) << 2);
  store<u32>(address, load<u32>(head));
  store<u32>(head, u32(address));
  h.freeBytes += u64(1) << log2;
  if (log2 >= LARGE_LOG2) h.freeLargeBytes += u64(1) << log2;
}

function popExtent(log2: u32): usize {
  const h = header();
  const head = FREE_EXTENTS + (usize(log2) << 2);
  const address = usize(load<u32>(head));
  store<u32>(head, load<u32>(address));
  store<u32>(address, 0);
  h.freeBytes -= u64(1) << log2;
  if (log2 >= LARGE_LOG2) h.freeLargeBytes -= u64(1) << log2;
  if (HAS_CANARIES) {
    for (let at = address, end = address + (usize(1) << log2); at < end; at += 8) if (load<u64>(at) != 0) unreachable();
  }
  return address;
}

/**
 * Sizes of blocks: multiples of 8 up to 128, from there on eight to each doubling. Few enough that sizes which come up
 * after a change of habits find something to be cut from, close enough that an eighth at most is lost.
 */
const SMALL_CLASSES: u32 = 16;
const BLOCK_CLASSES: u32 = SMALL_CLASSES + 5 * 8;

@inline
function classOf(bytes: u32): u32 {
  if (bytes <= 128) return (max<u32>(bytes, 1) - 1) >> 3;
  const log2 = 31 - u32(clz(bytes - 1));
  return SMALL_CLASSES + ((log2 - 7) << 3) + (((bytes - 1) >> (log2 - 3)) & 7);
}
@inline
function classBytes(sizeClass: u32): u32 {
  if (sizeClass < SMALL_CLASSES) return (sizeClass + 1) << 3;
  const i = sizeClass - SMALL_CLASSES;
  return ((i & 7) + 9) << ((i >> 3) + 4);
}

/** A block of at least `bytes`, 8-byte aligned, its content undefined. The caller has made sure of room (hasHeap). */
export function allocateBlock(bytes: u32): usize {
  if (bytes > BLOCK_BYTES_MAX) return allocateExtent(bytes);
  const h = header();
  const sizeClass = classOf(bytes);
  const block = popBlock(sizeClass);
  if (block != 0) return block;
  const size = classBytes(sizeClass);
  if (h.slabEnd - h.slabNext < size) {
    const cut = cutBlock(size);
    if (cut != 0) return cut;
    freePieces(h.slabNext, h.slabEnd - h.slabNext);
    h.slabNext = u32(allocateExtent(SLAB_BYTES));
    h.slabEnd = h.slabNext + SLAB_BYTES;
  }
  const address = h.slabNext;
  h.slabNext = address + size;
  return address;
}

/** Takes back a block that was asked for with `bytes`, up to BLOCK_BYTES_MAX. */
export function freeBlock(address: usize, bytes: u32): void {
  pushBlock(address, classOf(bytes));
}

function pushBlock(address: usize, sizeClass: u32): void {
  const size = classBytes(sizeClass);
  if (HAS_CANARIES) for (let at: usize = 8; at < size; at += 8) store<u64>(address + at, CANARY);
  const head = FREE_BLOCKS + (usize(sizeClass) << 2);
  store<u32>(address, load<u32>(head));
  store<u32>(head, u32(address));
  header().freeBytes += size;
}

/** A free block of the class, or 0. */
function popBlock(sizeClass: u32): usize {
  const head = FREE_BLOCKS + (usize(sizeClass) << 2);
  const block = usize(load<u32>(head));
  if (block == 0) return 0;
  store<u32>(head, load<u32>(block));
  const size = classBytes(sizeClass);
  header().freeBytes -= size;
  if (HAS_CANARIES) for (let at: usize = 8; at < size; at += 8) if (load<u64>(block + at) != CANARY) unreachable();
  return block;
}

/** Cuts a block off a free one that is at least twice its size: what is left is good for something. Or 0. */
function cutBlock(size: u32): usize {
  if (size > BLOCK_BYTES_MAX / 2) return 0;
  for (let sizeClass = classOf(size * 2); sizeClass < BLOCK_CLASSES; sizeClass++) {
    const block = popBlock(sizeClass);
    if (block == 0) continue;
    freePieces(u32(block) + size, classBytes(sizeClass) - size);
    return block;
  }
  return 0;
}

/** Frees a stretch of `bytes`, a multiple of 8, in the largest blocks that fit. */
function freePieces(address: u32, bytes: u32): void {
  while (bytes != 0) {
    let sizeClass = classOf(min(bytes, BLOCK_BYTES_MAX));
    if (classBytes(sizeClass) > bytes) sizeClass--;
    pushBlock(address, sizeClass);
    address += classBytes(sizeClass);
    bytes -= classBytes(sizeClass);
  }
}

/** What allocating `bytes` in `blocks` blocks can take from the heap: sizes rounded up, rests of slabs included. */
export function heapBytesForBlocks(bytes: u64, blocks: u64): u64 {
  const rounded = bytes * 2 + blocks * 64;
  return rounded + rounded / (SLAB_BYTES / BLOCK_BYTES_MAX - 1) + SLAB_BYTES;
}
