/**
 * A slow SampleReader, written from the descriptions of PromQL and of the XOR chunk, on plain objects: what the kernel
 * must agree with. Every window is looked at afresh.
 */
import type { ChunkBatch } from "../../src/tsdb/storage.ts";
import type { StepGrid } from "../../src/tsdb/promql/plan/node.ts";
import { quantile } from "../../src/tsdb/promql/functions/quantile.ts";
import type { SampleReader } from "../../src/tsdb/promql/operators/sample-reader.ts";
import { STALE } from "./fake-storage.ts";

interface Sample {
  readonly time: number;
  readonly value: number;
  readonly isStale: boolean;
}

export class OracleReader implements SampleReader {
  readonly #chunks = new Map<number, Uint8Array>();
  #samples: Sample[] = [];

  readonly batch: ChunkBatch = {
    firstSeries: 0,
    seriesCount: 0,
    chunkStart: [],
    chunkAddress: [],
    chunkBytes: [],
    encoding: [],
    reserve: () => this.#chunks.size + 1,
    store: (address, chunk) => void this.#chunks.set(address, chunk),
  };

  decode(i: number): number {
    const { chunkStart, chunkAddress } = this.batch;
    this.#samples = [];
    for (let chunk = chunkStart[i]!; chunk < chunkStart[i + 1]!; chunk++)
      this.#samples.push(...decodeXor(this.#chunks.get(chunkAddress[chunk]!)!));
    return this.#samples.length;
  }

  allocate = (cellCount: number): Float64Array => new Float64Array(cellCount);

  lookback(grid: StepGrid, lookbackMs: number, yields: "value" | "timestamp", row: Float64Array): void {
    for (let step = 0; step < grid.count; step++) {
      const at = grid.startMs + step * grid.stepMs;
      const newest = this.#samples.findLast(({ time }) => time <= at && time > at - lookbackMs);
      if (newest === undefined || newest.isStale) row.set(STALE, step);
      else row[step] = yields === "value" ? newest.value : newest.time / 1000;
    }
  }

  window(name: string, grid: StepGrid, rangeMs: number, parameter: Float64Array | undefined, row: Float64Array): void {
    for (let step = 0; step < grid.count; step++) {
      const endMs = grid.startMs + step * grid.stepMs;
      const samples = this.#live(endMs, rangeMs);
      const result =
        samples.length === 0 ? undefined : windowFunction(name, samples, endMs, rangeMs, parameter?.[step]);
      row.set(result === undefined ? STALE : [result], step);
    }
  }

  samples(endMs: number, rangeMs: number) {
    const live = this.#live(endMs, rangeMs);
    return {
      times: Float64Array.from(live, ({ time }) => time),
      values: Float64Array.from(live, ({ value }) => value),
    };
  }

  #live = (endMs: number, rangeMs: number): Sample[] =>
    this.#samples.filter(({ time, isStale }) => time > endMs - rangeMs && time <= endMs && !isStale);
}

function decodeXor(chunk: Uint8Array): Sample[] {
  let position = 0;
  const bit = () => {
    const value = (chunk[position >> 3]! >> (7 - (position & 7))) & 1;
    position++;
    return value;
  };
  const bits = (width: number) => {
    let value = 0n;
    for (let i = 0; i < width; i++) value = (value << 1n) | BigInt(bit());
    return value;
  };
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bits(8);
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) return value;
    }
  };
  const count = Number(bits(16));
  const samples: Sample[] = [];
  let [time, delta, word, leading, trailing] = [0n, 0n, 0n, 0, 0];
  for (let i = 0; i < count; i++) {
    if (i === 0) {
      const zigzag = varint();
      time = (zigzag >> 1n) ^ -(zigzag & 1n);
      word = bits(64);
    } else {
      if (i === 1) delta = varint();
      else {
        let prefix = 0;
        while (prefix < 4 && bit() === 1) prefix++;
        const width = [0, 14, 17, 20, 64][prefix]!;
        const raw = bits(width);
        // All widths but the full one hold -(2^(n-1) - 1) to 2^(n-1).
        delta +=
          width === 64
            ? BigInt.asIntN(64, raw)
            : raw > 1n << BigInt(width - 1 || 0)
              ? raw - (1n << BigInt(width))
              : raw;
      }
      time += delta;
      if (bit() === 1) {
        if (bit() === 1) {
          leading = Number(bits(5));
          const significant = Number(bits(6)) || 64;
          trailing = 64 - leading - significant;
        }
        word ^= bits(64 - leading - trailing) << BigInt(trailing);
      }
    }
    const value = new Float64Array(new BigUint64Array([word]).buffer)[0]!;
    samples.push({ time: Number(time), value, isStale: word === 0x7ff0000000000002n });
  }
  return samples;
}

/** @returns undefined when the window has no answer */
function windowFunction(
  name: string,
  samples: readonly Sample[],
  endMs: number,
  rangeMs: number,
  parameter: number | undefined,
): number | undefined {
  const values = samples.map(({ value }) => value);
  const [first, last] = [samples[0]!, samples.at(-1)!];
  const sum = values.reduce((total, value) => total + value, 0);
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
      if (before === undefined) return undefined;
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
      return compensatedSum(values);
    case "avg_over_time": {
      if (Number.isFinite(sum) || values.some((value) => !Number.isFinite(value)))
        return compensatedSum(values) / values.length;
      return values.reduce((mean, value, i) => mean + (value / (i + 1) - mean / (i + 1)), 0);
    }
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
      return quantile(parameter!, Float64Array.from(values));
    default:
      throw new Error(`the oracle does not know ${name}`);
  }
}

function compensatedSum(values: readonly number[]): number {
  let [sum, lost] = [0, 0];
  for (const value of values) {
    const next = sum + value;
    lost = !Number.isFinite(next)
      ? 0
      : Math.abs(sum) >= Math.abs(value)
        ? lost + (sum - next + value)
        : lost + (value - next + sum);
    sum = next;
  }
  return Number.isFinite(sum) ? sum + lost : sum;
}

function variance(values: readonly number[]): number {
  const mean = compensatedSum(values) / values.length;
  return compensatedSum(values.map((value) => (value - mean) ** 2)) / values.length;
}

function slope(samples: readonly Sample[]): number {
  if (samples.every(({ value }) => value === samples[0]!.value)) return Number.isFinite(samples[0]!.value) ? 0 : NaN;
  const xs = samples.map(({ time }) => (time - samples[0]!.time) / 1000);
  const ys = samples.map(({ value }) => value);
  const n = samples.length;
  const [sumX, sumY] = [compensatedSum(xs), compensatedSum(ys)];
  const covariance = compensatedSum(xs.map((x, i) => x * ys[i]!)) - (sumX * sumY) / n;
  return covariance / (compensatedSum(xs.map((x) => x * x)) - (sumX * sumX) / n);
}

/** Increase over the window, carried on to its ends when the outermost samples are near enough to them. */
function extrapolated(
  samples: readonly Sample[],
  endMs: number,
  rangeMs: number,
  isCounter: boolean,
  isRate: boolean,
): number | undefined {
  const [first, last] = [samples[0]!, samples.at(-1)!];
  if (samples.length < 2) return undefined;
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
  if (isCounter && increase > 0 && first.value >= 0) toStart = Math.min(toStart, interval * (first.value / increase));
  if (toEnd >= average * 1.1) toEnd = average / 2;
  return (increase * ((interval + toStart + toEnd) / interval)) / (isRate ? rangeMs / 1000 : 1);
}
