import { expect, test } from "vitest";
import type { BlockMeta } from "../../../src/tsdb/block/meta.ts";
import { supersededBlocks } from "../../../src/tsdb/compact/superseded.ts";
import { mergedMeta, metaOf } from "../../support/block-metas.ts";

const superseded = (...blocks: readonly BlockMeta[]): number[] =>
  Array.from(supersededBlocks(blocks), (ulid) => Number.parseInt(ulid, 32)).sort((a, b) => a - b);

const cut = (n: number): BlockMeta => metaOf(n, { minTime: 0, maxTime: 2 });
const [a, b, c] = [cut(1), cut(2), cut(3)];
const ab = mergedMeta(10, [a, b]);
const abc = mergedMeta(11, [ab, c]);

test("a block that went into another is superseded, even when those between are gone", () => {
  expect(superseded(a, b, c)).toEqual([]);
  expect(superseded(a, b, c, ab)).toEqual([1, 2]);
  expect(superseded(a, c, abc)).toEqual([1, 3]);
  expect(superseded(a, ab, abc)).toEqual([1, 10]);
  expect(superseded(abc)).toEqual([]);
});

test("a block written anew supersedes the one that it was, not the other way round", () => {
  expect(superseded(a, mergedMeta(12, [a]))).toEqual([1]);
  // As Prometheus writes one anew: level 1, its own source, the old one as its parent.
  expect(
    superseded(metaOf(5, { minTime: 0, maxTime: 2, level: 3 }), metaOf(6, { minTime: 0, maxTime: 2, parents: [5] })),
  ).toEqual([5]);
});

test("blocks that share a part of their sources stay, and so does the younger of two that name each other", () => {
  expect(superseded(ab, mergedMeta(13, [b, c]))).toEqual([]);
  expect(
    superseded(
      metaOf(1, { minTime: 0, maxTime: 2, parents: [2] }),
      metaOf(2, { minTime: 0, maxTime: 2, parents: [1] }),
    ),
  ).toEqual([1]);
});
