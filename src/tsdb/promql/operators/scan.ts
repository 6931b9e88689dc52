/**
 * Where rows come from: series of one selection, decoded one after the other, each turned into a column at once. The
 * samples of a series live only while its column is computed, so a scan needs the memory of one series, whatever their
 * number.
 */
import { METRIC_NAME } from "../../model/labels.ts";
import type { SeriesSelection } from "../../storage.ts";
import { isAbsent, wordsOf } from "../absent.ts";
import { invalidQuantile, possibleNonCounter } from "../annotations.ts";
import { WINDOW_FUNCTIONS, looksLikeCounter } from "../functions/windows.ts";
import type { SamplesNode, SelectNode, Selection, StepGrid, WindowNode } from "../plan/node.ts";
import { MappedRows, rowsPerBatch } from "./operator.ts";
import type { Execution, Rows, SeriesList, VectorOperator } from "./operator.ts";
import { dropName } from "./relabel.ts";
import type { Cells } from "./sample-reader.ts";

/** An instant vector selector, or `timestamp` of one. */
export function select({ selection, yields }: SelectNode, execution: Execution): VectorOperator {
  const { samples, lookbackMs } = execution;
  const times = readingTimes(selection, execution.grid);
  const rows = new ScannedRows(new SeriesScan(selection, times, lookbackMs, execution), execution, (all, row) =>
    samples.lookback(times, lookbackMs, yields, all, row),
  );
  return yields === "timestamp" ? dropName(rows, execution) : rows;
}

/** @param parameter the column of the function's scalar parameter */
export function windowed(node: WindowNode, parameter: Float64Array | undefined, execution: Execution): VectorOperator {
  const { samples, budget } = execution;
  const { selection, rangeMs } = node;
  const times = readingTimes(selection, execution.grid);
  const window = { function: node.function, rangeMs, parameter };
  const scanned = new ScannedRows(new SeriesScan(selection, times, rangeMs, execution), execution, (all, row) =>
    budget.holdSamples(samples.window(window, times, all, row)),
  );
  const annotated = new MappedRows(scanned, scanned.series, (rows) =>
    annotate(node, parameter, rows, scanned.series, execution),
  );
  return WINDOW_FUNCTIONS.get(node.function)?.keepsName === true ? annotated : dropName(annotated, execution);
}

/** The samples in a range selector's window, of each series that has any. */
export function* readSamples({ selection, rangeMs }: SamplesNode, execution: Execution) {
  const { samples, budget } = execution;
  const times = readingTimes(selection, execution.grid);
  const scan = new SeriesScan(selection, times, rangeMs, execution);
  for (let i = 0; scan.decodeNext(); i++) {
    const window = samples.samples(times.startMs, rangeMs);
    if (window.times.length === 0) continue;
    budget.addSamples(window.times.length);
    yield { set: scan.series.sets[i]!, ...window };
  }
}

/** The times at which a selection is read: those of the steps, moved by the offset, or one that `@` has fixed. */
function readingTimes({ offsetMs, atMs }: Selection, { startMs, stepMs, count }: StepGrid): StepGrid {
  return { startMs: (atMs ?? startMs) - offsetMs, stepMs: atMs === undefined ? stepMs : 0, count };
}

/** Decodes the series of a selection one by one. */
class SeriesScan {
  readonly series: SeriesList;
  readonly #selected: SeriesSelection;
  readonly #execution: Execution;
  #inBatch = 0;

  /** @param windowMs how far before each time samples count */
  constructor({ matchers }: Selection, { startMs, stepMs, count }: StepGrid, windowMs: number, execution: Execution) {
    const { querier, sets } = execution;
    this.#selected = querier.select(matchers, startMs - windowMs + 1, startMs + (count - 1) * stepMs);
    const { seriesCount } = this.#selected;
    sets.expect(seriesCount);
    this.series = { sets: new Uint32Array(seriesCount), dropsName: new Uint8Array(seriesCount) };
    for (let i = 0; i < seriesCount; i++) this.series.sets[i] = sets.intern(this.#selected.labels(i));
    this.#execution = execution;
  }

  /** @returns false after the last series */
  decodeNext(): boolean {
    const { samples, budget } = this.#execution;
    if (this.#inBatch === samples.batch.seriesCount || this.#inBatch === 0) {
      samples.clearBatch();
      if (!this.#selected.next(samples.batch)) return false;
      this.#inBatch = 0;
      budget.check();
    }
    samples.decode(this.#inBatch++);
    return true;
  }
}

/** One row for each series of a scan, computed while its samples are at hand. */
class ScannedRows implements VectorOperator {
  readonly series: SeriesList;
  readonly #scan: SeriesScan;
  readonly #stepCount: number;
  readonly #compute: (rows: Cells, row: number) => void;
  readonly #rows: Cells;
  #next = 0;

  constructor(scan: SeriesScan, { grid, samples }: Execution, compute: (rows: Cells, row: number) => void) {
    this.series = scan.series;
    this.#scan = scan;
    this.#stepCount = grid.count;
    this.#compute = compute;
    this.#rows = samples.allocate(Math.min(rowsPerBatch(grid.count), scan.series.sets.length) * grid.count);
  }

  next(): Rows | undefined {
    const first = this.#next;
    const wanted = Math.min(rowsPerBatch(this.#stepCount), this.series.sets.length - first);
    let count = 0;
    for (; count < wanted && this.#scan.decodeNext(); count++) this.#compute(this.#rows, count);
    this.#next += count;
    return count === 0 ? undefined : { first, count, values: this.#rows.subarray(0, count * this.#stepCount) };
  }
}

/** Says what is odd about a window function's use, for series that it answered something for. */
function annotate(
  { function: name, position }: WindowNode,
  parameter: Float64Array | undefined,
  { first, count, values }: Rows,
  { sets }: SeriesList,
  { grid, sets: labelSets, annotations }: Execution,
): void {
  const words = wordsOf(values);
  const isPresent = (row: number, step: number) => !isAbsent(words, row * grid.count + step);
  if (WINDOW_FUNCTIONS.get(name)?.isForCounters === true) {
    const nameId = labelSets.table.nameId(METRIC_NAME);
    // Series come with few metric names, mostly one: none is looked at again right after it was found to be in order.
    let inOrder: number | undefined;
    for (let row = 0; row < count; row++) {
      const pair = labelSets.pairOf(sets[first + row]!, nameId);
      if (pair === undefined || pair === inOrder) continue;
      const metricName = labelSets.table.valueOf(pair);
      if (looksLikeCounter(metricName)) {
        inOrder = pair;
        continue;
      }
      for (let step = 0; step < grid.count; step++)
        if (isPresent(row, step)) {
          annotations.inform(possibleNonCounter(metricName), position);
          break;
        }
    }
  }
  if (name === "quantile_over_time")
    for (const [step, quantile] of parameter!.entries()) {
      if (quantile >= 0 && quantile <= 1) continue;
      for (let row = 0; row < count; row++)
        if (isPresent(row, step)) annotations.warn(invalidQuantile(quantile), position);
    }
}
