/**
 * What makes the head large: label names, values and metrics by how many series have them. Runs over every label pair, so
 * a query worker does it, on the memory it is attached to.
 */
import type { HeadMemory } from "../kernel/head-memory.ts";

/** The top label names, values and metrics, as /api/v1/status/tsdb shows them. */
export interface CardinalityStats {
  readonly seriesCount: number;
  readonly labelPairCount: number;
  readonly chunkCount: number;
  /** Undefined without samples. */
  readonly minTime: number | undefined;
  readonly maxTime: number | undefined;
  readonly seriesCountByMetricName: readonly NamedCount[];
  readonly labelValueCountByLabelName: readonly NamedCount[];
  readonly memoryInBytesByLabelName: readonly NamedCount[];
  readonly seriesCountByLabelValuePair: readonly NamedCount[];
}
export interface NamedCount {
  readonly name: string;
  readonly value: number;
}

/** Pairs between two calls of `check`. */
const CHECK_EVERY = 16_384;

/**
 * Needs a view.
 * @param limit entries of each list
 * @param check called now and then. @throws to stop
 */
export function cardinality(memory: HeadMemory, limit: number, check: () => void = () => undefined): CardinalityStats {
  const { at, kernel } = memory;
  const decoder = new TextDecoder();
  // TextDecoder takes no views of shared memory: slice() copies.
  const text = (address: number, byteCount: number): string =>
    decoder.decode(memory.slice(address >>> 0, byteCount >>> 0).slice());
  const nameOf = (id: number): string => text(kernel.nameAddress(id), kernel.nameBytes(id));
  const valueOf = (id: number): string => text(kernel.pairValueAddress(id), kernel.pairValueBytes(id));
  const pairText = (id: number): string => `${nameOf(kernel.pairNameId(id))}=${valueOf(id)}`;

  const names = kernel.nameCount() >>> 0;
  const memoryByName = new Float64Array(names);
  const metricNameId = findMetricName(names, nameOf);
  const metrics = new Largest(limit);
  const pairs = new Largest(limit);
  let pairCount = 0;
  for (let id = 0, end = memory.u32(at.H_PAIR_NEXT); id < end; id++) {
    if (id % CHECK_EVERY === 0) check();
    const series = kernel.pairPostings(id) >>> 0;
    // An id that is free, or of a pair that is gone or not yet complete.
    if (series === 0) continue;
    pairCount++;
    const nameId = kernel.pairNameId(id) >>> 0;
    // A name that came after they were counted waits for the next time.
    if (nameId < names) memoryByName[nameId]! += series * (kernel.pairValueBytes(id) >>> 0);
    if (nameId === metricNameId) metrics.offer(id, series);
    pairs.offer(id, series);
  }
  const valueCounts = new Largest(limit);
  const memorySizes = new Largest(limit);
  for (let id = 0; id < names; id++) {
    valueCounts.offer(id, kernel.namePairCount(id) >>> 0);
    memorySizes.offer(id, memoryByName[id]!);
  }
  return {
    seriesCount: memory.u32(at.H_SERIES_COUNT),
    labelPairCount: pairCount,
    chunkCount: memory.u32(at.H_OPEN_CHUNKS) + memory.u32(at.H_FULL_CHUNKS),
    ...timesOf(memory),
    seriesCountByMetricName: metrics.named(valueOf),
    labelValueCountByLabelName: valueCounts.named(nameOf),
    memoryInBytesByLabelName: memorySizes.named(nameOf),
    seriesCountByLabelValuePair: pairs.named(pairText),
  };
}

function findMetricName(names: number, nameOf: (id: number) => string): number | undefined {
  for (let id = 0; id < names; id++) if (nameOf(id) === "__name__") return id;
  return undefined;
}

function timesOf(memory: HeadMemory): Pick<CardinalityStats, "minTime" | "maxTime"> {
  const minTime = memory.i64(memory.at.H_MIN_TIME_MS);
  const maxTime = memory.i64(memory.at.H_MAX_TIME_MS);
  return minTime > maxTime ? { minTime: undefined, maxTime: undefined } : { minTime, maxTime };
}

/** The few largest of many counts. */
class Largest {
  readonly #limit: number;
  /** Largest first. */
  readonly #entries: { readonly id: number; readonly value: number }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(id: number, value: number): void {
    if (value === 0) return;
    if (this.#entries.length === this.#limit) {
      if (value <= this.#entries[this.#limit - 1]!.value) return;
      this.#entries.pop();
    }
    let place = this.#entries.length;
    while (place > 0 && this.#entries[place - 1]!.value < value) place--;
    this.#entries.splice(place, 0, { id, value });
  }

  named(nameOf: (id: number) => string): NamedCount[] {
    return this.#entries.map(({ id, value }) => ({ name: nameOf(id), value }));
  }
}
