/**
 * Series that get other labels. When two of them end up with the same labels they become one series, as long as they
 * never have a value at the same step: `rate({job="x"}[5m])` over a metric that was renamed is one line, not an error.
 */
import { TsdbError } from "../../../base/errors.ts";
import { fillAbsent, isAbsent, wordsOf } from "../absent.ts";
import { WITHOUT_METADATA } from "../label-sets.ts";
import { HeldRows, MappedRows, allocateRows, numbered } from "./operator.ts";
import type { Execution, SeriesList, VectorOperator } from "./operator.ts";
import type { Cells } from "./sample-reader.ts";

/** In Prometheus' words, and no more: clients match on them. */
export const sameLabelset = (): TsdbError =>
  new TsdbError("QUERY_EXECUTION", "vector cannot contain metrics with the same labelset");

/** The series without their metric name; under delayed removal they keep it and are marked. */
export function dropName(input: VectorOperator, execution: Execution): VectorOperator {
  const { sets, delayedNameRemoval } = execution;
  const { series } = input;
  if (delayedNameRemoval) return withSeries(input, { sets: series.sets, dropsName: series.dropsName.map(() => 1) });
  return mergeEqual(withSeries(input, { ...series, sets: sets.project(series.sets, WITHOUT_METADATA) }), execution);
}

/** What delayed name removal left to do, once the result is complete. */
export function finishNames(input: VectorOperator, execution: Execution): VectorOperator {
  const { sets, dropsName } = input.series;
  const without = execution.sets.project(sets, WITHOUT_METADATA);
  const named = sets.map((set, i) => (dropsName[i] === 1 ? without[i]! : set));
  return mergeEqual(withSeries(input, { sets: named, dropsName: new Uint8Array(named.length) }), execution);
}

const withSeries = (input: VectorOperator, series: SeriesList): VectorOperator =>
  new MappedRows(input, series, () => {});

/**
 * Makes one series of those with equal labels.
 * @throws TsdbError QUERY_EXECUTION, while rows are read, when two of them have a value at the same step
 */
export function mergeEqual(input: VectorOperator, execution: Execution): VectorOperator {
  const { rowOf, sets } = numbered(input.series.sets, execution.sets.count);
  return sets.length === rowOf.length ? input : new MergedRows(input, rowOf, sets, execution);
}

class MergedRows implements VectorOperator {
  readonly series: SeriesList;
  readonly #input: VectorOperator;
  readonly #rowOf: Uint32Array;
  readonly #execution: Execution;
  #merged: HeldRows | undefined;

  constructor(input: VectorOperator, rowOf: Uint32Array, sets: Uint32Array, execution: Execution) {
    const dropsName = new Uint8Array(sets.length);
    rowOf.forEach((row, i) => (dropsName[row] = input.series.dropsName[i]!));
    this.series = { sets, dropsName };
    this.#input = input;
    this.#rowOf = rowOf;
    this.#execution = execution;
  }

  next() {
    this.#merged ??= new HeldRows(this.series, this.#merge(), this.#execution.grid.count);
    return this.#merged.next();
  }

  #merge(): Cells {
    const stepCount = this.#execution.grid.count;
    const merged = allocateRows(this.series.sets.length, this.#execution);
    fillAbsent(merged);
    const mergedWords = wordsOf(merged);
    for (let rows = this.#input.next(); rows !== undefined; rows = this.#input.next()) {
      this.#execution.budget.check();
      const words = wordsOf(rows.values);
      for (let cell = 0; cell < rows.count * stepCount; cell++) {
        if (isAbsent(words, cell)) continue;
        const row = this.#rowOf[rows.first + Math.floor(cell / stepCount)]!;
        const target = row * stepCount + (cell % stepCount);
        if (!isAbsent(mergedWords, target)) throw sameLabelset();
        merged[target] = rows.values[cell]!;
      }
    }
    return merged;
  }
}
