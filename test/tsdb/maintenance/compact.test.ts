import { expect, test } from "vitest";
import { CHUNK_PACKED, CHUNK_XOR } from "../../../src/tsdb/storage.ts";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import { ulidOf } from "../../support/block-metas.ts";
import { bitsOf, STALE_BITS, type Sample } from "../../support/columns.ts";
import {
  chunksOf,
  dirOf,
  flatten,
  readBlocks,
  runnerOn,
  sorted,
  writePlainBlock,
  type PlainSeries,
} from "../../support/maintenance.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const values = [
  bitsOf(0),
  bitsOf(-0),
  STALE_BITS,
  0x7ff8_0000_0bad_cafen,
  bitsOf(Infinity),
  bitsOf(0.1),
  bitsOf(1e300),
];

/** Names whose order in UTF-8 and in UTF-16 differ are among them. */
const labelSets: readonly LabelSet[] = [
  [["__name__", "up"]],
  [
    ["__name__", "up"],
    ["instance", "a"],
  ],
  [
    ["__name__", "up"],
    ["instance", "\u{1f600}"],
  ],
  [
    ["__name__", "up"],
    ["instance", "\uffee"],
  ],
  [["zone", "eu"]],
  [["\u{1f600}", "eu"]],
];

/** Chunks of ascending samples in [from, to), some long, some of one sample. */
function randomChunks(random: Random, from: number, to: number): Sample[][] {
  const chunks: Sample[][] = [];
  for (let time = from + random.below(20); time < to;) {
    const samples: Sample[] = [];
    for (let left = random.pick([1, 3, 40, 120, 250]); left > 0 && time < to; left--) {
      samples.push({ timeMs: time, value: random.chance(0.3) ? random.pick(values) : bitsOf(random.below(1000) / 8) });
      time += random.chance(0.9) ? 10 : random.between(1, 400);
    }
    chunks.push(samples);
    time += random.pick([0, 0, 500]);
  }
  return chunks;
}

function randomBlock(random: Random): PlainSeries[] {
  const [from, length] = [random.below(8) * 1000, random.pick([500, 2000, 6000])];
  return labelSets
    .filter(() => random.chance(0.7))
    .map((labels) => ({
      labels,
      chunks: randomChunks(random, from, from + length),
      deleted: Array.from({ length: random.pick([0, 0, 1, 4]) }, () => {
        const mint = from + random.below(length);
        return [mint, mint + random.pick([0, 10, 800, 9000])] as const;
      }),
    }))
    .filter(({ chunks }) => chunks.length > 0);
}

test("merging is the same as putting all samples in one map, older blocks first, without what is deleted", async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  for (let round = 0; round < 60; round++) {
    const disk = new MemoryVfs();
    const sources = Array.from({ length: random.between(1, 5) }, () => randomBlock(random));
    const ulids: string[] = [];
    for (const [n, series] of sources.entries()) ulids.push(await writePlainBlock(disk, n + 1, series));
    const packed = random.chance(0.5);
    const { block } = await runnerOn(disk).run({ kind: "compact", sources: ulids, packed, reserveBytes: 0 });

    const expected = sorted(flatten(sources));
    const where = `SEED=${seed}, round ${round}`;
    if (block === undefined) {
      expect(expected, where).toEqual([]);
      continue;
    }
    const dir = dirOf(block.meta.ulid);
    expect(sorted(readBlocks(disk, [dir])), where).toEqual(expected);
    const chunks = chunksOf(disk, dir);
    for (const [i, { series, samples }] of chunks.entries())
      if (chunks[i + 1]?.series === series)
        expect(chunks[i + 1]!.samples[0]!.timeMs, where).toBeGreaterThan(samples.at(-1)!.timeMs);
    if (!packed) for (const { encoding } of chunks) expect(encoding).toBe(CHUNK_XOR);
    expect(block.meta.stats).toMatchObject({
      numSamples: expected.reduce((sum, [, samples]) => sum + samples.length, 0),
      numSeries: expected.length,
      numChunks: chunks.length,
    });
  }
});

const regular = (from: number, count: number): Sample[] =>
  Array.from({ length: count }, (_, i) => ({ timeMs: from + 10 * i, value: bitsOf(i) }));
const up: LabelSet = [["__name__", "up"]];

async function merged(sources: readonly (readonly PlainSeries[])[], packed = false) {
  const disk = new MemoryVfs();
  const ulids: string[] = [];
  for (const [n, series] of sources.entries()) ulids.push(await writePlainBlock(disk, n + 1, series));
  const { block } = await runnerOn(disk).run({ kind: "compact", sources: ulids, packed, reserveBytes: 0 });
  return { disk, ulids, block: block! };
}

test("a merged block names its sources and parents, and takes the place of the oldest", async () => {
  const { disk, ulids, block } = await merged([
    [{ labels: up, chunks: [regular(0, 5)] }],
    [{ labels: up, chunks: [regular(1000, 5)] }],
  ]);
  expect(block.meta).toMatchObject({
    minTime: 0,
    maxTime: 1041,
    compaction: { level: 2, sources: ulids, parents: [{ ulid: ulids[0] }, { ulid: ulids[1] }] },
  });
  expect(block.meta.ulid > ulidOf(2)).toBe(true);
  expect(await disk.list("/data/blocks")).toEqual([...ulids, block.meta.ulid]);
});

test("chunks are packed into long ones, and become XOR chunks again, without losing a bit", async () => {
  const samples = Array.from({ length: 5000 }, (_, i) => ({
    timeMs: 1000 * i + (i % 7),
    value: i % 501 === 9 ? STALE_BITS : bitsOf(i < 3000 ? i / 100 : Math.sqrt(i)),
  }));
  const chunks = Array.from({ length: 50 }, (_, i) => samples.slice(100 * i, 100 * i + 100));
  const { disk, block } = await merged([[{ labels: up, chunks }]], true);
  const packed = chunksOf(disk, dirOf(block.meta.ulid));
  expect(packed.map(({ encoding }) => encoding)).toContain(CHUNK_PACKED);
  expect(packed.length).toBeLessThan(5);
  expect(packed.flatMap((chunk) => chunk.samples)).toEqual(samples);

  const again = { kind: "compact", sources: [block.meta.ulid], packed: false, reserveBytes: 0 } as const;
  const { block: unpacked } = await runnerOn(disk).run(again);
  const back = chunksOf(disk, dirOf(unpacked!.meta.ulid));
  expect(new Set(back.map(({ encoding }) => encoding))).toEqual(new Set([CHUNK_XOR]));
  expect(back.flatMap((chunk) => chunk.samples)).toEqual(samples);
});

test("without packing, chunks that neither overlap nor are short go through; short ones are put together", async () => {
  const { disk, block } = await merged([
    [{ labels: up, chunks: [regular(0, 120), regular(2000, 10), regular(2500, 20)] }],
    [{ labels: up, chunks: [regular(5000, 100), regular(7000, 200)] }],
  ]);
  const lengths = chunksOf(disk, `/data/blocks/${block.meta.ulid}`).map(({ samples }) => samples.length);
  expect(lengths).toEqual([120, 30, 100, 200]);
});

test("a merge asks for the space first, and leaves the reserve alone", async () => {
  const { disk, ulids } = await merged([[{ labels: up, chunks: [regular(0, 120)] }]]);
  const before = await disk.list("/data/blocks");
  const { freeBytes } = await disk.space("/");
  const run = runnerOn(disk).run({ kind: "compact", sources: ulids, packed: false, reserveBytes: freeBytes - 10 });
  await expect(run).rejects.toMatchObject({
    code: "NO_SPACE",
    message: expect.stringMatching(/^Cannot write block \w+ anew: this may write 1 MB, and \d+ MB are free/) as string,
  });
  expect(await disk.list("/data/blocks")).toEqual(before);
});

test("a source that is damaged fails the merge, and is named", async () => {
  const { disk, ulids } = await merged([[{ labels: up, chunks: [regular(0, 120)] }]]);
  const file = await disk.open(`${dirOf(ulids[0]!)}/chunks/000001`, "write");
  await file.write(Uint8Array.of(0xff), 100);
  await file.close();
  await expect(
    runnerOn(disk).run({ kind: "compact", sources: ulids, packed: false, reserveBytes: 0 }),
  ).rejects.toMatchObject({ code: "BLOCK_CORRUPT", message: expect.stringContaining(ulids[0]!) as string });
  const { damages } = await runnerOn(disk).run({ kind: "verify", ulid: ulids[0]! });
  expect(damages.length).toBeGreaterThan(0);
  expect(damages[0]).toMatchObject({ file: "chunks/000001" });
});
