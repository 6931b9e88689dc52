/**
 * Postings: for each label pair the refs of the series that have it, as delta varints in a chain of blocks. Refs rise
 * while series are created; replay may declare them in another order, then a delta wraps around (modulo 2^32).
 *   block: next u32 | usedBytes u16 | capacityBytes u16 | varints...
 * A varint never crosses blocks. The writer appends bytes, then publishes Pair.postings, first block and count in one
 * word; a reader decodes exactly the count it loaded. A pair of one series owns 16 bytes; blocks double up to 4 KiB.
 *
 * Series that are gone leave their refs behind: readers know them by their lines. When they are many, the postings are
 * written anew without them and published as a whole (collect.ts).
 */
import { header, Pair, PAIR_GONE, PAIR_PAGE_BITS, PAIRS_PER_PAGE, PAIR_PAGES_MAX } from "./layout";
import { allocateBlock, allocateFresh, freeBlock, heapBytesForBlocks } from "./blocks";
import { putVarint, varintBytes } from "./varint";

export const BLOCK_HEADER: u32 = 8;
const FIRST_BLOCK_BYTES: u32 = 16;
const LAST_BLOCK_BYTES: u32 = 4096;

export const PAIR_PAGE_BYTES: u32 = PAIRS_PER_PAGE * u32(offsetof<Pair>());

/** Address of a pair; pairs lie in pages and never move. */
@inline
export function pairOf(id: u32): Pair {
  const page = load<u32>(usize(header().pairDirectory) + (usize(id >> PAIR_PAGE_BITS) << 2));
  return changetype<Pair>(usize(page) + usize(id & (PAIRS_PER_PAGE - 1)) * offsetof<Pair>());
}

/**
 * Makes sure that the page of the next free pair exists, zero. Readers see the pair once a name's list or a slot has
 * it.
 */
export function addPairPage(id: u32): void {
  if ((id & (PAIRS_PER_PAGE - 1)) != 0) return;
  if (id >> PAIR_PAGE_BITS >= PAIR_PAGES_MAX) unreachable();
  const page = allocateFresh(PAIR_PAGE_BYTES);
  store<u32>(usize(header().pairDirectory) + (usize(id >> PAIR_PAGE_BITS) << 2), u32(page));
}

/** Memory that appending one posting to each of `pairs` pairs may take. */
export function heapBytesForPostings(pairs: u32): u64 {
  return heapBytesForBlocks(u64(pairs) * LAST_BLOCK_BYTES, pairs);
}

/** Of Pair.postings. */
@inline
export function postingsFirst(word: u64): usize {
  return usize(u32(word));
}
@inline
export function postingsCount(word: u64): u32 {
  return u32(word >> 32);
}
@inline
export function loadPostings(pair: Pair): u64 {
  return atomic.load<u64>(changetype<usize>(pair) + offsetof<Pair>("postings"));
}
@inline
export function publishPostings(pair: Pair, first: usize, count: u32): void {
  atomic.store<u64>(changetype<usize>(pair) + offsetof<Pair>("postings"), u64(first) | (u64(count) << 32));
}

export function appendPosting(pair: Pair, ref: u32): void {
  const word = pair.postings;
  let first = postingsFirst(word);
  const delta = word == 0 ? ref : ref - pair.lastRef;
  const bytes = varintBytes(delta);
  let block: usize = word == 0 ? 0 : usize(pair.lastBlock);
  let used: u32 = block == 0 ? 0 : load<u16>(block, 4);
  let capacity: u32 = block == 0 ? 0 : load<u16>(block, 6);
  if (used + bytes > capacity) {
    const size = block == 0 ? FIRST_BLOCK_BYTES : min<u32>(LAST_BLOCK_BYTES, (capacity + BLOCK_HEADER) << 1);
    const fresh = allocateBlock(size);
    capacity = size - BLOCK_HEADER;
    store<u32>(fresh, 0);
    store<u16>(fresh, 0, 4);
    store<u16>(fresh, u16(capacity), 6);
    if (block == 0) first = fresh;
    else store<u32>(block, u32(fresh));
    pair.lastBlock = u32(fresh);
    block = fresh;
    used = 0;
  }
  putVarint(block + BLOCK_HEADER + used, delta);
  store<u16>(block, u16(used + bytes), 4);
  pair.lastRef = ref;
  publishPostings(pair, first, postingsCount(word) + 1);
}

/** Sets the bit of each posting in [base, base + bits) in a bitmap. */
export function markPostings(pair: Pair, bitmap: usize, base: u32, bits: u32): void {
  const word = loadPostings(pair);
  let left = postingsCount(word);
  let block = postingsFirst(word);
  let at = block + BLOCK_HEADER;
  let end = at + load<u16>(block, 4);
  let ref: u32 = 0;
  while (left != 0) {
    if (at == end) {
      // The block may have been filled further since its use was read; only when it was not is the next one due.
      end = block + BLOCK_HEADER + load<u16>(block, 4);
      if (at == end) {
        block = load<u32>(block);
        at = block + BLOCK_HEADER;
        end = at + load<u16>(block, 4);
      }
    }
    let byte = u32(load<u8>(at++));
    let delta = byte & 127;
    for (let shift: u32 = 7; byte > 127; shift += 7) {
      byte = load<u8>(at++);
      delta |= (byte & 127) << shift;
    }
    ref += delta;
    left--;
    const bit = ref - base;
    if (bit >= bits) continue;
    const word = bitmap + (usize(bit >> 6) << 3);
    store<u64>(word, load<u64>(word) | (u64(1) << (bit & 63)));
  }
}

/** Frees a block of postings that nobody can see. @returns the next one of its chain, 0 behind the last */
export function freePostingBlock(block: usize): u32 {
  const next = load<u32>(block);
  freeBlock(block, BLOCK_HEADER + load<u16>(block, 6));
  return next;
}

/** Makes the id of a pair that nobody can see free for another; its text was freed. */
export function freePair(id: u32): void {
  const h = header();
  const pair = pairOf(id);
  // No segment of the log has the next pair of this id as a symbol.
  memory.fill(changetype<usize>(pair), 0, offsetof<Pair>());
  pair.gone = PAIR_GONE;
  pair.nextOfName = h.pairFree;
  h.pairFree = id + 1;
  h.pairsFree++;
  h.pairsGone--;
}
