/** Adding up rows of results, cell by cell: what `sum` does with the series of a group. */
import { STALE_MARKER } from "./window";

/**
 * Adds a row to a group's sums, compensated. Cells that hold the stale marker have no value: in the row they add nothing,
 * in the sums they mean that nothing was added yet, and the first value is taken as it is, -0 included.
 * @param lost what rounding has taken from each sum
 */
export function addRow(row: usize, steps: u32, sums: usize, lost: usize): void {
  const absent = i64x2.splat(STALE_MARKER);
  const infinity = f64x2.splat(Infinity);
  const bytes = usize(steps) << 3;
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
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
    const restarts = v128.or(isFirst, f64x2.eq(f64x2.abs(next), infinity));
    const after = v128.andnot(f64x2.add(before, error), restarts);
    v128.store(sums + at, v128.bitselect(sum, v128.bitselect(value, next, isFirst), isNothing));
    v128.store(lost + at, v128.bitselect(before, after, isNothing));
  }
  if (at == bytes) return;
  const bits = load<u64>(row + at);
  if (bits == STALE_MARKER) return;
  if (load<u64>(sums + at) == STALE_MARKER) {
    store<u64>(sums + at, bits);
    return;
  }
  const value = reinterpret<f64>(bits);
  const sum = load<f64>(sums + at);
  const next = sum + value;
  const error = abs(sum) >= abs(value) ? sum - next + value : value - next + sum;
  store<f64>(lost + at, abs(next) == Infinity ? 0 : load<f64>(lost + at) + error);
  store<f64>(sums + at, next);
}
