/**
 * Compensated sums: Kahan's, with Neumaier's improvement. A sum is two numbers, what has been added up and what
 * rounding has taken from it; AssemblyScript returns one value, so there is one function for each, the second to be
 * called first:
 *   lost = lostAfter(value, sum, lost); sum = sumAfter(value, sum);
 * @see Prometheus util/kahansum
 */

@inline
export function sumAfter(value: f64, sum: f64): f64 {
  return sum + value;
}

@inline
export function lostAfter(value: f64, sum: f64, lost: f64): f64 {
  const next = sum + value;
  if (abs(next) == Infinity) return 0;
  return lost + (abs(sum) >= abs(value) ? sum - next + value : value - next + sum);
}
