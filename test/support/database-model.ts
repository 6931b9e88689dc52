/**
 * What a database promises to hold, as plain maps: written from docs/decisions/0008 and 0009 and docs/format/wal.md alone.
 *
 *   - what was acknowledged is there, once, bit for bit; of two values that were taken for one time the first
 *   - what was deleted is not there, until it is sent again
 *   - what is older than the retention may go, a block at a time; what is left of it was once written
 *
 * While a delete is in doubt (nobody was told that it is done) each sample of it is there or not.
 */
import type { StoredSeries } from "./read-database.ts";

/** Bits of the values that were taken for a time since it was last deleted, in the order in which they came. */
type Taken = readonly bigint[];

export interface ModelSample {
  readonly key: string;
  readonly timeMs: number;
  readonly bits: bigint;
}

export interface ModelDelete {
  readonly keys: readonly string[];
  /** Both ends inclusive. */
  readonly mint: number;
  readonly maxt: number;
}

export class DatabaseModel {
  readonly #series: Map<string, Map<number, Taken>>;
  /** Of each series, deleted or not. */
  readonly #newest: Map<string, number>;
  /** Samples before it may be gone. */
  #cutoffMs: number;

  constructor(from?: DatabaseModel) {
    this.#series = new Map();
    this.#newest = new Map();
    this.#cutoffMs = Number.NEGATIVE_INFINITY;
    if (from === undefined) return;
    for (const [key, samples] of from.#series) this.#series.set(key, new Map(samples));
    for (const [key, timeMs] of from.#newest) this.#newest.set(key, timeMs);
    this.#cutoffMs = from.#cutoffMs;
  }

  copy(): DatabaseModel {
    return new DatabaseModel(this);
  }

  get cutoffMs(): number {
    return this.#cutoffMs;
  }

  /** The retention was this once, so it stays: what has gone does not come back. */
  expire(beforeMs: number): void {
    this.#cutoffMs = Math.max(this.#cutoffMs, beforeMs);
  }

  /** Samples that were acknowledged. */
  take(samples: readonly ModelSample[]): void {
    for (const { key, timeMs, bits } of samples) {
      const series = this.#series.get(key) ?? new Map<number, Taken>();
      this.#series.set(key, series);
      series.set(timeMs, [...(series.get(timeMs) ?? []), bits]);
      this.#newest.set(key, Math.max(timeMs, this.#newest.get(key) ?? timeMs));
    }
  }

  delete({ keys, mint, maxt }: ModelDelete): void {
    for (const key of keys) {
      const series = this.#series.get(key);
      for (const timeMs of series?.keys() ?? []) if (timeMs >= mint && timeMs <= maxt) series?.delete(timeMs);
    }
  }

  get keys(): string[] {
    return [...this.#series.keys()];
  }

  get sampleCount(): number {
    return [...this.#series.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** The newest time that was ever taken of a series, and of all of them; undefined before there was one. */
  newestOf(key: string): number | undefined {
    return this.#newest.get(key);
  }

  get newestMs(): number | undefined {
    return this.#newest.size === 0 ? undefined : Math.max(...this.#newest.values());
  }

  /** What counts at a time; undefined when nothing does. */
  valueAt(key: string, timeMs: number): bigint | undefined {
    return this.#series.get(key)?.get(timeMs)?.[0];
  }

  timesOf(key: string): number[] {
    return [...(this.#series.get(key)?.keys() ?? [])];
  }

  /**
   * Compares what is stored with what is promised.
   * @param inDoubt a delete of which nobody knows how far it came
   * @returns what differs, in words; undefined when nothing does
   */
  difference(stored: ReadonlyMap<string, StoredSeries>, inDoubt?: ModelDelete): string | undefined {
    const isInDoubt = (key: string, timeMs: number): boolean =>
      inDoubt !== undefined && inDoubt.keys.includes(key) && timeMs >= inDoubt.mint && timeMs <= inDoubt.maxt;
    for (const [key, { times, bits }] of stored) {
      const known = this.#series.get(key);
      for (const [i, timeMs] of times.entries()) {
        const taken = known?.get(timeMs);
        const where = `${key} at ${timeMs}`;
        if (taken === undefined) return `${where}: ${hex(bits[i]!)} was deleted, or never written`;
        const isExact = timeMs >= this.#cutoffMs && !isInDoubt(key, timeMs);
        if (isExact ? bits[i] !== taken[0] : !taken.includes(bits[i]!))
          return `${where}: ${hex(bits[i]!)} instead of ${taken.map(hex).join(", then ")}`;
      }
    }
    for (const [key, samples] of this.#series) {
      const found = new Set(stored.get(key)?.times);
      for (const [timeMs, taken] of samples)
        if (timeMs >= this.#cutoffMs && !found.has(timeMs) && !isInDoubt(key, timeMs))
          return `${key} at ${timeMs}: ${taken.map(hex).join(", then ")} is missing`;
    }
    return undefined;
  }
}

const hex = (bits: bigint): string => `0x${bits.toString(16)}`;
