/**
 * Deleting in the head: a range of time of a series is noted down beside its late samples (late.ts), and whoever reads
 * leaves out what lies in it. It hides in-order samples whenever they came, so it ends at the series' newest sample;
 * late samples it hides if they came before it. What is sent again later is late, and there again.
 */
import { header } from "./layout";
import { oldestInOrder } from "./chunk";
import { advanceEpoch, hasHeap, heapBytesForCells } from "./heap";
import { addRow, deletesOf, ensureLate, hasLateRows, lateOf } from "./late";
import { coldOf, hotOf, isInUse } from "./series";
import { beginRecord, encodeDelete, endRecord, hasRoomForRecord, keepPending, RECORD_DELETES } from "./wal";

const DELETE_OVERLOADED: i32 = -1;

/**
 * Deletes [mint, maxt] of the first `count` refs at the seriesRows region, under one sequence.
 * @returns of how many series there was anything to delete, or DELETE_OVERLOADED when nothing was done
 */
export function deleteSamples(count: u32, mint: f64, maxt: f64): i32 {
  const h = header();
  advanceEpoch();
  // Rows of deletes are as long as two samples at most; a line and a cell for each series.
  if (!hasHeap(heapBytesForCells(u64(count) * 2))) return DELETE_OVERLOADED;
  if (h.walEnabled != 0) {
    if (!hasRoomForRecord(0, count * 2)) return DELETE_OVERLOADED;
    beginRecord();
  }
  let deleted: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const ref = load<u32>(usize(h.seriesRows) + (usize(i) << 2));
    if (!isInUse(ref)) continue;
    const hot = hotOf(ref);
    const cold = coldOf(ref);
    let oldestMs = oldestInOrder(hot, cold);
    let newestMs = hot.lastTimestampMs;
    if (hasLateRows(cold)) {
      const line = lateOf(cold);
      oldestMs = min(oldestMs, line.oldestMs);
      newestMs = max(newestMs, line.newestMs);
    }
    const from = i64(max(mint, f64(oldestMs)));
    const to = i64(min(maxt, f64(newestMs)));
    if (from > to) continue;
    addRow(deletesOf(ensureLate(cold)), from, u64(to), u32(h.walSequence + 1));
    if (h.walEnabled != 0) {
      encodeDelete(ref, from, to);
      keepPending(ref, from, u64(to), false);
    }
    deleted++;
  }
  if (deleted == 0) return 0;
  if (h.walEnabled != 0) endRecord(deleted, RECORD_DELETES);
  else h.walSequence++;
  return i32(deleted);
}
