import fc from "fast-check";
import { expect, test } from "vitest";
import type { BlockMeta } from "../../../src/tsdb/block/meta.ts";
import { compactionRanges, compareBlocks, planCompaction } from "../../../src/tsdb/compact/plan.ts";
import { HOUR_MS, mergedMeta, metaOf, ulidOf } from "../../support/block-metas.ts";

const DAY_MS = 24 * HOUR_MS;
const nothing: ReadonlySet<string> = new Set();

/** Blocks from a drawing: [from, to) in hours, numbered from 1 in the order in which they were cut. */
const hours = (...ranges: readonly (readonly [number, number])[]): BlockMeta[] =>
  ranges.map(([from, to], i) => metaOf(i + 1, { minTime: from * HOUR_MS, maxTime: to * HOUR_MS }));

const plan = (blocks: readonly BlockMeta[], excluded = nothing, rangesMs = [2, 6, 18].map((n) => n * HOUR_MS)) =>
  planCompaction(blocks, { rangesMs, excluded });

/** Numbers of the blocks that would be merged. */
const planned = (blocks: readonly BlockMeta[], excluded?: ReadonlySet<string>): number[] | undefined =>
  plan(blocks, excluded)?.sources.map(({ ulid }) => Number.parseInt(ulid, 32));

test("ranges begin with two hours and grow threefold up to a tenth of the retention or 31 days", () => {
  for (const [retentionMs, expected] of [
    [30 * DAY_MS, [2, 6, 18, 54]],
    [15 * DAY_MS, [2, 6, 18]],
    [HOUR_MS, [2]],
    [365 * DAY_MS, [2, 6, 18, 54, 162, 486]],
    [undefined, [2, 6, 18, 54, 162, 486]],
  ] as const)
    expect(compactionRanges(2 * HOUR_MS, retentionMs).map((range) => range / HOUR_MS)).toEqual(expected);
});

test("blocks that fill a range are merged; the newest is left out, and a range that may still grow waits", () => {
  for (const [blocks, expected] of [
    [hours(), undefined],
    [hours([0, 2]), undefined],
    [hours([0, 2], [2, 4]), undefined],
    [hours([0, 2], [2, 4], [4, 6]), undefined],
    [hours([0, 2], [2, 4], [4, 6], [6, 8]), [1, 2, 3]],
    [hours([0, 2], [2, 4], [6, 8]), undefined],
    [hours([0, 2], [2, 4], [6, 8], [8, 10]), [1, 2]],
    [hours([2, 4], [4, 6], [6, 8], [8, 10]), [1, 2]],
    [hours([-6, -4], [-4, -2], [-2, 0], [0, 2]), [1, 2, 3]],
    // 6 h blocks become one of 18 h.
    [hours([0, 6], [6, 12], [12, 18], [18, 20]), [1, 2, 3]],
    [hours([0, 6], [6, 12], [18, 20], [20, 22]), [1, 2]],
    // One reaches across the end of a range: it is merged with nothing.
    [hours([0, 2], [2, 8], [8, 10], [10, 12], [12, 14], [14, 16]), [3, 4]],
    // Flushed for memory: parts of the shortest range.
    [hours([0, 0.5], [0.5, 1.5], [1.5, 2], [2, 4]), [1, 2, 3]],
    [hours([0, 0.5], [0.5, 1.5], [2, 2.5], [2.5, 3]), [1, 2]],
    [hours([0, 0.5], [0.5, 1.5], [1.5, 1.75]), undefined],
  ] as const)
    expect(planned(blocks)).toEqual(expected);
});

test("blocks that overlap are merged before all others, the newest included, each group as a whole", () => {
  for (const [blocks, expected] of [
    [hours([0, 2], [1, 2]), [1, 2]],
    [hours([0, 2], [2, 4]), undefined],
    [hours([0, 2], [2, 4], [4, 6], [6, 8], [7, 8]), [4, 5]],
    // By way of others.
    [hours([0, 3], [2, 5], [4, 6], [6, 8]), [1, 2, 3]],
    // Within a long one.
    [hours([0, 18], [2, 4], [8, 10], [18, 20]), [1, 2, 3]],
    // The oldest group first.
    [hours([6, 8], [6, 8], [0, 2], [0, 2]), [3, 4]],
  ] as const)
    expect(planned(blocks)).toEqual(expected);
});

test("of two samples with one time the block cut first has its way, whatever it was merged with since", () => {
  const old = metaOf(9, { minTime: 0, maxTime: 6, level: 2, sources: [1, 5] });
  const late = metaOf(7, { minTime: 0, maxTime: 2 });
  const older = metaOf(8, { minTime: 0, maxTime: 2, sources: [0, 8] });
  expect([late, old, older].sort(compareBlocks)).toEqual([older, old, late]);
  expect(plan([late, old, older])?.sources).toEqual([older, old, late]);
});

test("what is excluded is left alone, and with it all that overlaps it or lies in its range", () => {
  const busy = new Set([ulidOf(2)]);
  expect(planned(hours([0, 2], [2, 4], [4, 6], [6, 8]), busy)).toBeUndefined();
  // 1 and 3 overlap each other by way of 2 only, 4 and 5 on their own.
  expect(planned(hours([0, 3], [2, 5], [4, 6], [6, 8], [6, 8]), busy)).toEqual([4, 5]);
  // Merging 1 and 3 now would let 3 pass 2.
  expect(planned(hours([0, 2], [0, 2], [0, 2]), busy)).toBeUndefined();
  // Others go on where a group must wait.
  expect(planned(hours([0, 2], [0, 2], [6, 8], [8, 10], [10, 12], [12, 14]), busy)).toEqual([3, 4, 5]);
});

test("a block of which much is deleted is written anew, once it is long enough, or all of it is gone", () => {
  const blocks = (tombstones: number, length: number) => [
    metaOf(1, { minTime: 0, maxTime: length * HOUR_MS, tombstones }),
    metaOf(2, { minTime: 18 * HOUR_MS, maxTime: 20 * HOUR_MS, tombstones }),
  ];
  for (const [tombstones, length, expected] of [
    [5, 6, undefined],
    [6, 6, [1]],
    [99, 2, undefined],
    [100, 2, [1]],
    [0, 18, undefined],
  ] as const) {
    expect(planned(blocks(tombstones, length))).toEqual(expected);
    expect(planned(blocks(tombstones, length), new Set([ulidOf(1)]))).toBeUndefined();
  }
  expect(plan(blocks(6, 6))?.reason).toBe("tombstones");
});

const aligned = fc
  .array(fc.record({ length: fc.constantFrom(2, 6, 18), at: fc.nat(6), tombstones: fc.nat(120) }), { maxLength: 24 })
  .map((ranges) =>
    ranges.map(({ length, at, tombstones }, i) =>
      metaOf(i + 1, { minTime: at * length * HOUR_MS, maxTime: (at + 1) * length * HOUR_MS, tombstones }),
    ),
  );
const ragged = fc
  .array(fc.record({ from: fc.integer({ min: -40, max: 40 }), length: fc.integer({ min: 1, max: 30 }) }), {
    maxLength: 24,
  })
  .map((ranges) =>
    ranges.map(({ from, length }, i) => metaOf(i + 1, { minTime: from * HOUR_MS, maxTime: (from + length) * HOUR_MS })),
  );

const overlap = (a: BlockMeta, b: BlockMeta): boolean => a.minTime < b.maxTime && b.minTime < a.maxTime;

/** Merges until there is nothing to merge; calls `visit` with what each merge found and made. */
function settle(blocks: readonly BlockMeta[], visit: (before: readonly BlockMeta[], merged: BlockMeta) => void) {
  let present = [...blocks];
  for (let n = 1000; ; n++) {
    const next = plan(present);
    if (next === undefined) return present;
    expect(n).toBeLessThan(1000 + 2 * blocks.length + 1);
    const merged = mergedMeta(n, next.sources);
    visit(present, merged);
    present = [...present.filter((block) => !next.sources.includes(block)), merged];
  }
}

test("planning ends: each merge leaves fewer blocks or fewer tombstones, and nothing overlaps in the end", () => {
  fc.assert(
    fc.property(fc.oneof(aligned, ragged), (blocks) => {
      const left = settle(blocks, () => {});
      for (const a of left) for (const b of left) expect(a !== b && overlap(a, b)).toBe(false);
    }),
  );
});

test("no merge lets a sample pass another: where blocks overlap, they keep their order", () => {
  fc.assert(
    fc.property(fc.oneof(aligned, ragged), (blocks) => {
      settle(blocks, (before, merged) => {
        const sources = new Set(merged.compaction.parents?.map(({ ulid }) => ulid));
        for (const other of before) {
          if (sources.has(other.ulid) || !overlap(other, merged)) continue;
          for (const source of before.filter(({ ulid }) => sources.has(ulid)))
            expect(Math.sign(compareBlocks(other, merged))).toBe(Math.sign(compareBlocks(other, source)));
        }
      });
    }),
  );
});

test("blocks that lie within ranges are never merged across the end of one", () => {
  fc.assert(
    fc.property(aligned, (blocks) => {
      settle(blocks, (_, { minTime, maxTime }) => {
        const isWithin = (range: number) => Math.floor(minTime / range) === Math.floor((maxTime - 1) / range);
        expect([2, 6, 18].some((length) => isWithin(length * HOUR_MS))).toBe(true);
      });
    }),
  );
});
