/**
 * Functions of the samples in a window. Their arithmetic is in the kernel; this table says what else sets them apart.
 */
export interface WindowFunction {
  /** Where its scalar parameter stands among the arguments, if it has one. */
  readonly parameter?: "first" | "second";
  /** The result is still a value of the metric, so its name stays. */
  readonly keepsName?: boolean;
  /** Makes sense for counters only, which by convention end in _total, _sum, _count or _bucket. */
  readonly isForCounters?: boolean;
}

export const WINDOW_FUNCTIONS: ReadonlyMap<string, WindowFunction> = new Map<string, WindowFunction>([
  ["rate", { isForCounters: true }],
  ["increase", { isForCounters: true }],
  ["irate", {}],
  ["delta", {}],
  ["idelta", {}],
  ["changes", {}],
  ["resets", {}],
  ["deriv", {}],
  ["sum_over_time", {}],
  ["avg_over_time", {}],
  ["min_over_time", {}],
  ["max_over_time", {}],
  ["count_over_time", {}],
  ["first_over_time", { keepsName: true }],
  ["last_over_time", { keepsName: true }],
  ["present_over_time", {}],
  ["stddev_over_time", {}],
  ["stdvar_over_time", {}],
  ["quantile_over_time", { parameter: "first" }],
]);

export const looksLikeCounter = (metricName: string): boolean => /_(?:total|sum|count|bucket)$/.test(metricName);
