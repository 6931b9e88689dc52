/**
 * All that touches single samples: decoding chunks, turning a series' samples into its row of results, and adding rows up.
 * The kernel does it (kernel-reader.ts); a slow twin in the tests does the same from the specification.
 *
 * A reader holds one batch of chunks and the samples of one series at a time.
 */
import type { ChunkBatch } from "../../storage.ts";
import type { StepGrid } from "../plan/node.ts";

/**
 * Rows of results, a cell for each step of the query, in memory that `allocate` gave: the kernel can reach them. Their type
 * tells them from other columns. What is to outlive the query is copied out.
 */
export type Cells = Float64Array<SharedArrayBuffer>;

export interface SampleReader {
  /** Where storage puts the chunks of the next few series. */
  readonly batch: ChunkBatch;
  /** Empties the batch; whoever reads a selection does so before storage fills it again. */
  clearBatch(): void;
  /** Decodes series `i` of the batch. */
  decode(i: number): void;
  /** Room for rows, until the query ends, counted against its budget. What it holds at first is anything. */
  allocate(cellCount: number): Cells;
  /**
   * At each time of `grid` the newest sample at most `lookbackMs` old (that old exactly is too old), or its time in
   * seconds; absent when there is none or it is a stale marker.
   * @param row which row of `rows` the result goes to
   */
  lookback(grid: StepGrid, lookbackMs: number, yields: "value" | "timestamp", rows: Cells, row: number): void;
  /**
   * At each time of `grid` a function of the samples in the `rangeMs` before it (its start exclusive, its end inclusive),
   * stale markers left out; absent where the function has no answer.
   * @returns how many samples the largest window has
   */
  window(window: Window, grid: StepGrid, rows: Cells, row: number): number;
  /** Copies of the samples in (endMs - rangeMs, endMs], stale markers left out. */
  samples(endMs: number, rangeMs: number): { readonly times: Float64Array; readonly values: Float64Array };
  /**
   * Adds rows to the sums of their groups, compensated (Kahan, Neumaier). Absent cells add nothing; in `sums` they mean
   * that nothing was added yet.
   * @param groupOf of each row its group
   * @param lost as `sums`, a row for each group: what rounding has taken from it
   */
  addRows(rows: Cells, groupOf: Uint32Array, stepCount: number, sums: Cells, lost: Cells): void;
}

export interface Window {
  /** A row of functions/windows.ts. */
  readonly function: string;
  readonly rangeMs: number;
  /** The value of the function's parameter at each step. */
  readonly parameter: Float64Array | undefined;
}
