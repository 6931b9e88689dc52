/**
 * What vector operators have in common. An operator knows its series before it computes a value; then it yields their
 * columns in batches of rows, each row one series, each cell one step, absent cells holding the stale marker (absent.ts).
 *
 *            step 0   1   2
 *   series 4     1.5  2   -        Rows { first: 4, count: 2, values: [1.5, 2, absent, 7, 7, 8] }
 *   series 5     7    7   8
 *
 * Batches come in series order and without gaps. Rows belong to the operator that asked for them until it asks for more:
 * it may overwrite them in place, and must copy what it wants to keep. So a chain of operators over 100,000 series runs
 * in the memory of one batch, and an aggregation in that of its groups.
 */
import type { Querier } from "../../storage.ts";
import type { Annotations } from "../annotations.ts";
import type { QueryBudget } from "../budget.ts";
import type { LabelSets } from "../label-sets.ts";
import type { StepGrid } from "../plan/node.ts";
import type { Cells, SampleReader } from "./sample-reader.ts";

export interface SeriesList {
  /** Label set ids (LabelSets). Equal ones are allowed when they never have a value at the same step. */
  readonly sets: Uint32Array;
  /**
   * Whether the metric name of each series goes once the result is complete. Set only under delayed name removal;
   * otherwise `sets` have already lost it.
   */
  readonly dropsName: Uint8Array;
}

export interface Rows {
  readonly first: number;
  readonly count: number;
  /** `count` rows of as many cells as the query has steps. */
  readonly values: Cells;
}

export interface VectorOperator {
  readonly series: SeriesList;
  /** The next batch, of at least one row; undefined after the last series. */
  next(): Rows | undefined;
}

/** What every operator of a query works with. */
export interface Execution {
  readonly grid: StepGrid;
  readonly lookbackMs: number;
  readonly querier: Querier;
  readonly sets: LabelSets;
  readonly samples: SampleReader;
  readonly budget: QueryBudget;
  readonly annotations: Annotations;
  /** Names stay on series, for `by (__name__)` and the like, until the result is complete. Prometheus' default: off. */
  readonly delayedNameRemoval: boolean;
}

/** Cells of a batch: enough that the cost of a call vanishes, few enough that a batch stays in a core's cache. */
export const BATCH_CELLS = 32 * 1024;

export const rowsPerBatch = (stepCount: number): number => Math.max(1, Math.floor(BATCH_CELLS / stepCount));

/** An operator that changes each batch of another in place. */
export class MappedRows implements VectorOperator {
  readonly series: SeriesList;
  readonly #input: VectorOperator;
  readonly #change: (rows: Rows) => void;

  constructor(input: VectorOperator, series: SeriesList, change: (rows: Rows) => void) {
    this.#input = input;
    this.series = series;
    this.#change = change;
  }

  next(): Rows | undefined {
    const rows = this.#input.next();
    if (rows !== undefined) this.#change(rows);
    return rows;
  }
}

/** Rows that were computed whole, handed on in batches. */
export class HeldRows implements VectorOperator {
  readonly series: SeriesList;
  readonly #values: Cells;
  readonly #stepCount: number;
  #row = 0;

  /** @param values all rows; the consumer may overwrite them */
  constructor(series: SeriesList, values: Cells, stepCount: number) {
    this.series = series;
    this.#values = values;
    this.#stepCount = stepCount;
  }

  next(): Rows | undefined {
    const first = this.#row;
    const count = Math.min(rowsPerBatch(this.#stepCount), this.series.sets.length - first);
    if (count === 0) return undefined;
    this.#row += count;
    return { first, count, values: this.#values.subarray(first * this.#stepCount, (first + count) * this.#stepCount) };
  }
}

/** Room for rows that stay until the query ends. */
export const allocateRows = (rowCount: number, { grid, samples }: Execution): Cells =>
  samples.allocate(rowCount * grid.count);

/** Reads an operator to its end and keeps all rows. */
export function holdAll(input: VectorOperator, execution: Execution): Cells {
  const { grid, budget } = execution;
  const held = allocateRows(input.series.sets.length, execution);
  for (let rows = input.next(); rows !== undefined; rows = input.next()) {
    budget.check();
    held.set(rows.values, rows.first * grid.count);
  }
  return held;
}

/**
 * Gives each distinct label set a row, in the order in which they appear.
 * @param setCount all ids are below it
 */
export function numbered(
  ids: Uint32Array,
  setCount: number,
): { readonly rowOf: Uint32Array; readonly sets: Uint32Array } {
  const rowOf = new Uint32Array(ids.length);
  const sets = new Uint32Array(ids.length);
  const rowAfter = new Uint32Array(setCount); // its row + 1, 0 when it has none yet
  let count = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (rowAfter[id] === 0) {
      sets[count++] = id;
      rowAfter[id] = count;
    }
    rowOf[i] = rowAfter[id]! - 1;
  }
  return { rowOf, sets: sets.slice(0, count) };
}
