/**
 * Aggregations that take one value at a time: `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`. (`sum`, the most
 * frequent, is in the kernel: SampleReader.addRows.) An accumulator holds one cell for each group and step; a column of a
 * series is added to the cells of its group.
 *
 * Means are compensated (Kahan, with Neumaier's improvement), as in Prometheus, so that the order of series hardly shows.
 */
import { fillAbsent, isAbsent, setAbsent, wordsOf } from "../absent.ts";

export interface Accumulator {
  /** Adds the values of `column` to the cells from `firstCell` on. */
  add(column: Float64Array, firstCell: number): void;
  /** Turns cells into results; cells that were never added to are absent. */
  finish(): void;
}

/** @param results one cell for each group and step; what it holds is overwritten */
export function accumulator(
  operator: "avg" | "min" | "max" | "count" | "group" | "stddev" | "stdvar",
  results: Float64Array,
): Accumulator {
  switch (operator) {
    case "avg":
      return new Mean(results);
    case "min":
      return folding(results, (held, value) => (held > value || Number.isNaN(held) ? value : held));
    case "max":
      return folding(results, (held, value) => (held < value || Number.isNaN(held) ? value : held));
    case "count":
      return new Count(results);
    case "group":
      return folding(results, () => 1, 1);
    case "stddev":
      return new Variance(results, Math.sqrt);
    case "stdvar":
      return new Variance(results, (variance) => variance);
  }
}

/** Cells that start as their first value, or as `first`, and are combined with each further one. */
function folding(results: Float64Array, combine: (held: number, value: number) => number, first?: number): Accumulator {
  fillAbsent(results);
  const words = wordsOf(results);
  return {
    add(column, firstCell) {
      const columnWords = wordsOf(column);
      for (let i = 0; i < column.length; i++) {
        if (isAbsent(columnWords, i)) continue;
        const cell = firstCell + i;
        results[cell] = isAbsent(words, cell) ? (first ?? column[i]!) : combine(results[cell]!, column[i]!);
      }
    },
    finish() {},
  };
}

class Count implements Accumulator {
  readonly #counts: Float64Array;

  constructor(results: Float64Array) {
    this.#counts = results.fill(0);
  }

  add(column: Float64Array, firstCell: number): void {
    const words = wordsOf(column);
    for (let i = 0; i < column.length; i++)
      if (!isAbsent(words, i)) this.#counts[firstCell + i] = this.#counts[firstCell + i]! + 1;
  }

  finish(): void {
    const words = wordsOf(this.#counts);
    this.#counts.forEach((count, cell) => {
      if (count === 0) setAbsent(words, cell);
    });
  }
}

/** What rounding has taken from a running sum, after it went from `sum` to `next` by adding `value`. */
function compensated(lost: number, sum: number, value: number, next: number): number {
  if (next === Infinity || next === -Infinity) return 0;
  return Math.abs(sum) >= Math.abs(value) ? lost + (sum - next + value) : lost + (value - next + sum);
}

/** A sum divided at the end; once that would overflow, a mean that is moved by each further value. */
class Mean implements Accumulator {
  readonly #means: Float64Array; // the sum, while it does not overflow
  readonly #lost: Float64Array;
  readonly #counts: Float64Array;
  readonly #moving: Uint8Array;

  constructor(results: Float64Array) {
    this.#means = results.fill(0);
    this.#lost = new Float64Array(results.length);
    this.#counts = new Float64Array(results.length);
    this.#moving = new Uint8Array(results.length);
  }

  add(column: Float64Array, firstCell: number): void {
    const words = wordsOf(column);
    for (let i = 0; i < column.length; i++) if (!isAbsent(words, i)) this.#addValue(firstCell + i, column[i]!);
  }

  #addValue(cell: number, value: number): void {
    const count = (this.#counts[cell] = this.#counts[cell]! + 1);
    if (count === 1) {
      this.#means[cell] = value;
      return;
    }
    if (this.#moving[cell] === 0) {
      const sum = this.#means[cell]!;
      const next = sum + value;
      if (next !== Infinity && next !== -Infinity) {
        this.#lost[cell] = compensated(this.#lost[cell]!, sum, value, next);
        this.#means[cell] = next;
        return;
      }
      this.#moving[cell] = 1;
      this.#means[cell] = sum / (count - 1);
      this.#lost[cell] = this.#lost[cell]! / (count - 1);
    }
    const kept = (count - 1) / count;
    const mean = kept * this.#means[cell]!;
    const next = mean + value / count;
    this.#lost[cell] = compensated(kept * this.#lost[cell]!, mean, value / count, next);
    this.#means[cell] = next;
  }

  finish(): void {
    const words = wordsOf(this.#means);
    this.#counts.forEach((count, cell) => {
      if (count === 0) setAbsent(words, cell);
      else if (this.#moving[cell] === 1) this.#means[cell] = this.#means[cell]! + this.#lost[cell]!;
      else this.#means[cell] = this.#means[cell]! / count + this.#lost[cell]! / count;
    });
  }
}

/** Welford's variance; a first value that is not finite makes the cell NaN for good. */
class Variance implements Accumulator {
  readonly #squares: Float64Array;
  readonly #means: Float64Array;
  readonly #counts: Float64Array;
  readonly #result: (variance: number) => number;

  constructor(results: Float64Array, result: (variance: number) => number) {
    this.#squares = results.fill(0);
    this.#means = new Float64Array(results.length);
    this.#counts = new Float64Array(results.length);
    this.#result = result;
  }

  add(column: Float64Array, firstCell: number): void {
    const words = wordsOf(column);
    for (let i = 0; i < column.length; i++) {
      if (isAbsent(words, i)) continue;
      const cell = firstCell + i;
      const value = column[i]!;
      const count = (this.#counts[cell] = this.#counts[cell]! + 1);
      if (count === 1) {
        this.#means[cell] = value;
        this.#squares[cell] = Number.isFinite(value) ? 0 : NaN;
        continue;
      }
      const delta = value - this.#means[cell]!;
      this.#means[cell] = this.#means[cell]! + delta / count;
      this.#squares[cell] = this.#squares[cell]! + delta * (value - this.#means[cell]);
    }
  }

  finish(): void {
    const words = wordsOf(this.#squares);
    this.#counts.forEach((count, cell) => {
      if (count === 0) setAbsent(words, cell);
      else this.#squares[cell] = this.#result(this.#squares[cell]! / count);
    });
  }
}
