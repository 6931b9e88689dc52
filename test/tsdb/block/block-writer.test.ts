/** A block appears as a whole or not at all, whatever fails on the way. */
import { expect, test } from "vitest";
import { errnoOf } from "../../../src/base/errors.ts";
import { BlockWriter } from "../../../src/tsdb/block/block-writer.ts";
import { verifyBlock } from "../../../src/tsdb/block/verify-block.ts";
import { SymbolTable } from "../../../src/tsdb/index/symbol-table.ts";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import { type BlockSeries, newMemory, openBlock, samplesOf, ULID_A, writeBlock } from "../../support/blocks.ts";
import { crashAtEvery } from "../../support/vfs/crash.ts";
import { forEachFault } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const series: BlockSeries[] = [0, 1, 2].map((i) => ({
  labels: [["n", String(i)]] as LabelSet,
  chunks: [[{ timeMs: 10 * i, value: 1n }], [{ timeMs: 1000 + i, value: 2n }]],
}));

test("after a power cut at any moment a block is there whole, or there is none under its name", async () => {
  const memory = newMemory();
  const disk = new MemoryVfs();
  await disk.mkdir("/blocks");
  await disk.syncDir("/");
  let isPublished = false;
  const judged = await crashAtEvery({
    seed: 1,
    disk,
    run: async (vfs) => {
      await writeBlock({ vfs, blocksDir: "/blocks", chunkFileBytesMax: 80 }, series);
      isPublished = true;
    },
    known: () => isPublished,
    verify: async (found, isKnown) => {
      const isThere = (await found.list("/blocks")).includes(ULID_A);
      if (isKnown) expect(isThere).toBe(true);
      if (isThere) {
        expect(verifyBlock({ vfs: found, dir: `/blocks/${ULID_A}`, memory, check: () => {} }).damages).toEqual([]);
        expect(samplesOf(openBlock(found, `/blocks/${ULID_A}`))).toEqual(series);
      } else {
        // What is left is in nobody's way.
        await writeBlock({ vfs: found, blocksDir: "/blocks" }, series);
        expect(samplesOf(openBlock(found, `/blocks/${ULID_A}`))).toEqual(series);
      }
    },
  });
  expect(judged).toBeGreaterThan(90);
});

test("whichever call fails, the error is told, nothing stays open, and no block appears that is not whole", async () => {
  const memory = newMemory();
  const symbols = SymbolTable.of(["n", "0", "1"]);
  const met = await forEachFault({}, async (vfs, disk) => {
    let writer: BlockWriter | undefined;
    let error: unknown;
    try {
      const [minTime, maxTime] = [0, 100];
      const compaction = { level: 1, sources: [ULID_A] };
      writer = await BlockWriter.create({ vfs, blocksDir: "/", ulid: ULID_A, symbols, minTime, maxTime, compaction });
      // A chunk of one sample: value 1 at time 3.
      const data = Uint8Array.of(0, 1, 6, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0);
      const chunk = { encoding: 1, data, mint: 3, maxt: 3, sampleCount: 1 };
      for (const value of [0, 1]) await writer.add(Uint32Array.of(2, value), [chunk], 0n);
      await writer.finish();
      await writer.publish();
    } catch (thrown) {
      error = thrown;
    }
    if (error !== undefined) {
      expect(errnoOf(error) ?? "IO").toBeDefined();
      expect(vfs.failed.length).toBeGreaterThan(0);
      vfs.heal();
      if (writer?.dir.endsWith(".tmp-for-creation")) await writer.abandon();
    }
    expect(disk.openPaths).toEqual([]);
    if ((await disk.list("/")).includes(ULID_A)) {
      const { damages } = verifyBlock({ vfs: disk, dir: `/${ULID_A}`, memory, check: () => {} });
      // The hash above is not that of the samples.
      expect(damages.map(({ file }) => file)).toEqual(["manifest.json"]);
    } else expect(error).toBeDefined();
  });
  expect(met).toBeGreaterThan(100);
});

test("what only a bug can cause is stopped before it is written", async () => {
  const symbols = SymbolTable.of(["a", "b", "c"]);
  const options = { blocksDir: "/", ulid: ULID_A, symbols, minTime: 0, maxTime: 100 };
  const compaction = { level: 1, sources: [ULID_A] };
  const chunk = (mint: number, maxt: number): Parameters<BlockWriter["add"]>[1][number] => ({
    encoding: 1,
    data: Uint8Array.of(0, 0),
    mint,
    maxt,
    sampleCount: 1,
  });
  for (const [message, labels, chunks] of [
    ["a series without chunks", [0, 1], []],
    ["a chunk outside of its block's time", [0, 1], [chunk(-1, 3)]],
    ["a chunk outside of its block's time", [0, 1], [chunk(1, 100)]],
    ["chunks of a series out of order", [0, 1], [chunk(1, 3), chunk(3, 4)]],
    ["labels of a series out of order", [1, 1, 0, 1], [chunk(1, 3)]],
    ["an unknown symbol", [0, 3], [chunk(1, 3)]],
  ] as const) {
    const vfs = new MemoryVfs();
    const writer = await BlockWriter.create({ vfs, compaction, ...options });
    await expect(writer.add(Uint32Array.from(labels), chunks, 0n)).rejects.toThrow(message);
    await writer.abandon();
    expect([vfs.openPaths, await vfs.list("/")]).toEqual([[], []]);
  }
  const writer = await BlockWriter.create({ vfs: new MemoryVfs(), compaction, ...options });
  await writer.add(Uint32Array.of(0, 2), [chunk(1, 3)], 0n);
  for (const labels of [
    [0, 2],
    [0, 1],
    [0, 1, 1, 1],
  ])
    await expect(writer.add(Uint32Array.from(labels), [chunk(1, 3)], 0n)).rejects.toThrow("series out of order");
});
