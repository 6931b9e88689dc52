/**
 * What each window function answers for one window, from the description of PromQL, on arrays. The order in which numbers
 * are added, multiplied and divided is Prometheus 3.16's (promql/functions.go), because it decides the last bits.
 */
import type { Sample } from "./sample-oracle.ts";

/**
 * @param samples those in the window, without stale markers, at least one
 * @returns undefined when the window has no answer
 */
export function windowFunction(
  name: string,
  samples: readonly Sample[],
  endMs: number,
  rangeMs: number,
  parameter: number | undefined,
): number | undefined {
  const values = samples.map(({ value }) => value);
  const [first, last] = [samples[0]!, samples.at(-1)!];
  const pairs = values.slice(1).map((value, i) => [values[i]!, value] as const);
  switch (name) {
    case "rate":
      return extrapolated(samples, endMs, rangeMs, true, true);
    case "increase":
      return extrapolated(samples, endMs, rangeMs, true, false);
    case "delta":
      return extrapolated(samples, endMs, rangeMs, false, false);
    case "irate":
    case "idelta": {
      const before = samples.at(-2);
      if (before === undefined || before.time === last.time) return undefined;
      if (name === "idelta") return last.value - before.value;
      const increase = last.value < before.value ? last.value : last.value - before.value;
      return increase / ((last.time - before.time) / 1000);
    }
    case "changes":
      return pairs.filter(([a, b]) => a !== b && !(Number.isNaN(a) && Number.isNaN(b))).length;
    case "resets":
      return pairs.filter(([a, b]) => b < a).length;
    case "deriv":
      return samples.length < 2 ? undefined : slope(samples);
    case "sum_over_time":
      return sumOf(values);
    case "avg_over_time":
      return mean(values);
    case "min_over_time":
      return values.reduce((held, value) => (value < held || Number.isNaN(held) ? value : held));
    case "max_over_time":
      return values.reduce((held, value) => (value > held || Number.isNaN(held) ? value : held));
    case "count_over_time":
      return values.length;
    case "first_over_time":
      return first.value;
    case "last_over_time":
      return last.value;
    case "present_over_time":
      return 1;
    case "stdvar_over_time":
      return variance(values);
    case "stddev_over_time":
      return Math.sqrt(variance(values));
    case "quantile_over_time":
      return quantile(parameter!, values);
    default:
      throw new Error(`the oracle does not know ${name}`);
  }
}

/** A sum that keeps what rounding takes from it (Kahan, Neumaier). */
export class CompensatedSum {
  sum: number;
  lost: number;

  constructor(sum = 0, lost = 0) {
    this.sum = sum;
    this.lost = lost;
  }

  add(value: number): void {
    const next = this.sum + value;
    if (next === Infinity || next === -Infinity) this.lost = 0;
    else if (Math.abs(this.sum) >= Math.abs(value)) this.lost += this.sum - next + value;
    else this.lost += value - next + this.sum;
    this.sum = next;
  }

  get total(): number {
    return this.sum + this.lost;
  }
}

function compensated(values: readonly number[]): CompensatedSum {
  const sum = new CompensatedSum();
  for (const value of values) sum.add(value);
  return sum;
}

function sumOf(values: readonly number[]): number {
  const { sum, total } = compensated(values);
  return Math.abs(sum) === Infinity ? sum : total;
}

/** The sum over the count; as soon as the sum would be infinite, the mean so far is moved by each further value. */
function mean(values: readonly number[]): number {
  const running = new CompensatedSum(values[0]);
  let isMoving = false;
  for (let count = 2; count <= values.length; count++) {
    const value = values[count - 1]!;
    if (!isMoving && Math.abs(running.sum + value) !== Infinity) {
      running.add(value);
      continue;
    }
    if (!isMoving) {
      running.sum /= count - 1;
      running.lost /= count - 1;
      isMoving = true;
    }
    const kept = (count - 1) / count;
    running.sum *= kept;
    running.lost *= kept;
    running.add(value / count);
  }
  return isMoving ? running.total : running.sum / values.length + running.lost / values.length;
}

/** Welford's recurrence. */
function variance(values: readonly number[]): number {
  const average = new CompensatedSum();
  const squares = new CompensatedSum();
  for (const [i, value] of values.entries()) {
    const distance = value - average.total;
    average.add(distance / (i + 1));
    squares.add(distance * (value - average.total));
  }
  return squares.total / values.length;
}

function quantile(q: number, values: readonly number[]): number {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  // Go's sort leaves the order of 0 and -0 open.
  const ascending = (a: number, b: number) => a - b || Number(Object.is(b, -0)) - Number(Object.is(a, -0));
  const ordered = [...values.filter(Number.isNaN), ...values.filter((x) => !Number.isNaN(x)).sort(ascending)];
  const rank = q * (ordered.length - 1);
  const [low, weight] = [Math.floor(rank), rank % 1];
  if (weight === 0) return ordered[low]!;
  return ordered[low]! * (1 - weight) + ordered[low + 1]! * weight;
}

/** Least squares; a constant has slope 0 whatever rounding says. */
function slope(samples: readonly Sample[]): number {
  const ys = samples.map(({ value }) => value);
  if (ys.every((y, i) => i === 0 || y === ys[0])) return Math.abs(ys[0]!) === Infinity ? NaN : 0;
  const xs = samples.map(({ time }) => (time - samples[0]!.time) / 1000);
  const n = samples.length;
  const [sumX, sumY] = [compensated(xs).total, compensated(ys).total];
  const covariance = compensated(xs.map((x, i) => x * ys[i]!)).total - (sumX * sumY) / n;
  return covariance / (compensated(xs.map((x) => x * x)).total - (sumX * sumX) / n);
}

/** Increase over the window, carried on to its ends when the outermost samples are near enough to them. */
function extrapolated(
  samples: readonly Sample[],
  endMs: number,
  rangeMs: number,
  isCounter: boolean,
  isRate: boolean,
): number | undefined {
  if (samples.length < 2) return undefined;
  const [first, last] = [samples[0]!, samples.at(-1)!];
  let increase = last.value - first.value;
  if (isCounter)
    samples.slice(1).forEach(({ value }, i) => {
      if (value < samples[i]!.value) increase += samples[i]!.value;
    });
  const interval = (last.time - first.time) / 1000;
  const average = interval / (samples.length - 1);
  let toStart = (first.time - (endMs - rangeMs)) / 1000;
  let toEnd = (endMs - last.time) / 1000;
  if (toStart >= average * 1.1) toStart = average / 2;
  if (toEnd >= average * 1.1) toEnd = average / 2;
  if (isCounter && increase > 0 && first.value >= 0) toStart = Math.min(toStart, interval * (first.value / increase));
  const factor = interval === 0 ? 1 : (interval + toStart + toEnd) / interval;
  return increase * (isRate ? factor / goSeconds(rangeMs) : factor);
}

/** Go's Duration.Seconds(). */
const goSeconds = (ms: number): number => Math.trunc(ms / 1000) + ((ms % 1000) * 1e6) / 1e9;
