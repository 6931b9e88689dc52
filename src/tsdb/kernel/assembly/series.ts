/**
 * Series: a hot and a cold cache line each, in pages that never move, found by the 128-bit hash of their canonical
 * labels. Refs count up and are never reused, over restarts too: the WAL and the head chunk files name series by ref.
 */
import {
  FLAG_UNDECLARED,
  header,
  Header,
  SCRATCH_PAIRS,
  SERIES_PAGE_BITS,
  SERIES_PAGES_MAX,
  SERIES_PER_PAGE,
  SeriesCold,
  SeriesHot,
  Table,
  TABLE_SERIES,
} from "./layout";
import { allocateExtent, heapBytesForBlocks } from "./blocks";
import { hasHeap, heapBytesUsed } from "./heap";
import { countPairs, hasIdsForPairs, heapBytesForPairs, internPairs, keepPairs } from "./labels";
import { appendPosting, heapBytesForPostings, pairOf } from "./postings";
import { isSlotOf, slotId, tableBytesToInsert, tableInsert, tableRoot, tableSlot } from "./table";

const LINE: u32 = 64;
/** A page: the hot lines of its series, then their cold lines. */
export const SERIES_PAGE_BYTES: u32 = SERIES_PER_PAGE * LINE * 2;
/** Refs that there can be. */
export const REFS_MAX: u64 = u64(SERIES_PAGES_MAX) * SERIES_PER_PAGE;
/** Memory that new series leave alone, so that known ones can go on. */
const KNOWN_SERIES_BYTES: u64 = 128 << 20;

@inline
export function hotOf(ref: u32): SeriesHot {
  const page = load<u32>(usize(header().seriesDirectory) + (usize(ref >> SERIES_PAGE_BITS) << 2));
  return changetype<SeriesHot>(usize(page) + usize(ref & (SERIES_PER_PAGE - 1)) * LINE);
}
@inline
export function coldOf(ref: u32): SeriesCold {
  const page = load<u32>(usize(header().seriesDirectory) + (usize(ref >> SERIES_PAGE_BITS) << 2));
  return changetype<SeriesCold>(usize(page) + SERIES_PER_PAGE * LINE + usize(ref & (SERIES_PER_PAGE - 1)) * LINE);
}

/** Whether the page of `ref` exists. */
@inline
export function hasPage(ref: u32): bool {
  return load<u32>(usize(header().seriesDirectory) + (usize(ref >> SERIES_PAGE_BITS) << 2)) != 0;
}

/** Whether one of `count` refs from `first`, which begins a page, may be a series. For readers too. */
export function hasPages(first: u32, count: u32): bool {
  const directory = usize(header().seriesDirectory);
  const end = u64(first) + count;
  for (let ref = u64(first); ref < end; ref += SERIES_PER_PAGE) {
    if (load<u32>(directory + (usize(ref >> SERIES_PAGE_BITS) << 2)) != 0) return true;
  }
  return false;
}

/** Whether `ref` is a series: it has labels, and has not been collected. For readers too: a page may go away. */
@inline
export function isInUse(ref: u32): bool {
  const page = atomic.load<u32>(usize(header().seriesDirectory) + (usize(ref >> SERIES_PAGE_BITS) << 2));
  if (page == 0) return false;
  const hot = changetype<SeriesHot>(usize(page) + usize(ref & (SERIES_PER_PAGE - 1)) * LINE);
  return (hot.hashLow | hot.hashHigh) != 0;
}

/** The ref of a known series + 1, or 0. */
@inline
export function findSeries(hashLow: u64, hashHigh: u64): u32 {
  const hash = u32(hashLow);
  const root = tableRoot(changetype<Table>(TABLE_SERIES));
  for (let at = hash, slot = tableSlot(root, at); slot != 0; slot = tableSlot(root, ++at)) {
    if (!isSlotOf(slot, hash)) continue;
    const hot = hotOf(slotId(slot));
    if (hot.hashLow == hashLow && hot.hashHigh == hashHigh) return slotId(slot) + 1;
  }
  return 0;
}

/** Whether there are ids and memory for one more series with these labels, and `spareBytes` besides. */
export function canCreateSeries(canonical: usize, bytes: u32, refNext: u32, spareBytes: u64): bool {
  const pairs = countPairs(canonical, bytes);
  const need =
    u64(SERIES_PAGE_BYTES) + heapBytesForBlocks(pairs << 2, 1) + heapBytesForBlocks(bytes, pairs * 2) +
    heapBytesForPostings(pairs) + spareBytes;
  const inOnePiece = heapBytesForPairs(pairs, bytes) + tableBytesToInsert(changetype<Table>(TABLE_SERIES), 1);
  return u64(refNext) <= REFS_MAX && hasIdsForPairs(pairs) && hasHeap(need, inOnePiece);
}

/** Whether the head may take one more series with these labels: the memory limit holds for new series only. */
export function hasRoomForSeries(canonical: usize, bytes: u32): bool {
  const h = header();
  return heapBytesUsed() < h.memoryBytesMax && canCreateSeries(canonical, bytes, h.seriesNext + 1, KNOWN_SERIES_BYTES);
}

/** Makes sure that `ref` has its lines, so that what names it first (WAL, chunk file) can fill them. */
export function ensurePage(ref: u32): void {
  const slot = usize(header().seriesDirectory) + (usize(ref >> SERIES_PAGE_BITS) << 2);
  if (load<u32>(slot) == 0) store<u32>(slot, u32(allocateExtent(SERIES_PAGE_BYTES)));
}

/** Lets readers see `ref`, which is complete. */
export function publishRef(ref: u32): void {
  const h = header();
  if (ref >= h.seriesNext) {
    atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("seriesNext"), ref + 1);
  }
}

/**
 * Gives `ref` its labels and makes it findable. The ref is published last: readers look only at refs below the count
 * they began with, so they find a series under all of its pairs or not at all.
 */
export function createSeries(ref: u32, canonical: usize, bytes: u32, hashLow: u64, hashHigh: u64): void {
  const h = header();
  ensurePage(ref);
  const hot = hotOf(ref);
  const cold = coldOf(ref);
  const ids = usize(h.scratch) + SCRATCH_PAIRS;
  const count = internPairs(canonical, bytes, ids);
  cold.pairs = u32(keepPairs(ids, count));
  cold.pairCount = u16(count);
  if ((hot.flags & FLAG_UNDECLARED) == 0) hot.lastTimestampMs = i64.MIN_VALUE;
  hot.flags &= ~FLAG_UNDECLARED;
  hot.hashLow = hashLow;
  hot.hashHigh = hashHigh;
  tableInsert(changetype<Table>(TABLE_SERIES), u32(hashLow), ref);
  for (let i: u32 = 0; i < count; i++) appendPosting(pairOf(load<u32>(ids + (usize(i) << 2))), ref);
  h.seriesCount++;
  h.seriesCreated++;
  publishRef(ref);
}
