/** Chunks that nothing here can decode, native histograms, on their way through merges. */
import { expect, test } from "vitest";
import { silentLogger } from "../../../src/base/logger.ts";
import { BlockReader } from "../../../src/tsdb/block/block-reader.ts";
import { BlockWriter } from "../../../src/tsdb/block/block-writer.ts";
import { chunkSum } from "../../../src/tsdb/block/sample-sum.ts";
import { SeriesSeeds } from "../../../src/tsdb/block/series-seed.ts";
import { PageCache } from "../../../src/tsdb/index/page-cache.ts";
import { SeriesEntry } from "../../../src/tsdb/index/series-entry.ts";
import { SymbolTable } from "../../../src/tsdb/index/symbol-table.ts";
import { ulidOf } from "../../support/block-metas.ts";
import { newMemory } from "../../support/blocks.ts";
import { bitsOf } from "../../support/columns.ts";
import { BLOCKS_DIR, dirOf, runnerOn, writePlainBlock } from "../../support/maintenance.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const HISTOGRAM = 2;

/** What a chunk is here: its encoding, its times, how many samples. */
type Shape = readonly [encoding: number, mint: number, maxt: number, samples: number];

/** A block of the series `h` with histogram chunks of ten samples between the given times. */
async function writeHistograms(disk: MemoryVfs, n: number, times: readonly (readonly [number, number])[]) {
  await disk.mkdir(BLOCKS_DIR);
  const symbols = SymbolTable.of(["__name__", "h"]);
  const ulid = ulidOf(n);
  const writer = await BlockWriter.create({
    vfs: disk,
    blocksDir: BLOCKS_DIR,
    ulid,
    symbols,
    minTime: 0,
    maxTime: 100_000,
    compaction: { level: 1, sources: [ulid] },
  });
  const labels = Uint32Array.of(0, 1);
  const seed = new SeriesSeeds(symbols).of(labels, 1);
  const memory = newMemory();
  let hash = 0n;
  const chunks = times.map(([mint, maxt]) => {
    const data = Uint8Array.of(0, 10, n, mint & 255);
    const address = memory.reserve(data.byteLength);
    memory.bytes.set(data, address);
    hash += chunkSum(memory, HISTOGRAM, address, data.byteLength, seed)!.hash;
    return { encoding: HISTOGRAM, data, mint, maxt, sampleCount: 10 };
  });
  await writer.add(labels, chunks, hash);
  await writer.finish();
  await writer.publish();
  return ulid;
}

const floats = (disk: MemoryVfs, n: number, from: number, count: number): Promise<string> =>
  writePlainBlock(disk, n, [
    {
      labels: [["__name__", "h"]],
      chunks: [Array.from({ length: count }, (_, i) => ({ timeMs: from + 10 * i, value: bitsOf(i) }))],
    },
  ]);

async function merge(disk: MemoryVfs, sources: readonly string[], packed = false) {
  const warnings: object[] = [];
  const log = { ...silentLogger, warn: (fields: object) => void warnings.push(fields) };
  const runner = runnerOn(disk, { log });
  const { block } = await runner.run({ kind: "compact", sources, packed, reserveBytes: 0 });
  const { damages } = await runner.run({ kind: "verify", ulid: block!.meta.ulid });
  expect(damages).toEqual([]);
  const reader = BlockReader.open(disk, dirOf(block!.meta.ulid), new PageCache(1 << 20));
  const entry = new SeriesEntry();
  const [id] = reader.index.allPostings();
  reader.index.series(id!, entry);
  const shapes = Array.from({ length: entry.chunkCount }, (_, i): Shape => {
    const { encoding, data } = reader.chunks.read(entry.ref[i]!);
    return [encoding, entry.mint[i]!, entry.maxt[i]!, data[0]! * 256 + data[1]!];
  });
  const deleted = reader.readTombstones().of(id!);
  reader.close();
  return { shapes, deleted, warnings, block: block! };
}

test("histogram chunks go through merges as they are, packed or not", async () => {
  for (const packed of [false, true]) {
    const disk = new MemoryVfs();
    const sources = [
      await writeHistograms(disk, 1, [
        [0, 90],
        [100, 190],
      ]),
      await writeHistograms(disk, 2, [[200, 290]]),
    ];
    const { shapes, warnings } = await merge(disk, sources, packed);
    expect(shapes).toEqual([
      [HISTOGRAM, 0, 90, 10],
      [HISTOGRAM, 100, 190, 10],
      [HISTOGRAM, 200, 290, 10],
    ]);
    expect(warnings).toEqual([]);
  }
});

test("of histogram chunks that overlap the older block's stays, and the log says how many were left out", async () => {
  const disk = new MemoryVfs();
  const older = await writeHistograms(disk, 1, [[100, 190]]);
  const newer = await writeHistograms(disk, 2, [
    [0, 90],
    [150, 240],
    [300, 390],
  ]);
  const { shapes, warnings } = await merge(disk, [older, newer]);
  expect(shapes).toEqual([
    [HISTOGRAM, 0, 90, 10],
    [HISTOGRAM, 100, 190, 10],
    [HISTOGRAM, 300, 390, 10],
  ]);
  expect(warnings).toMatchObject([{ chunks: 1 }]);
});

test("floats of a newer block give way to a histogram chunk, and a newer histogram chunk to floats", async () => {
  const disk = new MemoryVfs();
  const histograms = await writeHistograms(disk, 2, [[100, 190]]);
  const newer = await floats(disk, 3, 0, 40);
  const { shapes } = await merge(disk, [histograms, newer]);
  expect(shapes).toEqual([
    [1, 0, 90, 10],
    [HISTOGRAM, 100, 190, 10],
    [1, 200, 390, 20],
  ]);
  const older = await floats(disk, 1, 0, 40);
  expect((await merge(disk, [older, histograms])).shapes).toEqual([[1, 0, 390, 40]]);
});

test("a histogram chunk that is deleted in part stays whole, and what is deleted stays marked", async () => {
  const disk = new MemoryVfs();
  const source = await writeHistograms(disk, 1, [
    [0, 90],
    [100, 190],
    [200, 290],
  ]);
  const runner = runnerOn(disk);
  await runner.run({ kind: "delete", ulids: [source], selectors: ["h"], mint: 50, maxt: 195, isDryRun: false });
  const { shapes, deleted, block } = await merge(disk, [source]);
  expect(shapes).toEqual([
    [HISTOGRAM, 0, 90, 10],
    [HISTOGRAM, 200, 290, 10],
  ]);
  expect(deleted).toEqual([{ mint: 50, maxt: 90 }]);
  expect(block.hasTombstones).toBe(true);
});
