import { expect, test } from "vitest";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import type { DeleteJob } from "../../../src/tsdb/maintenance/protocol.ts";
import { bitsOf, type Sample } from "../../support/columns.ts";
import {
  BLOCKS_DIR,
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

const samples = (from: number, count: number): Sample[] =>
  Array.from({ length: count }, (_, i) => ({ timeMs: from + 10 * i, value: bitsOf(i) }));
const labels = (name: string, zone: string): LabelSet => [
  ["__name__", name],
  ["zone", zone],
];
const series = (name: string, zone: string, from: number): PlainSeries => ({
  labels: labels(name, zone),
  chunks: [samples(from, 100), samples(from + 1000, 50)],
});

const deletion = (ulids: readonly string[], fields: Partial<DeleteJob> = {}): DeleteJob => ({
  kind: "delete",
  ulids,
  selectors: [`{zone="eu"}`],
  mint: 500,
  maxt: 1099,
  isDryRun: false,
  ...fields,
});

async function twoBlocks() {
  const disk = new MemoryVfs();
  const sources = [
    [series("up", "eu", 0), series("up", "us", 0)],
    [series("down", "eu", 500), series("up", "eu", 1500)],
  ];
  const ulids = [await writePlainBlock(disk, 1, sources[0]!), await writePlainBlock(disk, 2, sources[1]!)];
  return { disk, sources, ulids, runner: runnerOn(disk) };
}

test("a delete hides the samples that match in its range, and says how many", async () => {
  const { disk, sources, ulids, runner } = await twoBlocks();
  const result = await runner.run(deletion(ulids));
  // up of the first block from 500 to 990 and from 1000 to 1090, down of the second from 500 to 1090.
  expect(result).toMatchObject({ ulids, seriesCount: 2, sampleCount: 60 + 60 });
  const expected = sources.map((list) =>
    list.map((given) => (given.labels[1]![1] === "eu" ? { ...given, deleted: [[500, 1099] as const] } : given)),
  );
  expect(sorted(readBlocks(disk, ulids.map(dirOf)))).toEqual(sorted(flatten(expected)));
  expect((await runner.run(deletion(ulids))).sampleCount, "the second time").toBe(0);
});

test("a dry run counts the same, and changes nothing", async () => {
  const { disk, sources, ulids, runner } = await twoBlocks();
  const dry = await runner.run(deletion(ulids, { isDryRun: true }));
  expect(sorted(readBlocks(disk, ulids.map(dirOf)))).toEqual(sorted(flatten(sources)));
  expect(await runner.run(deletion(ulids))).toEqual(dry);
});

test("only blocks with samples to delete are named; several selectors are any of them", async () => {
  const { ulids, runner } = await twoBlocks();
  const of = (fields: Partial<DeleteJob>) => runner.run(deletion(ulids, { isDryRun: true, ...fields }));
  expect(await of({ selectors: ["up"], mint: 0, maxt: 10 })).toMatchObject({
    ulids: [ulids[0]],
    seriesCount: 2,
    sampleCount: 4,
  });
  expect(await of({ selectors: ["up", "down", `{zone=~"eu|us"}`], mint: 0, maxt: 9999 })).toMatchObject({
    ulids,
    seriesCount: 3,
    sampleCount: 600,
  });
  expect(await of({ selectors: ["sideways"] })).toMatchObject({ ulids: [], seriesCount: 0, sampleCount: 0 });
  await expect(of({ selectors: ["up{"] })).rejects.toMatchObject({ code: "BAD_QUERY" });
  await expect(of({ selectors: [`{zone=~".*"}`] })).rejects.toMatchObject({ code: "BAD_QUERY" });
});

test("samples that come to the series later are not meant: a range ends where the series does", async () => {
  const { disk, ulids, runner } = await twoBlocks();
  await runner.run(deletion(ulids, { mint: 0, maxt: 1e15 }));
  const { blocks } = await runner.run({ kind: "load" });
  expect(blocks.map(({ meta, hasTombstones }) => [meta.stats.numTombstones, hasTombstones])).toEqual([
    [1, true],
    [2, true],
  ]);
  expect(sorted(readBlocks(disk, ulids.map(dirOf))).map(([name]) => name)).toEqual([`up{zone="us"}`]);
});

test("deletes one after the other hide what a set of deleted samples says", async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  const { disk, sources, ulids, runner } = await twoBlocks();
  const done: { readonly name: string; readonly mint: number; readonly maxt: number }[] = [];
  for (let i = 0; i < 12; i++) {
    const name = random.pick(["up", "down"]);
    const mint = random.below(3000);
    const maxt = mint + random.pick([0, 5, 95, 700]);
    const before = count(readBlocks(disk, ulids.map(dirOf)));
    const { sampleCount } = await runner.run(deletion(ulids, { selectors: [name], mint, maxt }));
    done.push({ name, mint, maxt });
    const expected = sources.map((list) =>
      list.map((given) => ({
        ...given,
        deleted: done.filter((del) => del.name === given.labels[0]![1]).map((del) => [del.mint, del.maxt] as const),
      })),
    );
    const found = readBlocks(disk, ulids.map(dirOf));
    expect(sorted(found), `SEED=${seed}`).toEqual(sorted(flatten(expected)));
    expect(before - count(found), `SEED=${seed}`).toBe(sampleCount);
  }
});

const count = (flat: ReturnType<typeof flatten>): number => [...flat.values()].reduce((sum, { size }) => sum + size, 0);

test("a deleted range is gone for good once the block is written anew", async () => {
  const { disk, ulids, runner } = await twoBlocks();
  await runner.run(deletion(ulids));
  const before = readBlocks(disk, [dirOf(ulids[0]!)]);
  const { block } = await runner.run({ kind: "compact", sources: [ulids[0]!], packed: false, reserveBytes: 0 });
  expect(block).toMatchObject({ hasTombstones: false, meta: { stats: { numSamples: 240 } } });
  await runner.run({ kind: "remove", ulids: [ulids[0]!] });
  expect(await disk.list(BLOCKS_DIR)).toEqual([ulids[1], block!.meta.ulid]);
  expect(sorted(readBlocks(disk, [dirOf(block!.meta.ulid)]))).toEqual(sorted(before));
});
