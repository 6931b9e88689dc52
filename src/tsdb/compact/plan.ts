/**
 * Which blocks to merge next. Blocks grow as Prometheus' do: ranges of 2 h, 6 h, 18 h, ... that begin at multiples of their
 * length; what lies in one range becomes one block once the range is full, or once a later block says that it is over.
 *
 *   1. Blocks that overlap are merged first, each group of them as a whole.
 *   2. Then the smallest range that holds several blocks; the newest block is left out, so that merging never runs into
 *      what is still being written or copied away.
 *   3. Then a block of which much is deleted is written anew.
 *
 * Order of samples: of two samples with one timestamp the block that comes first in `compareBlocks` has its way. A merged
 * block takes the place of its oldest source, so nothing may lie between the sources: a group of overlapping blocks is
 * taken whole or not at all, and what is merged by range overlaps nothing else.
 *
 * Unlike Prometheus' plan, blocks within the shortest range are merged, too: a flush for memory cuts a range in several.
 * @see Prometheus tsdb/compact.go: plan, selectDirs, selectOverlappingDirs
 */
import type { BlockMeta } from "../block/meta.ts";

export interface CompactionPlan {
  readonly reason: "overlap" | "range" | "tombstones";
  /** In the order in which their samples count. */
  readonly sources: readonly BlockMeta[];
}

export interface PlanOptions {
  /** Ascending, each a multiple of the one before: compactionRanges. */
  readonly rangesMs: readonly number[];
  /** ULIDs of blocks to leave as they are: being merged now, or their merge has failed. */
  readonly excluded: ReadonlySet<string>;
}

/** A block with more tombstones than this for each of its series is written anew. */
const TOMBSTONES_PER_SERIES_MAX = 0.05;

const RANGE_STEP = 3;
const RANGES_MAX = 10;
const LONGEST_RANGE_MS = 31 * 24 * 3_600_000;

/**
 * Lengths of blocks: the first, then each three times the one before, up to a tenth of the retention or 31 days.
 * @param retentionMs undefined: for ever
 */
export function compactionRanges(blockRangeMs: number, retentionMs: number | undefined): number[] {
  const longestMs = Math.min(LONGEST_RANGE_MS, (retentionMs ?? Number.POSITIVE_INFINITY) / 10);
  const ranges = [blockRangeMs];
  for (let range = blockRangeMs * RANGE_STEP; range <= longestMs && ranges.length < RANGES_MAX; range *= RANGE_STEP)
    ranges.push(range);
  return ranges;
}

/** When the oldest of what is in a block was cut from the head: ULIDs sort by time. */
export const orderOfBlock = ({ ulid, compaction }: BlockMeta): string =>
  compaction.sources.reduce((oldest, source) => (source < oldest ? source : oldest), compaction.sources[0] ?? ulid);

/** Sorts blocks by the order in which their samples count: the first has its way. */
export function compareBlocks(a: BlockMeta, b: BlockMeta): number {
  const [orderA, orderB] = [orderOfBlock(a), orderOfBlock(b)];
  return orderA < orderB ? -1 : orderA > orderB ? 1 : a.ulid < b.ulid ? -1 : a.ulid > b.ulid ? 1 : 0;
}

/** @returns undefined when all is as it should be */
export function planCompaction(blocks: readonly BlockMeta[], options: PlanOptions): CompactionPlan | undefined {
  const sorted = blocks.toSorted((a, b) => a.minTime - b.minTime || a.maxTime - b.maxTime || compareBlocks(a, b));
  const isFree = (group: readonly BlockMeta[]): boolean => !group.some(({ ulid }) => options.excluded.has(ulid));
  const groups = groupsByOverlap(sorted);

  const overlap = groups.find((group) => group.length > 1 && isFree(group));
  if (overlap !== undefined) return planOf("overlap", overlap);

  // The block that begins last is left out. Where blocks overlap that cannot be merged, their neighbours still can.
  const older = sorted.slice(0, -1);
  const apart = new Set(groups.flatMap((group) => (group.length === 1 ? group : [])));
  const range = partOfRange(older, options, (part) => isFree(part) && part.every((block) => apart.has(block)));
  if (range !== undefined) return planOf("range", range);

  const rewrite = mostlyDeleted(
    older.filter((block) => apart.has(block) && isFree([block])),
    options,
  );
  return rewrite && planOf("tombstones", [rewrite]);
}

const planOf = (reason: CompactionPlan["reason"], sources: readonly BlockMeta[]): CompactionPlan => ({
  reason,
  sources: sources.toSorted(compareBlocks),
});

/** Blocks that overlap, directly or by way of others, together. @param sorted by minTime */
function groupsByOverlap(sorted: readonly BlockMeta[]): BlockMeta[][] {
  const groups: BlockMeta[][] = [];
  let maxTime = Number.NEGATIVE_INFINITY;
  for (const block of sorted) {
    if (block.minTime < maxTime) groups.at(-1)?.push(block);
    else groups.push([block]);
    maxTime = Math.max(maxTime, block.maxTime);
  }
  return groups;
}

function partOfRange(
  sorted: readonly BlockMeta[],
  { rangesMs }: PlanOptions,
  isMergeable: (part: readonly BlockMeta[]) => boolean,
): BlockMeta[] | undefined {
  const highTime = sorted.at(-1)?.minTime ?? 0;
  for (const rangeMs of rangesMs) {
    const complete = splitByRange(sorted, rangeMs).find((part) => {
      const minTime = part[0]!.minTime;
      const maxTime = Math.max(...part.map((block) => block.maxTime));
      // A range that may still get a block waits, else it would be merged again and again.
      return part.length > 1 && (maxTime - minTime === rangeMs || maxTime <= highTime) && isMergeable(part);
    });
    if (complete !== undefined) return complete;
  }
  return undefined;
}

/** Blocks that lie within the same range, for each range; those that reach across a boundary are left out. */
function splitByRange(sorted: readonly BlockMeta[], rangeMs: number): BlockMeta[][] {
  const parts = new Map<number, BlockMeta[]>();
  for (const block of sorted) {
    const range = Math.floor(block.minTime / rangeMs);
    if (block.maxTime > (range + 1) * rangeMs) continue;
    const part = parts.get(range);
    if (part === undefined) parts.set(range, [block]);
    else part.push(block);
  }
  return [...parts.values()];
}

/** Of the blocks that are long enough to stay as they are for a while, the newest that is worth it. */
function mostlyDeleted(sorted: readonly BlockMeta[], { rangesMs }: PlanOptions): BlockMeta | undefined {
  const longMs = rangesMs[Math.floor(rangesMs.length / 2)]!;
  return sorted.findLast(({ minTime, maxTime, stats }) => {
    const tombstones = stats.numTombstones ?? 0;
    if (maxTime - minTime < longMs) return tombstones > 0 && tombstones >= stats.numSeries;
    return tombstones > TOMBSTONES_PER_SERIES_MAX * (stats.numSeries + 1);
  });
}
