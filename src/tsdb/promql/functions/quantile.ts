/** The quantile that PromQL's `quantile` and `quantile_over_time` share. */

/**
 * Interpolates linearly between the two nearest ranks; NaN counts as smaller than any number.
 * @param values sorted in place
 * @returns an infinity when `q` lies outside [0, 1], NaN when it is NaN or there are no values
 * @see Prometheus promql/quantile.go, quantile
 */
export function quantile(q: number, values: Float64Array): number {
  if (values.length === 0 || Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  values.sort((a, b) => (Number.isNaN(a) ? (Number.isNaN(b) ? 0 : -1) : Number.isNaN(b) ? 1 : a - b));
  const rank = q * (values.length - 1);
  const lower = Math.floor(rank);
  const weight = rank - lower;
  if (weight === 0) return values[lower]!;
  return values[lower]! * (1 - weight) + values[Math.min(lower + 1, values.length - 1)]! * weight;
}
