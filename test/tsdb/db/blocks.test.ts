/** A whole database with blocks: found at the start, merged, deleted past the retention, kept while they are read. */
import { expect, onTestFinished, test } from "vitest";
import type { Vfs } from "../../../src/base/vfs.ts";
import type { Database, DatabaseOptions } from "../../../src/tsdb/db.ts";
import { writeBlock } from "../../support/blocks.ts";
import { ManualClock } from "../../support/clock.ts";
import { bitsOf, inlineMaintenance, kernel, openDatabase, rest, series, write } from "../../support/database.ts";
import { readDatabase } from "../../support/read-database.ts";
import { faultyVfs, lastStep } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const BLOCKS_DIR = "/data/blocks";
/** A boundary of 6 h and of 18 h. */
const START_MS = Math.floor(Date.UTC(2026, 0, 1) / (18 * HOUR_MS)) * 18 * HOUR_MS;

/** ULIDs that sort as their numbers do. */
const ulidOf = (n: number): string => `01HZZZZZZZZZZZZZZZZZZZZZ${String(n).padStart(2, "0")}`;

/** Blocks of 2 h each, from `START_MS` on, with a sample a minute whose value is its minute. */
async function diskWithBlocks(count: number): Promise<MemoryVfs> {
  const disk = new MemoryVfs();
  await disk.mkdir(BLOCKS_DIR);
  await disk.syncDir("/");
  await disk.syncDir("/data");
  for (let n = 0; n < count; n++) {
    const samples = Array.from({ length: 120 }, (_, i) => ({
      timeMs: START_MS + (n * 120 + i) * 60_000,
      value: bitsOf(n * 120 + i),
    }));
    const [minTime, maxTime] = [START_MS + n * 2 * HOUR_MS, START_MS + (n + 1) * 2 * HOUR_MS];
    await writeBlock({ vfs: disk, blocksDir: BLOCKS_DIR, ulid: ulidOf(n + 1), minTime, maxTime }, [
      { labels: [["__name__", "a"]], chunks: [samples] },
    ]);
  }
  await disk.syncDir(BLOCKS_DIR);
  return disk;
}

const valuesOf = (database: Database, disk: MemoryVfs): readonly number[] =>
  readDatabase(database, disk).get('__name__="a"')?.values ?? [];

const minutes = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

interface Opened {
  readonly database: Database;
  readonly clock: ManualClock;
  /** Lets a round of merging and retention go by. */
  readonly pass: () => Promise<void>;
}

async function open(disk: Vfs, nowMs: number, options: Partial<DatabaseOptions> = {}): Promise<Opened> {
  const clock = new ManualClock(nowMs);
  const database = await openDatabase(disk, { clock, ...options, wal: {} });
  onTestFinished(() => database.close());
  const pass = async (): Promise<void> => {
    clock.advance(300_000);
    await rest(200);
  };
  return { database, clock, pass };
}

test("blocks that are there are served beside the head, over a restart too", async () => {
  const disk = await diskWithBlocks(2);
  const { database } = await open(disk, START_MS + 5 * HOUR_MS);
  await write(database, [series("a", [[START_MS + 4 * HOUR_MS, 240]])]);
  expect(valuesOf(database, disk)).toEqual(minutes(0, 241));
  expect(database.stats().maintenance).toMatchObject({ blocks: 2, blockMinTime: START_MS });
  await database.close();
  const again = await open(disk.kill(), START_MS + 5 * HOUR_MS);
  expect(again.database.admin.blocks.map(({ meta }) => meta.ulid)).toEqual([ulidOf(1), ulidOf(2)]);
});

test("blocks are merged in the background, and the sources go once nobody reads them", async () => {
  const disk = await diskWithBlocks(4);
  const { database, pass } = await open(disk, START_MS + 9 * HOUR_MS);
  const reader = database.acquireView();
  await pass();
  expect(database.admin.blocks.map(({ meta }) => meta.compaction.level)).toEqual([2, 1]);
  expect(await disk.list(BLOCKS_DIR), "read by a query that is under way").toHaveLength(5);
  expect(valuesOf(database, disk)).toEqual(minutes(0, 480));
  reader.release();
  await rest(50);
  expect(await disk.list(BLOCKS_DIR)).toHaveLength(2);
  expect(valuesOf(database, disk)).toEqual(minutes(0, 480));
  expect(database.stats().maintenance.jobs.compact).toMatchObject({ doneTotal: 1, failedTotal: 0 });
});

test("compaction that is switched off merges only when it is asked to, and then says what it did", async () => {
  const disk = await diskWithBlocks(4);
  const maintenance = {
    compaction: { enabled: false, intervalMs: 300_000, concurrency: 1 },
    packed: false,
    scrubIntervalMs: 0,
  };
  const { database, pass } = await open(disk, START_MS + 9 * HOUR_MS, { maintenance });
  await pass();
  expect(database.admin.blocks).toHaveLength(4);
  const { merges } = await database.admin.compact();
  expect(merges).toEqual([{ sources: [ulidOf(1), ulidOf(2), ulidOf(3)], block: database.admin.blocks[0]!.meta.ulid }]);
  expect((await database.admin.compact()).merges).toEqual([]);
});

test("a block goes when all of it is past the retention, by the older of clock and newest sample", async () => {
  const disk = await diskWithBlocks(6);
  const { database, clock, pass } = await open(disk, START_MS + 12 * HOUR_MS);
  await database.admin.setRetention({ ageMs: 4 * HOUR_MS });
  await rest(200);
  expect(valuesOf(database, disk)[0]).toBeLessThanOrEqual(8 * 60);
  expect(valuesOf(database, disk)[0]).toBeGreaterThan(0);
  const left = valuesOf(database, disk).length;
  const { age } = database.stats().maintenance.retentionDeletionsTotal;
  expect(age).toBeGreaterThan(0);

  clock.jumpWall(365 * DAY_MS);
  await pass();
  await pass();
  expect(valuesOf(database, disk), "a clock that jumps ahead deletes nothing").toHaveLength(left);
  clock.jumpWall(-730 * DAY_MS);
  await pass();
  expect(valuesOf(database, disk)).toHaveLength(left);
});

test("a limit by size lets the oldest blocks go", async () => {
  const disk = await diskWithBlocks(6);
  const { database } = await open(disk, START_MS + 13 * HOUR_MS);
  const bytes = database.stats().maintenance.blockBytes;
  await database.admin.setRetention({ sizeBytesMax: Math.floor(bytes / 2) });
  await rest(300);
  expect(database.stats().maintenance.blockBytes).toBeLessThanOrEqual(bytes / 2);
  expect(valuesOf(database, disk).at(-1)).toBe(719);
  expect(database.stats().maintenance.retentionDeletionsTotal.size).toBeGreaterThan(0);
});

test("a limit by share of the volume lets the oldest blocks go", async () => {
  const disk = await diskWithBlocks(6);
  const { database, pass } = await open(disk, START_MS + 13 * HOUR_MS);
  const bytes = database.stats().maintenance.blockBytes;
  disk.capacityBytes = 4 * bytes;
  await database.admin.setRetention({ volumePercentMax: 10 });
  await pass();
  await pass();
  expect(database.stats().maintenance.blockBytes).toBeLessThanOrEqual(0.4 * bytes);
  expect(valuesOf(database, disk).at(-1)).toBe(719);
});

test("blocks are read through in the background, each within the interval, and damage is found", async () => {
  const disk = await diskWithBlocks(3);
  const { maintenance } = inlineMaintenance({
    vfs: disk,
    dataDir: "/data",
    module: kernel,
    clock: new ManualClock(START_MS),
  });
  const scrubbed = {
    ...maintenance,
    scrubIntervalMs: HOUR_MS,
    compaction: { ...maintenance.compaction, enabled: false },
  };
  const { database, pass } = await open(disk, START_MS + 7 * HOUR_MS, { maintenance: scrubbed });
  const chunks = await disk.open(`${BLOCKS_DIR}/${ulidOf(2)}/chunks/000001`, "write");
  await chunks.write(Uint8Array.of(0xff), 40);
  await chunks.close();
  for (let minutesLeft = 60; minutesLeft > 0; minutesLeft -= 5) await pass();
  expect(database.stats().maintenance.scrubbedTotal).toBeGreaterThanOrEqual(3);
  expect(database.admin.blocks.map(({ damage }) => damage !== undefined)).toEqual([false, true, false]);
});

test("what is deleted stays away, although a merge that failed had left its block behind", async () => {
  const disk = await diskWithBlocks(4);
  const failing = faultyVfs(disk, lastStep);
  const { database, pass } = await open(failing, START_MS + 9 * HOUR_MS);
  await pass();
  expect(database.admin.blocks).toHaveLength(4);
  expect(await disk.list(BLOCKS_DIR)).toHaveLength(5);
  const hour = { selectors: ["a"], mint: START_MS, maxt: START_MS + HOUR_MS - 1, isDryRun: false };
  await expect(database.admin.deleteSeries(hour), "it cannot be removed").rejects.toThrow(/EIO/);
  failing.heal();
  await database.admin.deleteSeries(hour);
  expect(await disk.list(BLOCKS_DIR)).toHaveLength(4);
  await database.close();
  const again = await open(disk, START_MS + 9 * HOUR_MS);
  expect(valuesOf(again.database, disk)).toEqual(minutes(60, 480));
});

test("while a database is read-only by hand its files are left alone", async () => {
  const disk = await diskWithBlocks(4);
  const { database, pass } = await open(disk, START_MS + 9 * HOUR_MS);
  await database.admin.setReadOnly(true);
  const before = await disk.list(BLOCKS_DIR);
  await pass();
  expect(await disk.list(BLOCKS_DIR)).toEqual(before);
  await expect(database.admin.compact()).rejects.toMatchObject({ code: "READ_ONLY" });
  const counting = { selectors: ['{__name__=~".+"}'], mint: 0, maxt: START_MS + 9 * HOUR_MS, isDryRun: true };
  expect((await database.admin.deleteSeries(counting)).sampleCount).toBeGreaterThan(0);
  await database.admin.setReadOnly(false);
  await pass();
  expect(database.admin.blocks).toHaveLength(2);
});

test("a damaged block is set aside at the start, the others are served, and queries of its range are warned", async () => {
  const disk = await diskWithBlocks(3);
  const file = await disk.open(`${BLOCKS_DIR}/${ulidOf(2)}/meta.json`, "write");
  await file.write(new Uint8Array(8), 0);
  await file.close();
  const { database } = await open(disk, START_MS + 9 * HOUR_MS);
  expect(database.state).toBe("writable");
  expect(database.admin.blocks.map(({ meta }) => meta.ulid)).toEqual([ulidOf(1), ulidOf(3)]);
  expect(database.admin.missing).toMatchObject([{ ulid: ulidOf(2) }]);
  expect(() => valuesOf(database, disk)).toThrow(/Reading warns/);
  await database.close();
  const again = await open(disk, START_MS + 9 * HOUR_MS);
  expect(again.database.admin.missing, "it still is missing after a restart").toMatchObject([{ ulid: ulidOf(2) }]);
});

test("a block with a damaged chunk goes on being served, is told of, and is merged with nothing", async () => {
  const disk = await diskWithBlocks(4);
  const { database, pass } = await open(disk, START_MS + 9 * HOUR_MS);
  const chunks = await disk.open(`${BLOCKS_DIR}/${ulidOf(2)}/chunks/000001`, "write");
  await chunks.write(Uint8Array.of(0xff), 40);
  await chunks.close();
  database.admin.suspect(ulidOf(2));
  await rest(300);
  expect(database.admin.blocks.find(({ meta }) => meta.ulid === ulidOf(2))?.damage).toMatch(/^chunks\/000001 at byte/);
  expect(database.admin.missing).toEqual([]);
  await pass();
  expect(database.admin.blocks.map(({ meta }) => meta.ulid)).toContain(ulidOf(2));
});

/** A disk that fails to read a file of a block. */
const failingToRead = (disk: MemoryVfs, path: string, lasting: "once" | "from then on", isArmed = () => true) =>
  faultyVfs(disk, {
    errno: "EIO",
    call: 1,
    lasting,
    matches: (call) => call.operation === "read" && call.path === `${BLOCKS_DIR}/${path}` && isArmed(),
  });
const damageOf = (database: Database): string | undefined =>
  database.admin.blocks.find(({ meta }) => meta.ulid === ulidOf(2))?.damage;

test.each(["index", "tombstones"])(
  "a block whose %s the disk fails to read at the start stays, is merged with nothing, and is whole when the disk is",
  async (file) => {
    const disk = await diskWithBlocks(4);
    const failing = failingToRead(disk, `${ulidOf(2)}/${file}`, "from then on");
    const { database, pass } = await open(failing, START_MS + 9 * HOUR_MS);
    await rest(300);
    expect(damageOf(database)).toBe(`${file} at byte 0: the disk cannot read it`);
    expect(database.admin.missing).toEqual([]);
    await pass();
    const blocks = [ulidOf(1), ulidOf(2), ulidOf(3), ulidOf(4)];
    expect(await disk.list(BLOCKS_DIR)).toEqual(blocks);
    // What is deleted must not come back once it can be read.
    const part = { selectors: ["a"], mint: START_MS + 2 * HOUR_MS, maxt: START_MS + 3 * HOUR_MS, isDryRun: false };
    await expect(database.admin.deleteSeries(part)).rejects.toMatchObject({ code: "BLOCK_CORRUPT" });
    failing.heal();
    expect(valuesOf(database, disk)).toEqual(minutes(0, 480));
    await database.close();
    const again = await open(disk, START_MS + 9 * HOUR_MS);
    expect(damageOf(again.database)).toBeUndefined();
    await again.pass();
    expect(again.database.admin.blocks.map(({ meta }) => meta.compaction.level)).toEqual([2, 1]);
    expect(valuesOf(again.database, disk)).toEqual(minutes(0, 480));
  },
);

test.each(["index", "tombstones", "meta.json", "manifest.json"])(
  "a block whose %s the disk fails to read once is found whole at the same start",
  async (file) => {
    const disk = await diskWithBlocks(3);
    const failing = failingToRead(disk, `${ulidOf(2)}/${file}`, "once");
    const { database } = await open(failing, START_MS + 9 * HOUR_MS);
    await rest(300);
    expect(failing.failed).toHaveLength(1);
    expect(damageOf(database)).toBeUndefined();
    expect(database.admin.missing).toEqual([]);
    expect(valuesOf(database, disk)).toEqual(minutes(0, 360));
  },
);

test("what went into a block that the disk fails to read is neither served beside it nor removed", async () => {
  const disk = await diskWithBlocks(4);
  const { database, pass } = await open(disk, START_MS + 9 * HOUR_MS);
  const reader = database.acquireView();
  await pass();
  const merged = database.admin.blocks[0]!.meta.ulid;
  // The sources are read still: a crash leaves them.
  const found = disk.kill();
  reader.release();
  const names = [ulidOf(1), ulidOf(2), ulidOf(3), ulidOf(4), merged];
  const failing = failingToRead(found, `${merged}/index`, "from then on");
  const again = await open(failing, START_MS + 9 * HOUR_MS);
  expect(again.database.admin.blocks.map(({ meta }) => meta.ulid)).toEqual([merged, ulidOf(4)]);
  expect((await found.list(BLOCKS_DIR)).sort()).toEqual(names.sort());
  failing.heal();
  expect(valuesOf(again.database, found)).toEqual(minutes(0, 480));
  await again.database.close();
  await open(found, START_MS + 9 * HOUR_MS);
  expect((await found.list(BLOCKS_DIR)).sort()).toEqual([ulidOf(4), merged].sort());
});

test("a block that the disk fails to read while it is verified stays, and is sound again once it is read", async () => {
  const disk = await diskWithBlocks(3);
  const maintenance = {
    compaction: { enabled: false, intervalMs: 300_000, concurrency: 1 },
    packed: false,
    scrubIntervalMs: HOUR_MS,
  };
  for (const file of ["index", "tombstones", "meta.json", "chunks/000001"]) {
    let isArmed = false;
    const failing = failingToRead(disk, `${ulidOf(2)}/${file}`, "from then on", () => isArmed);
    const { database, clock } = await open(failing, START_MS + 9 * HOUR_MS, { maintenance });
    isArmed = true;
    database.admin.suspect(ulidOf(2));
    await rest(300);
    expect(damageOf(database), file).toContain("the disk cannot read it");
    expect(database.admin.missing).toEqual([]);
    failing.heal();
    for (let i = 0; i < 120; i++) {
      clock.advance(60_000);
      await rest(30);
    }
    expect(damageOf(database), file).toBeUndefined();
    expect(valuesOf(database, disk)).toEqual(minutes(0, 360));
    await database.close();
  }
});

test("what a failed delete has deleted is seen by those who have read the blocks before, and is cleaned", async () => {
  const disk = await diskWithBlocks(3);
  let isArmed = false;
  const failing = failingToRead(disk, `${ulidOf(2)}/index`, "from then on", () => isArmed);
  const { database } = await open(failing, START_MS + 9 * HOUR_MS);
  const versions = (): number[] => {
    const { view, release } = database.acquireView();
    release();
    return view.blocks.map(({ tombstonesVersion }) => tombstonesVersion);
  };
  const all = { selectors: ["a"], mint: START_MS, maxt: START_MS + 4 * HOUR_MS - 1, isDryRun: false };
  await expect(database.admin.deleteSeries({ ...all, selectors: ["{"] })).rejects.toMatchObject({ code: "BAD_QUERY" });
  expect(versions()).toEqual([0, 0, 0]);
  isArmed = true;
  await expect(database.admin.deleteSeries(all)).rejects.toMatchObject({ code: "BLOCK_CORRUPT" });
  expect(versions()).toEqual([1, 1, 0]);
  failing.heal();
  // Nothing of the first block is left to be deleted.
  expect(await database.admin.deleteSeries(all)).toMatchObject({ blocks: [ulidOf(2)], sampleCount: 120 });
  expect(valuesOf(database, disk)).toEqual(minutes(240, 360));
  await database.admin.cleanTombstones();
  expect(database.admin.blocks.map(({ meta }) => meta.ulid)).toEqual([ulidOf(3)]);
});

test("a close while blocks are merged ends the merge, and leaves the blocks as they were", async () => {
  for (let turns = 0; turns < 40; turns += 4) {
    const disk = await diskWithBlocks(4);
    const { database, clock } = await open(disk, START_MS + 9 * HOUR_MS);
    clock.advance(300_000);
    await rest(turns);
    await database.close();
    const again = await open(disk, START_MS + 9 * HOUR_MS);
    expect(valuesOf(again.database, disk)).toEqual(minutes(0, 480));
    expect((await disk.list(BLOCKS_DIR)).every((name) => !name.includes("tmp"))).toBe(true);
    await again.database.close();
    expect(disk.openPaths).toEqual([]);
  }
});
