/**
 * All that touches single samples: decoding chunks and turning a series' samples into its column. The kernel does it
 * (kernel-reader.ts); a slow twin in the tests does the same from the specification.
 *
 * A reader holds one batch of chunks and the samples of one series at a time.
 */
import type { ChunkBatch } from "../../storage.ts";
import type { StepGrid } from "../plan/node.ts";

export interface SampleReader {
  /** Where storage puts the chunks of the next few series. */
  readonly batch: ChunkBatch;
  /** Empties the batch; whoever reads a selection does so before storage fills it again. */
  clearBatch(): void;
  /** Decodes series `i` of the batch, stale markers included. @returns how many samples it has */
  decode(i: number): number;
  /** Room for a batch of rows, until the query ends. */
  allocate(cellCount: number): Float64Array;
  /**
   * At each time of `grid` the newest sample at most `lookbackMs` old (that old exactly is too old), or its time in
   * seconds; absent when there is none or it is a stale marker.
   * @param row where the result goes, a cell for each step, inside an array that `allocate` gave
   */
  lookback(grid: StepGrid, lookbackMs: number, yields: "value" | "timestamp", row: Float64Array): void;
  /**
   * At each time of `grid` a function of the samples in the `rangeMs` before it (its start exclusive, its end inclusive),
   * stale markers left out; absent where the function has no answer.
   * @param parameter the value of the function's parameter at each step
   */
  window(name: string, grid: StepGrid, rangeMs: number, parameter: Float64Array | undefined, row: Float64Array): void;
  /** Copies of the samples in (endMs - rangeMs, endMs], stale markers left out. */
  samples(endMs: number, rangeMs: number): { readonly times: Float64Array; readonly values: Float64Array };
}
