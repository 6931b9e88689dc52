/** Blocks as planning sees them: their meta.json alone, with ULIDs that a test can read. */
import type { BlockMeta } from "../../src/tsdb/block/meta.ts";
import { lineageOf } from "../../src/tsdb/compact/lineage.ts";

export const HOUR_MS = 3_600_000;

/** A ULID of this number: they sort as the numbers do. */
export const ulidOf = (n: number): string => n.toString(32).toUpperCase().padStart(26, "0");

export interface MetaFields {
  readonly minTime: number;
  readonly maxTime: number;
  readonly level?: number;
  readonly sources?: readonly number[];
  readonly parents?: readonly number[];
  readonly series?: number;
  readonly tombstones?: number;
}

export const metaOf = (
  n: number,
  { minTime, maxTime, level = 1, sources = [n], parents, series = 100, tombstones = 0 }: MetaFields,
): BlockMeta => ({
  ulid: ulidOf(n),
  minTime,
  maxTime,
  stats: { numSamples: 1, numSeries: series, numChunks: 1, numTombstones: tombstones },
  compaction: {
    level,
    sources: sources.map(ulidOf),
    ...(parents && { parents: parents.map((parent) => ({ ulid: ulidOf(parent), minTime, maxTime })) }),
  },
  version: 1,
});

/** What merging blocks leaves, without their tombstones. */
export function mergedMeta(n: number, blocks: readonly BlockMeta[]): BlockMeta {
  return {
    ulid: ulidOf(n),
    minTime: Math.min(...blocks.map(({ minTime }) => minTime)),
    maxTime: Math.max(...blocks.map(({ maxTime }) => maxTime)),
    stats: { numSamples: 1, numSeries: 100, numChunks: 1 },
    compaction: lineageOf(blocks),
    version: 1,
  };
}
