/**
 * What a query answers, as columns: one Float64Array of values per series, and of timestamps, which all series of a range
 * query share. A cell without a value holds the stale marker (absent.ts); every series has at least one value.
 */
import type { LabelSet } from "../model/labels.ts";

export interface SeriesColumn {
  readonly labels: LabelSet;
  /** Ms since the epoch, as long as `values`. The same array for all series of a range query. */
  readonly times: Float64Array;
  readonly values: Float64Array;
}

export type QueryValue =
  /** A range query's result, ordered by labels, or the samples of a range selector. */
  | { readonly type: "matrix"; readonly series: readonly SeriesColumn[] }
  /** In the engine's order, which `topk` and the like decide; `values[i]` belongs to `labels[i]`. */
  | {
      readonly type: "vector";
      readonly timeMs: number;
      readonly labels: readonly LabelSet[];
      readonly values: Float64Array;
    }
  | { readonly type: "scalar"; readonly timeMs: number; readonly value: number }
  | { readonly type: "string"; readonly timeMs: number; readonly value: string };

export interface QueryResult {
  readonly value: QueryValue;
  /** As Prometheus words them, "PromQL warning: ... (line:column)", without repeats. */
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}
