/** All that a storage answers, by series, decoded by the kernel's own decoder on a memory of its own. */
import { systemClock } from "../../src/base/clock.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../../src/tsdb/kernel/private-memory.ts";
import type { LabelSet } from "../../src/tsdb/model/labels.ts";
import type { Matcher } from "../../src/tsdb/model/matcher.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../src/tsdb/promql/budget.ts";
import { KernelReader } from "../../src/tsdb/promql/kernel-reader.ts";
import { LabelTable } from "../../src/tsdb/promql/label-table.ts";
import type { Storage } from "../../src/tsdb/storage.ts";

export interface StoredSeries {
  readonly times: number[];
  /** In the order of `times`; only for values whose NaN payload does not matter. */
  readonly values: number[];
  /** The same values, bit for bit. */
  readonly bits: bigint[];
}

export interface Reading {
  readonly matchers?: readonly Matcher[];
  readonly mint?: number;
  readonly maxt?: number;
}

export interface Read {
  /** By labels, written name="value",... in order of names; what chunks have outside of the range is there, too. */
  readonly series: Map<string, StoredSeries>;
  readonly warnings: readonly string[];
}

/** One reading at a time: all lie in the same memory. */
const memory = new PrivateMemory(loadKernelModule());

/** Labels as text, the keys of what was read. */
export const keyOf = (labels: LabelSet): string => labels.map(([name, value]) => `${name}="${value}"`).join();

/** @throws when a series comes twice, or its samples are not in order of time */
export function readStorage(
  storage: Storage,
  { matchers = [], mint = Number.MIN_SAFE_INTEGER, maxt = Number.MAX_SAFE_INTEGER }: Reading = {},
): Read {
  const budget = new QueryBudget(DEFAULT_LIMITS, systemClock);
  const reader = new KernelReader(memory, budget);
  const { batch } = reader;
  const labels = new LabelTable();
  const querier = storage.querier({ labels, budget });
  try {
    const selection = querier.select(matchers, mint, maxt);
    const found = new Map<string, StoredSeries>();
    for (reader.clearBatch(); selection.next(batch); reader.clearBatch())
      for (let i = 0; i < batch.seriesCount; i++) {
        const pairs = [...selection.labels(batch.firstSeries + i)].map((id) => labels.pair(id));
        const key = keyOf(pairs);
        if (found.has(key)) throw new Error(`${key} comes twice`);
        const series: StoredSeries = { times: [], values: [], bits: [] };
        found.set(key, series);
        for (let chunk = batch.chunkStart[i]!; chunk < batch.chunkStart[i + 1]!; chunk++) {
          const [encoding, address, bytes] = [
            batch.encoding[chunk]!,
            batch.chunkAddress[chunk]!,
            batch.chunkBytes[chunk]!,
          ];
          decode(encoding, address, bytes, series);
        }
        const { times } = series;
        if (times.some((time, n) => n > 0 && time <= times[n - 1]!)) throw new Error(`${key} is out of order`);
      }
    return { series: found, warnings: [...querier.warnings] };
  } finally {
    querier.close();
  }
}

function decode(encoding: number, address: number, bytes: number, into: StoredSeries): void {
  const { kernel } = memory;
  const countMax = kernel.chunkSampleCount(encoding, address, bytes);
  const [times, values] = [memory.reserve(8 * countMax), memory.reserve(8 * countMax)];
  const count = kernel.decodeChunk(encoding, address, bytes, times, values, countMax);
  if (count < 0) throw new Error("A chunk does not decode");
  const { buffer } = memory.bytes;
  for (let i = 0; i < count; i++) {
    into.times.push(new Float64Array(buffer, times, count)[i]!);
    into.values.push(new Float64Array(buffer, values, count)[i]!);
    into.bits.push(new BigUint64Array(buffer, values, count)[i]!);
  }
}
