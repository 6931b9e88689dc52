/**
 * Series: a hot and a cold cache line each, in pages that never move, found by the 128-bit hash of their canonical
 * labels. Refs count up and are never reused, over restarts too: the WAL and the head chunk files name series by ref.
 */
import {
  FLAG_UNDECLARED,
  header,
  Header,
  NAMES_MAX,
  PAIR_PAGES_MAX,
  PAIRS_PER_PAGE,
  SERIES_PAGE_BITS,
  SERIES_PAGES_MAX,
  SERIES_PER_PAGE,
  SeriesCold,
  SeriesHot,
  Table,
  TABLE_SERIES,
} from "./layout";
import { allocateExtent, heapBytesLeft, heapBytesUsed } from "./heap";
import { internPairs, keepPairs } from "./labels";
import { appendPosting, pairOf } from "./postings";
import { probe, tableInsert } from "./table";

const LINE: u32 = 64;
/** Address space that is left alone, so that known series can go on when new ones are refused. */
const HEAP_RESERVE_BYTES: u64 = 128 << 20;

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

/** The ref of a known series + 1, or 0. */
@inline
export function findSeries(hashLow: u64, hashHigh: u64): u32 {
  const table = changetype<Table>(TABLE_SERIES);
  const hash = u32(hashLow);
  for (let found = probe(table, hash, 0); u32(found) != 0; found = probe(table, hash, u32(found >> 32))) {
    const hot = hotOf(u32(found) - 1);
    if (hot.hashLow == hashLow && hot.hashHigh == hashHigh) return u32(found);
  }
  return 0;
}

/** Whether one more series may be created. */
export function hasRoomForSeries(): bool {
  const h = header();
  return (
    heapBytesUsed() < h.memoryBytesMax &&
    heapBytesLeft() > HEAP_RESERVE_BYTES &&
    h.seriesNext < SERIES_PAGES_MAX * SERIES_PER_PAGE &&
    h.pairNext + 1024 < PAIR_PAGES_MAX * PAIRS_PER_PAGE &&
    h.nameNext + 1024 < NAMES_MAX
  );
}

/** Makes sure that `ref` has its lines, so that what names it first (WAL, chunk file) can fill them. */
export function reserveRef(ref: u32): void {
  const h = header();
  const slot = usize(h.seriesDirectory) + (usize(ref >> SERIES_PAGE_BITS) << 2);
  if (load<u32>(slot) == 0) store<u32>(slot, u32(allocateExtent(SERIES_PER_PAGE * LINE * 2)));
  if (ref >= h.seriesNext) {
    atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("seriesNext"), ref + 1);
  }
}

/**
 * Gives `ref` its labels and makes it findable. Postings are published last: a reader that finds the series finds all of
 * it.
 */
export function createSeries(ref: u32, canonical: usize, bytes: u32, hashLow: u64, hashHigh: u64): void {
  const h = header();
  reserveRef(ref);
  const hot = hotOf(ref);
  const cold = coldOf(ref);
  const ids = usize(h.chunkScratch) + 256;
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
}
