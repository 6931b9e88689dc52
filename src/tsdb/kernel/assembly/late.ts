/**
 * Late samples: older than their series' newest, or than the head's floor. They lie apart from the chunks, a row each
 * in the order in which they came, and are sorted and freed of duplicates by whoever reads them (late-read.ts).
 * What is deleted of a series lies beside them in rows of the same form.
 *
 *   SeriesCold.late ──▶ LateLine ─ rows ────▶ cell ──▶ cell ──▶ ...      {time, value, sequence} three to a cell
 *                                └ deletes ─▶ cell ──▶ ...               {mint, maxt, sequence}
 */
import { CELL_BYTES, ENTRIES_PER_CELL, ENTRY_BYTES, header, SeriesCold } from "./layout";
import { LateLine, ROW_MAXT, ROW_SEQUENCE, ROW_TIME, ROW_VALUE, RowList } from "./layout-late";
import { allocateCell, hasHeap, heapBytesForCells, retireCells } from "./heap";
import { coldOf } from "./series";

/** What lateOf says of a series that never had any. */
export const NO_LATE_LINE: LateLine = changetype<LateLine>(0);

/** For readers too. */
@inline
export function lateOf(cold: SeriesCold): LateLine {
  return changetype<LateLine>(usize(atomic.load<u32>(changetype<usize>(cold) + offsetof<SeriesCold>("late"))));
}
@inline
export function rowsOf(line: LateLine): RowList {
  return changetype<RowList>(changetype<usize>(line) + offsetof<LateLine>("rows"));
}
@inline
export function deletesOf(line: LateLine): RowList {
  return changetype<RowList>(changetype<usize>(line) + offsetof<LateLine>("deletes"));
}

/** The published word of a list and what stands in it. */
@inline
export function loadRows(list: RowList): u64 {
  return atomic.load<u64>(changetype<usize>(list) + offsetof<RowList>("word"));
}
@inline
function rowsFirstCell(word: u64): usize {
  return usize(u32(word));
}
@inline
export function rowsEnd(word: u64): u32 {
  return u32(word >> 32);
}
@inline
function rowAt(cell: usize, inCell: u32): usize {
  return cell + 4 + usize(inCell) * ENTRY_BYTES;
}
/**
 * One row after the other; nothing may be loaded from behind the last.
 *   for (let i: u32 = 0, row = firstRow(word); i < rowsEnd(word); i++, row = nextRow(row))
 */
@inline
export function firstRow(word: u64): usize {
  return rowAt(rowsFirstCell(word), 0);
}
@inline
export function nextRow(row: usize): usize {
  const cell = row & ~usize(CELL_BYTES - 1);
  return row == rowAt(cell, ENTRIES_PER_CELL - 1) ? rowAt(usize(load<u32>(cell)), 0) : row + ENTRY_BYTES;
}
@inline
function publishRows(list: RowList, firstCell: usize, end: u32): void {
  const word = u64(firstCell) | (u64(end) << 32);
  atomic.store<u64>(changetype<usize>(list) + offsetof<RowList>("word"), word);
}

/** The series' line, made when it has none. */
export function ensureLate(cold: SeriesCold): LateLine {
  if (cold.late != 0) return lateOf(cold);
  const cell = allocateCell();
  memory.fill(cell, 0, offsetof<LateLine>());
  const line = changetype<LateLine>(cell);
  line.newestMs = i64.MIN_VALUE;
  line.oldestMs = i64.MAX_VALUE;
  atomic.store<u32>(changetype<usize>(cold) + offsetof<SeriesCold>("late"), u32(cell));
  return line;
}

/** Adds a row; takes a cell at most. */
export function addRow(list: RowList, first: i64, second: u64, sequence: u32): void {
  const word = list.word;
  const end = rowsEnd(word);
  const inCell = end % ENTRIES_PER_CELL;
  let firstCell = rowsFirstCell(word);
  let cell = usize(list.lastCell);
  if (inCell == 0) {
    const fresh = allocateCell();
    if (end == 0) firstCell = fresh;
    else store<u32>(cell, u32(fresh));
    cell = fresh;
    list.lastCell = u32(fresh);
  }
  const row = rowAt(cell, inCell);
  store<i64>(row, first, ROW_TIME);
  store<u64>(row, second, ROW_VALUE);
  store<u32>(row, sequence, ROW_SEQUENCE);
  publishRows(list, firstCell, end + 1);
}

/** Stores a late sample of the record that comes next. */
export function addLateSample(ref: u32, timestampMs: i64, value: u64): void {
  const h = header();
  const line = ensureLate(coldOf(ref));
  const rows = rowsOf(line);
  // Readers look at these once they have seen a row: each is true for all rows that they may see.
  if (timestampMs < line.oldestMs || rows.word == 0) line.oldestMs = timestampMs;
  if (timestampMs > line.newestMs) {
    line.newestMs = timestampMs;
    line.newestValue = value;
  }
  addRow(rows, timestampMs, value, u32(h.walSequence + 1));
  h.lateRows++;
  h.lateRowsTotal++;
  if (timestampMs > h.maxTimeMs) h.maxTimeMs = timestampMs;
  if (timestampMs < h.minTimeMs) h.minTimeMs = timestampMs;
}

/** Whether a row is there as of a sequence, both given by their low halves. */
@inline
export function isUpTo(row: usize, sequence: u32): bool {
  return i32(load<u32>(row, ROW_SEQUENCE) - sequence) <= 0;
}

/** The low half of a sequence up to which rows count; of an infinite one, that of a sequence behind all there are. */
export function lowSequence(sequence: f64): u32 {
  // Rows are in memory for far fewer than 2^30 records, and no newer one comes while somebody looks.
  return sequence < f64(1 << 53) ? u32(u64(sequence)) : u32(header().walSequence) + (1 << 30);
}

/**
 * Takes late samples before `before` of records up to `sequence` away, and deletes that end before then and before the
 * oldest in-order sample: these last, so that nobody sees what they hide. All rows of the series are gone over at once:
 * a million take some ms.
 * @returns how many rows
 */
export function dropLate(cold: SeriesCold, before: f64, sequence: u32, oldestMs: i64): u32 {
  const h = header();
  const line = lateOf(cold);
  const rows = dropRows(rowsOf(line), ROW_TIME, before, sequence);
  if (rows != 0) {
    h.lateRows -= rows;
    h.emptiedSequence = h.walSequence;
  }
  return rows + dropRows(deletesOf(line), ROW_MAXT, min(before, f64(oldestMs)), sequence);
}

/** Rows that stay are copied to a fresh chain, in order. @param timeAt where in a row the time is that is looked at */
function dropRows(list: RowList, timeAt: usize, before: f64, sequence: u32): u32 {
  const word = list.word;
  const end = rowsEnd(word);
  let dropped: u32 = 0;
  for (let i: u32 = 0, row = firstRow(word); i < end; i++, row = nextRow(row)) {
    if (f64(load<i64>(row + timeAt)) < before && isUpTo(row, sequence)) dropped++;
  }
  if (dropped == 0 || !hasHeap(heapBytesForCells(u64(end - dropped) / ENTRIES_PER_CELL + 2))) return 0;
  let freshFirst: usize = 0;
  let freshLast: usize = 0;
  let kept: u32 = 0;
  for (let i: u32 = 0, row = firstRow(word); i < end; i++, row = nextRow(row)) {
    if (f64(load<i64>(row + timeAt)) < before && isUpTo(row, sequence)) continue;
    if (kept % ENTRIES_PER_CELL == 0) {
      const fresh = allocateCell();
      if (kept == 0) freshFirst = fresh;
      else store<u32>(freshLast, u32(fresh));
      freshLast = fresh;
    }
    memory.copy(rowAt(freshLast, kept % ENTRIES_PER_CELL), row, ENTRY_BYTES);
    kept++;
  }
  list.lastCell = u32(freshLast);
  publishRows(list, freshFirst, kept);
  retireChain(rowsFirstCell(word));
  return dropped;
}

/** Whether a series has late samples. */
export function hasLateRows(cold: SeriesCold): bool {
  const line = lateOf(cold);
  if (line == NO_LATE_LINE) return false;
  return rowsOf(line).word != 0;
}

/** Lets go of all that a series has here. */
export function clearLate(cold: SeriesCold): void {
  const line = lateOf(cold);
  if (line == NO_LATE_LINE) return;
  atomic.store<u32>(changetype<usize>(cold) + offsetof<SeriesCold>("late"), 0);
  retireChain(rowsFirstCell(rowsOf(line).word));
  retireChain(rowsFirstCell(deletesOf(line).word));
  retireCells(changetype<usize>(line), changetype<usize>(line), 1);
}

/** Cells that limbo takes as one chain. */
const CHAIN_CELLS_MAX: u32 = 60_000;

/** Lets go of a whole chain of cells. */
function retireChain(first: usize): void {
  while (first != 0) {
    let last = first;
    let cells: u32 = 1;
    for (let next = usize(load<u32>(last)); next != 0 && cells < CHAIN_CELLS_MAX; next = usize(load<u32>(last))) {
      last = next;
      cells++;
    }
    const rest = usize(load<u32>(last));
    retireCells(first, last, cells);
    first = rest;
  }
}
