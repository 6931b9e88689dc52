import fc from "fast-check";
import { expect, test } from "vitest";
import { expiredBlocks, retentionCutoffMs, type SizedBlock } from "../../../src/tsdb/compact/retention.ts";
import { metaOf } from "../../support/block-metas.ts";

const block = (n: number, minTime: number, maxTime: number, sizeBytes = 100): SizedBlock => ({
  meta: metaOf(n, { minTime, maxTime }),
  sizeBytes,
});
const unlimited = { ageMs: undefined, sizeBytesMax: undefined, volumePercentMax: undefined };
const state = { nowMs: 3000, newestSampleMs: 2000, otherBytes: 0, volumeBytes: 1000 };
const expired = (...given: Parameters<typeof expiredBlocks>): (readonly [number, string])[] =>
  expiredBlocks(...given).map(({ ulid, reason }) => [Number.parseInt(ulid, 32), reason]);

test("retention drops a block only when all of it is older than the limit", () => {
  for (const [maxTime, isDropped] of [
    [999, true],
    [1000, true],
    [1001, false],
  ] as const)
    expect(expired([block(1, 0, maxTime)], { ...unlimited, ageMs: 1000 }, state).length).toBe(isDropped ? 1 : 0);
});

test("age is counted from the older of the clock and the newest sample", () => {
  for (const [nowMs, newestSampleMs, expectedMs] of [
    [5000, 9000, 4000],
    [9000, 5000, 4000],
    [9e15, 5000, 4000],
    [5000, undefined, Number.NEGATIVE_INFINITY],
  ] as const)
    expect(retentionCutoffMs({ ageMs: 1000 }, { nowMs, newestSampleMs })).toBe(expectedMs);
});

test("by size the oldest go until the rest fits, what is not in blocks counted in", () => {
  const blocks = [block(3, 400, 600), block(1, 0, 200), block(2, 200, 400)];
  for (const [sizeBytesMax, otherBytes, gone] of [
    [300, 0, []],
    [299, 0, [1]],
    [300, 1, [1]],
    [150, 0, [1, 2]],
    [100, 50, [1, 2, 3]],
  ] as const)
    expect(expired(blocks, { ...unlimited, sizeBytesMax }, { ...state, otherBytes }).map(([n]) => n)).toEqual(gone);
});

test("a small old block does not outlive a large one that does not fit", () => {
  const blocks = [block(1, 0, 200, 1), block(2, 200, 400, 1000), block(3, 400, 600, 10)];
  expect(expired(blocks, { ...unlimited, sizeBytesMax: 100 }, state)).toEqual([
    [1, "size"],
    [2, "size"],
  ]);
});

test("a percentage is of the volume; of two limits on size the smaller counts", () => {
  const blocks = [block(1, 0, 200), block(2, 200, 400), block(3, 400, 600)];
  for (const [volumePercentMax, sizeBytesMax, gone] of [
    [30, undefined, 0],
    [25, undefined, 1],
    [25, 100, 2],
    [10, 900, 2],
    [0.1, undefined, 3],
  ] as const)
    expect(expired(blocks, { ...unlimited, volumePercentMax, sizeBytesMax }, state).length).toBe(gone);
});

test("without limits nothing goes; with them, never a block and not an older one", () => {
  const blocksArbitrary = fc
    .array(fc.record({ from: fc.nat(3000), length: fc.integer({ min: 1, max: 500 }), bytes: fc.nat(300) }))
    .map((given) => given.map(({ from, length, bytes }, i) => block(i + 1, from, from + length, bytes)));
  const limit = fc.option(fc.integer({ min: 1, max: 1500 }), { nil: undefined });
  const limits = fc.record({ ageMs: limit, sizeBytesMax: limit, volumePercentMax: fc.constantFrom(undefined, 5, 50) });
  fc.assert(
    fc.property(blocksArbitrary, limits, (blocks, given) => {
      expect(expiredBlocks(blocks, unlimited, state)).toEqual([]);
      const gone = expiredBlocks(blocks, given, state);
      const isGone = ({ meta }: SizedBlock): boolean => gone.some(({ ulid }) => ulid === meta.ulid);
      const newestGone = Math.max(...blocks.filter(isGone).map(({ meta }) => meta.maxTime));
      for (const kept of blocks) if (!isGone(kept)) expect(kept.meta.maxTime).toBeGreaterThanOrEqual(newestGone);
      expect(gone.map(({ ulid }) => blocks.find(({ meta }) => meta.ulid === ulid)!.meta.maxTime)).toEqual(
        blocks
          .filter(isGone)
          .map(({ meta }) => meta.maxTime)
          .sort((a, b) => a - b),
      );
    }),
  );
});
