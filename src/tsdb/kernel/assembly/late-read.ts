/**
 * Late samples and deletes as readers see them, pinned. Deletes are looked at first: what they hide is let go of before
 * they are, so a reader that has missed a row's delete has missed the row as well.
 */
import { LateLine, ROW_MAXT, ROW_MINT, ROW_SEQUENCE, ROW_TIME, ROW_VALUE } from "./layout-late";
import { deletesOf, firstRow, isUpTo, loadRows, nextRow, rowsEnd, rowsOf } from "./late";
import { sortSamples } from "./merge-samples";
import { RAW_HEADER_BYTES, RAW_SAMPLE_BYTES } from "./raw";

/** Late rows of one series and one range of time that can be read at once; 32 bytes of scratch each. */
const LATE_ROWS_MAX: u32 = 60_000;
export const TOO_MANY_ROWS: u32 = u32.MAX_VALUE;

/** Whether the series may have late samples in [mint, maxt], deleted or not. */
@inline
export function overlapsLate(line: LateLine, mint: f64, maxt: f64): bool {
  return loadRows(rowsOf(line)) != 0 && f64(line.oldestMs) <= maxt && f64(line.newestMs) >= mint;
}

/** Whether the series has late samples in [mint, maxt] that are not deleted; without deletes, whether it may. */
export function hasLate(line: LateLine, mint: f64, maxt: f64): bool {
  const deletes = loadRows(deletesOf(line));
  if (!overlapsLate(line, mint, maxt)) return false;
  if (deletes == 0) return true;
  const word = loadRows(rowsOf(line));
  const end = rowsEnd(word);
  for (let i: u32 = 0, row = firstRow(word); i < end; i++, row = nextRow(row)) {
    const time = f64(load<i64>(row, ROW_TIME));
    if (time >= mint && time <= maxt && !isDeleted(deletes, row, NEWEST)) return true;
  }
  return false;
}

/** Whether one delete hides all in-order samples in [mint, maxt]. */
export function isAllDeleted(line: LateLine, mint: f64, maxt: f64): bool {
  const deletes = loadRows(deletesOf(line));
  if (deletes == 0) return false;
  const end = rowsEnd(deletes);
  for (let i: u32 = 0, del = firstRow(deletes); i < end; i++, del = nextRow(del)) {
    if (f64(load<i64>(del, ROW_MINT)) <= mint && f64(load<i64>(del, ROW_MAXT)) >= maxt) return true;
  }
  return false;
}

/** Length of the raw chunk of a series' late samples at most. */
export function lateBytesMax(line: LateLine): u32 {
  const word = loadRows(rowsOf(line));
  return RAW_HEADER_BYTES + min<u32>(rowsEnd(word), LATE_ROWS_MAX) * RAW_SAMPLE_BYTES;
}

/**
 * Writes the late samples of a series that lie in [mint, maxt], are not deleted, and not of a later record than
 * `sequence`, as a raw chunk: in time order, of equal times the one that came first.
 * @param out as large as LATE_ROWS_MAX samples; @param scratch of 16 bytes a sample
 * @returns how many samples, or TOO_MANY_ROWS
 */
export function readLate(line: LateLine, mint: f64, maxt: f64, sequence: u32, out: usize, scratch: usize): u32 {
  const deletes = loadRows(deletesOf(line));
  const word = loadRows(rowsOf(line));
  const end = rowsEnd(word);
  let count: u32 = 0;
  // Values wait in the scratch: their column begins behind the times, once it is known how many there are.
  const times = out + RAW_HEADER_BYTES;
  const values = scratch;
  for (let i: u32 = 0, row = firstRow(word); i < end; i++, row = nextRow(row)) {
    const time = f64(load<i64>(row, ROW_TIME));
    if (time < mint || time > maxt || !isUpTo(row, sequence)) continue;
    if (deletes != 0 && isDeleted(deletes, row, i64(sequence))) continue;
    if (count == LATE_ROWS_MAX) return TOO_MANY_ROWS;
    store<f64>(times + (usize(count) << 3), time);
    store<u64>(values + (usize(count) << 3), load<u64>(row, ROW_VALUE));
    count++;
  }
  if (count == 0) return 0;
  const column = times + (usize(count) << 3);
  memory.copy(column, values, usize(count) << 3);
  const kept = sortSamples(times, column, count, scratch);
  if (kept != count) memory.copy(times + (usize(kept) << 3), column, usize(kept) << 3);
  store<u64>(out, u64(kept));
  return kept;
}

/** In place of a sequence: deletes count, whatever theirs is. */
const NEWEST: i64 = -1;

/** Whether one of the deletes up to `sequence` (its low half) hides a late row: one that came after it. */
function isDeleted(deletes: u64, row: usize, sequence: i64): bool {
  const time = load<i64>(row, ROW_TIME);
  const end = rowsEnd(deletes);
  for (let i: u32 = 0, del = firstRow(deletes); i < end; i++, del = nextRow(del)) {
    if (time < load<i64>(del, ROW_MINT) || time > load<i64>(del, ROW_MAXT)) continue;
    if (sequence != NEWEST && !isUpTo(del, u32(sequence))) continue;
    if (isUpTo(row, load<u32>(del, ROW_SEQUENCE))) return true;
  }
  return false;
}
