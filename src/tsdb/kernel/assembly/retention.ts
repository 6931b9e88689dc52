/** Dropping what is older than the retention: in slices, so that the main thread is never held up. */
import { header } from "./layout";
import { dropEntries, dropOpen } from "./chunk";
import { heapBytesForCells, hasHeap } from "./heap";
import { coldOf, hasPage, hotOf } from "./series";

/**
 * Takes full chunks that end before `before` from the lists of `count` refs from `first` on, and open ones that nothing
 * newer was added to.
 * @returns chunks dropped
 */
export function dropChunks(first: u32, count: u32, before: f64): u32 {
  const refs = min<u32>(count, max(header().seriesNext, first) - first);
  // What is let go of is noted in cells of limbo.
  if (!hasHeap(heapBytesForCells(u64(refs) * 2))) return 0;
  let dropped: u32 = 0;
  for (let ref = first; ref < first + refs; ref++) {
    if (!hasPage(ref)) continue;
    dropped += dropEntries(coldOf(ref), before);
    if (dropOpen(hotOf(ref), before)) dropped++;
  }
  return dropped;
}
