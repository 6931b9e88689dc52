/** Adding up rows of results, cell by cell: what `sum` does with the series of each group. */
import { lostAfter } from "./kahan";
import { cell, STALE_MARKER, storeCell } from "./window";

/**
 * Adds rows to the sums of their groups, compensated. Cells that hold the stale marker have no value: in a row they add
 * nothing, in the sums they mean that nothing was added yet, and the first value is taken as it is, -0 included.
 * @param groups of each row its group's number, as u32
 * @param sums a row for each group
 * @param lost as `sums`: what rounding has taken from each
 */
export function addRows(rows: usize, rowCount: u32, steps: u32, groups: usize, sums: usize, lost: usize): void {
  const rowBytes = usize(steps) << 3;
  for (let i: u32 = 0; i < rowCount; i++) {
    const group = usize(load<u32>(groups + (usize(i) << 2))) * rowBytes;
    addRow(rows + usize(i) * rowBytes, steps, sums + group, lost + group);
  }
}

function addRow(row: usize, steps: u32, sums: usize, lost: usize): void {
  const absent = i64x2.splat(STALE_MARKER);
  const infinity = f64x2.splat(Infinity);
  const pairsEnd = usize(steps & ~1) << 3;
  for (let at: usize = 0; at < pairsEnd; at += 16) {
    const value = v128.load(row + at);
    const sum = v128.load(sums + at);
    const before = v128.load(lost + at);
    const next = f64x2.add(sum, value);
    const error = v128.bitselect(
      f64x2.add(f64x2.sub(sum, next), value),
      f64x2.add(f64x2.sub(value, next), sum),
      f64x2.ge(f64x2.abs(sum), f64x2.abs(value)),
    );
    const isFirst = i64x2.eq(sum, absent);
    const isNothing = i64x2.eq(value, absent);
    const loses = v128.not(v128.or(isFirst, f64x2.eq(f64x2.abs(next), infinity)));
    const after = v128.and(f64x2.add(before, error), loses);
    v128.store(sums + at, v128.bitselect(sum, v128.bitselect(value, next, isFirst), isNothing));
    v128.store(lost + at, v128.bitselect(before, after, isNothing));
  }
  if ((steps & 1) == 0 || load<u64>(row + pairsEnd) == STALE_MARKER) return;
  const last = steps - 1;
  if (load<u64>(sums + pairsEnd) == STALE_MARKER) store<u64>(sums + pairsEnd, load<u64>(row + pairsEnd));
  else {
    const value = cell(row, last);
    const sum = cell(sums, last);
    storeCell(lost, last, lostAfter(value, sum, cell(lost, last)));
    storeCell(sums, last, sum + value);
  }
}
