/** Dropping what is in blocks, or older than the retention: in slices, so that the main thread is never held up. */
import { header } from "./layout";
import { dropEntries, dropOpen, oldestInOrder } from "./chunk";
import { heapBytesForCells, hasHeap } from "./heap";
import { dropLate, lowSequence } from "./late";
import { coldOf, hasPage, hotOf } from "./series";

/**
 * Takes full chunks that end before `before` from the lists of `count` refs from `first` on, and open ones that nothing
 * newer was added to; of records up to `sequence` the late samples before then, and deletes of nothing newer.
 * @param sequence infinite: of all records
 * @returns how many of these were dropped; of one series so many that it takes little time
 */
export function dropChunks(first: u32, count: u32, before: f64, sequence: f64): u32 {
  const h = header();
  const refs = min<u32>(count, max(h.seriesNext, first) - first);
  // What is let go of is noted in cells of limbo.
  if (!hasHeap(heapBytesForCells(u64(refs) * 3))) return 0;
  const limit = lowSequence(sequence);
  let dropped: u32 = 0;
  for (let ref = first; ref < first + refs; ref++) {
    if (!hasPage(ref)) continue;
    const cold = coldOf(ref);
    dropped += dropEntries(cold, before);
    if (dropOpen(hotOf(ref), before)) dropped++;
    if (cold.late != 0) dropped += dropLate(cold, before, limit, oldestInOrder(hotOf(ref), cold));
  }
  if (dropped != 0) h.emptiedSequence = h.walSequence;
  return dropped;
}
