import { expect, test } from "vitest";
import { formatLabelSet } from "../../../src/tsdb/model/labels.ts";
import type { FlushJob } from "../../../src/tsdb/maintenance/protocol.ts";
import { CHUNK_XOR } from "../../../src/tsdb/storage.ts";
import { ManualClock } from "../../support/clock.ts";
import { bitsOf, STALE_BITS } from "../../support/columns.ts";
import { openDatabase, write } from "../../support/database.ts";
import {
  BLOCKS_DIR,
  chunksOf,
  dirsOf,
  readBlocks,
  runnerOn,
  sorted,
  type FlatSamples,
} from "../../support/maintenance.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { crashAtEvery } from "../../support/vfs/crash.ts";
import { forEachFault } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const RANGE_MS = 7_200_000;
const START_MS = Date.UTC(2026, 0, 1) - 5 * RANGE_MS;

/** A head with five ranges of samples, some late; and what it was given, in the order in which it counts. */
async function filledHead(seed: number) {
  const random = new Random(seed);
  const disk = new MemoryVfs();
  const database = await openDatabase(disk, { clock: new ManualClock(START_MS + 5 * RANGE_MS) });
  const given: FlatSamples = new Map();
  const names = ["a", "b", "ab", ""];
  const add = async (name: string, timeMs: number): Promise<void> => {
    const value = random.chance(0.1) ? STALE_BITS : bitsOf(random.below(1000) / 4);
    const labels = [["__name__", "up"] as const, ...(name === "" ? [] : [["zone", name] as const])];
    const { accepted } = await write(database, [{ labels, samples: [{ timestampMs: BigInt(timeMs), value }] }]);
    const series = formatLabelSet(labels);
    const samples = given.get(series) ?? new Map<number, bigint>();
    given.set(series, samples);
    if (accepted > 0 && !samples.has(timeMs)) samples.set(timeMs, value);
  };
  for (const name of names)
    for (let timeMs = START_MS + random.below(RANGE_MS); timeMs < START_MS + 4.5 * RANGE_MS; timeMs += 60_000)
      if (random.chance(0.9)) await add(name, timeMs);
  for (let i = 0; i < 60; i++) await add(random.pick(names), START_MS + random.below(5 * RANGE_MS));
  const head = database.attach()!;
  const job = (beforeMs: number): FlushJob => ({
    kind: "flush",
    head,
    beforeMs,
    sequence: Number.MAX_SAFE_INTEGER,
    blockRangeMs: RANGE_MS,
    reserveBytes: 0,
  });
  const before = (beforeMs: number) =>
    sorted(
      new Map([...given].map(([name, samples]) => [name, new Map([...samples].filter(([time]) => time < beforeMs))])),
    );
  const close = async (): Promise<void> => {
    database.detach(head.slot);
    await database.close();
  };
  return { disk, job, before, close };
}

test("a flush writes what is before its time, late samples among it, one block for each range", async () => {
  const seed = seedFromEnv();
  const { disk, job, before, close } = await filledHead(seed);
  const beforeMs = START_MS + 3.5 * RANGE_MS;
  const { blocks } = await runnerOn(disk).run(job(beforeMs));
  expect(sorted(readBlocks(disk, dirsOf(blocks))), `SEED=${seed}`).toEqual(before(beforeMs));
  expect(blocks.length).toBe(4);
  for (const [i, { meta }] of blocks.entries()) {
    expect(meta.minTime).toBeGreaterThanOrEqual(START_MS + i * RANGE_MS);
    expect(meta.maxTime).toBeLessThanOrEqual(Math.min(beforeMs, START_MS + (i + 1) * RANGE_MS));
    expect(meta.compaction).toEqual({ level: 1, sources: [meta.ulid] });
  }
  expect(blocks.map(({ meta }) => meta.ulid)).toEqual(blocks.map(({ meta }) => meta.ulid).sort());
  for (const { encoding } of dirsOf(blocks).flatMap((dir) => chunksOf(disk, dir))) expect(encoding).toBe(CHUNK_XOR);
  await close();
});

test("a flush before all samples writes nothing", async () => {
  const { disk, job, close } = await filledHead(1);
  expect(await runnerOn(disk).run(job(START_MS))).toEqual({ blocks: [] });
  expect(await disk.list(BLOCKS_DIR)).toEqual([]);
  await close();
});

test("a flush on a disk that fails leaves all of its blocks or none", async () => {
  const { disk, job, before, close } = await filledHead(2);
  const beforeMs = START_MS + 2 * RANGE_MS;
  const faults = [
    { errno: "EIO", lasting: "once" },
    { errno: "ENOSPC", lasting: "once", short: true },
  ] as const;
  const met = await forEachFault({ faults, disk: () => disk.kill() }, async (vfs, found) => {
    const isDone = await runnerOn(vfs)
      .run(job(beforeMs))
      .then(
        () => true,
        () => false,
      );
    const { blocks } = await runnerOn(found).run({ kind: "load" });
    if (isDone) expect(sorted(readBlocks(found, dirsOf(blocks)))).toEqual(before(beforeMs));
    else expect(blocks).toEqual([]);
  });
  expect(met).toBeGreaterThan(50);
  await close();
});

test("a flush that is cut off leaves whole blocks of it only, and a flush after that brings all", async () => {
  const { disk, job, before, close } = await filledHead(3);
  const beforeMs = START_MS + 2 * RANGE_MS;
  let isDone = false;
  const judged = await crashAtEvery({
    seed: seedFromEnv(),
    disk: disk.kill(),
    keeps: [0, 1],
    run: async (vfs) => {
      await runnerOn(vfs).run(job(beforeMs));
      isDone = true;
    },
    known: () => isDone,
    verify: async (found, wasDone) => {
      const { blocks, quarantined } = await runnerOn(found).run({ kind: "load" });
      expect(quarantined).toEqual([]);
      if (wasDone) expect(sorted(readBlocks(found, dirsOf(blocks)))).toEqual(before(beforeMs));
    },
  });
  expect(judged).toBeGreaterThan(50);

  // What an earlier flush left is there twice then, which changes nothing.
  await runnerOn(disk).run(job(START_MS + RANGE_MS));
  await runnerOn(disk).run(job(beforeMs));
  const { blocks } = await runnerOn(disk).run({ kind: "load" });
  expect(blocks.length).toBe(3);
  expect(sorted(readBlocks(disk, dirsOf(blocks)))).toEqual(before(beforeMs));
  await close();
});
