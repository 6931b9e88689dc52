/** From head to blocks: when, what is seen meanwhile, what is let go of, and what a restart makes of it. */
import { expect, onTestFinished, test } from "vitest";
import type { Vfs } from "../../../src/base/vfs.ts";
import type { Database, DatabaseOptions } from "../../../src/tsdb/db.ts";
import { type HeadFacts, flushDecision } from "../../../src/tsdb/db/flush-policy.ts";
import type {
  FlushJob,
  JobKind,
  JobOf,
  JobResults,
  MaintenanceRunner,
  RunJobOptions,
} from "../../../src/tsdb/maintenance/protocol.ts";
import { ManualClock } from "../../support/clock.ts";
import { inlineMaintenance, kernel, openDatabase, rest, series, WAL_DIR, write } from "../../support/database.ts";
import { readDatabase } from "../../support/read-database.ts";
import { faultyVfs, lastStep } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = Math.floor(Date.UTC(2026, 0, 1) / (18 * HOUR_MS)) * 18 * HOUR_MS;

/** Knows which flushes were asked for. */
class RecordingRunner implements MaintenanceRunner {
  readonly #inner: MaintenanceRunner;
  readonly flushes: FlushJob[] = [];

  constructor(inner: MaintenanceRunner) {
    this.#inner = inner;
  }

  run<K extends JobKind>(job: JobOf<K>, options?: RunJobOptions): Promise<JobResults[K]> {
    if (job.kind === "flush") this.flushes.push(job as FlushJob);
    return this.#inner.run(job, options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

interface Opened {
  readonly database: Database;
  readonly clock: ManualClock;
  readonly runner: RecordingRunner;
  /** Writes a sample a minute to two series, the clock along with it. */
  readonly live: (minutes: number) => Promise<void>;
  readonly pass: (ms: number) => Promise<void>;
}

async function open(
  disk: MemoryVfs,
  nowMs: number,
  vfs: Vfs = disk,
  options: Partial<DatabaseOptions> = {},
): Promise<Opened> {
  const clock = new ManualClock(nowMs);
  const { runner: inner, ...others } = inlineMaintenance({ vfs, dataDir: "/data", module: kernel, clock });
  const runner = new RecordingRunner(inner);
  const database = await openDatabase(vfs, { ...others, runner, clock, ...options, wal: {} });
  onTestFinished(() => database.close());
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await rest(60);
  };
  let n = (nowMs - START_MS) / MINUTE_MS;
  const live = async (minutes: number): Promise<void> => {
    for (let minute = 0; minute < minutes; minute++) {
      const timeMs = START_MS + n * MINUTE_MS;
      await write(database, [series("a", [[timeMs, n]]), series("b", [[timeMs, -n]])]);
      n++;
      clock.advance(MINUTE_MS);
      if (minute % 30 === 0) await rest(60);
    }
    await rest(60);
  };
  return { database, clock, runner, live, pass };
}

const valuesOf = (database: Database, disk: MemoryVfs, name = "a"): readonly number[] =>
  readDatabase(database, disk).get(`__name__="${name}"`)?.values ?? [];
const floorOf = (database: Database): number => {
  const { view, release } = database.acquireView();
  release();
  return view.headFloorMs;
};
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test("a range is flushed when the newest sample is an hour past its end, and the log and chunk files get shorter", async () => {
  const disk = new MemoryVfs();
  const { database, runner, live, pass } = await open(disk, START_MS);
  await live(179);
  expect(runner.flushes).toEqual([]);
  await live(10);
  await pass(10_000);
  expect(runner.flushes.map(({ beforeMs }) => beforeMs - START_MS)).toEqual([2 * HOUR_MS]);
  expect(database.admin.blocks.map(({ meta }) => meta.minTime - START_MS)).toEqual([0]);
  expect(valuesOf(database, disk)).toEqual(upTo(189));
  expect(floorOf(database)).toBe(START_MS + 2 * HOUR_MS);
  await live(600);
  await pass(10_000);
  expect(valuesOf(database, disk)).toEqual(upTo(789));
  expect(valuesOf(database, disk, "b").map((value) => -value)).toEqual(upTo(789));
  expect(await disk.list(WAL_DIR)).not.toContain("00000001");
  expect(database.stats().headMinTime).toBeGreaterThanOrEqual(START_MS + 10 * HOUR_MS);
});

test("after a flush a restart finds everything once, whether it was closed or killed", async () => {
  const disk = new MemoryVfs();
  const { database, live, pass } = await open(disk, START_MS);
  await live(400);
  await pass(10_000);
  expect(database.admin.blocks.length).toBeGreaterThan(0);
  const before = disk.kill();
  await database.close();
  for (const found of [before, disk.kill(), disk.crash({ keep: 0, random: { chance: () => false } as never })]) {
    const again = await open(found, START_MS + 400 * MINUTE_MS);
    expect(again.database.damage).toEqual([]);
    expect(valuesOf(again.database, found)).toEqual(upTo(400));
    await again.live(200);
    expect(valuesOf(again.database, found)).toEqual(upTo(600));
    await again.database.close();
    expect(found.openPaths).toEqual([]);
  }
});

test("who reads an older view keeps what it sees in memory, until it has ended", async () => {
  const disk = new MemoryVfs();
  const { database, live, pass } = await open(disk, START_MS);
  await live(150);
  const reader = database.acquireView();
  await live(60);
  await pass(10_000);
  expect(database.admin.blocks).toHaveLength(1);
  expect(database.stats().headMinTime).toBe(START_MS);
  reader.release();
  await rest(100);
  expect(database.stats().headMinTime).toBe(START_MS + 2 * HOUR_MS);
});

test("a hand-over that fails is made later, and no more blocks are written for it", async () => {
  const disk = new MemoryVfs();
  const failing = faultyVfs(disk, {
    errno: "ENOSPC",
    call: 1,
    lasting: "from then on",
    matches: ({ operation, path }) => operation === "open" && path.endsWith("/handover.tmp"),
  });
  const { database, runner, live, pass } = await open(disk, START_MS, failing);
  await live(240);
  await pass(10_000);
  await pass(10_000);
  expect(runner.flushes).toHaveLength(1);
  expect(database.admin.blocks).toEqual([]);
  expect(valuesOf(database, disk)).toEqual(upTo(240));
  failing.heal();
  await pass(10_000);
  expect(database.admin.blocks).toHaveLength(1);
  expect(runner.flushes).toHaveLength(1);
  expect(valuesOf(database, disk)).toEqual(upTo(240));
});

test("what is deleted stays away, although a hand-over had failed before", async () => {
  const disk = new MemoryVfs();
  const failing = faultyVfs(disk, {
    errno: "ENOSPC",
    call: 1,
    lasting: "from then on",
    matches: ({ operation, path }) => operation === "open" && path.endsWith("/handover.tmp"),
  });
  const { database, live, pass } = await open(disk, START_MS, failing);
  await live(240);
  await pass(10_000);
  const all = { selectors: ["a"], mint: START_MS, maxt: START_MS + 60 * MINUTE_MS - 1, isDryRun: false };
  await expect(database.admin.deleteSeries(all), "the disk takes no hand-over yet").rejects.toThrow(/ENOSPC/);
  failing.heal();
  await database.admin.deleteSeries(all);
  expect(valuesOf(database, disk)).toEqual(upTo(240).slice(60));
  await pass(10_000);
  expect(valuesOf(database, disk)).toEqual(upTo(240).slice(60));
});

test("what is deleted stays away, although a flush that failed had left a block behind", async () => {
  const disk = new MemoryVfs();
  const failing = faultyVfs(disk, lastStep);
  const { database, live, pass } = await open(disk, START_MS, failing);
  await live(240);
  await pass(10_000);
  expect(await disk.list("/data/blocks"), "under a name of its own").toContainEqual(expect.stringMatching(/^[^.]+$/));
  const all = { selectors: ["a"], mint: START_MS, maxt: START_MS + 60 * MINUTE_MS - 1, isDryRun: false };
  await expect(database.admin.deleteSeries(all), "it cannot be removed").rejects.toThrow(/EIO/);
  expect(valuesOf(database, disk)).toEqual(upTo(240));
  failing.heal();
  await database.admin.deleteSeries(all);
  expect(await disk.list("/data/blocks")).toEqual([]);
  await database.close();
  const again = await open(disk, START_MS + 240 * MINUTE_MS);
  expect(valuesOf(again.database, disk)).toEqual(upTo(240).slice(60));
});

test("a database that gets no samples any more ends with all of them in blocks", async () => {
  const disk = new MemoryVfs();
  const { database, live, pass } = await open(disk, START_MS);
  await live(200);
  for (let i = 0; i < 5; i++) await pass(HOUR_MS);
  expect(floorOf(database)).toBe(START_MS + 199 * MINUTE_MS + 1);
  expect(valuesOf(database, disk)).toEqual(upTo(200));
  const count = database.stats().maintenance.jobs.flush.doneTotal;
  for (let i = 0; i < 10; i++) await pass(HOUR_MS);
  expect(database.stats().maintenance.jobs.flush.doneTotal, "nothing is left to flush").toBe(count);
});

test("a wall clock that jumps flushes nothing", async () => {
  const disk = new MemoryVfs();
  const { database, clock, live, pass } = await open(disk, START_MS);
  await live(100);
  clock.jumpWall(365 * 24 * HOUR_MS);
  await pass(10_000);
  clock.jumpWall(-2 * 365 * 24 * HOUR_MS);
  await pass(10_000);
  expect(database.admin.blocks).toEqual([]);
  expect(valuesOf(database, disk)).toEqual(upTo(100));
});

test("the flush policy, case by case", () => {
  const T = START_MS;
  const MiB = 2 ** 20;
  const idle: HeadFacts = {
    minTimeMs: T,
    maxTimeMs: T + HOUR_MS,
    floorMs: T,
    lateRows: 0,
    memoryBytes: 10 * MiB,
    memoryBytesMax: 100 * MiB,
    memoryBytesAfterFlush: 0,
    waitedMs: 0,
    quietMs: 0,
  };
  const full = { memoryBytes: 81 * MiB };
  for (const [facts, expected] of [
    [{}, undefined],
    [{ minTimeMs: undefined, maxTimeMs: undefined }, undefined],
    [{ maxTimeMs: T + 3 * HOUR_MS - 1 }, undefined],
    [{ maxTimeMs: T + 3 * HOUR_MS }, { reason: "time", beforeMs: T + 2 * HOUR_MS }],
    [
      { maxTimeMs: T + 3 * HOUR_MS, floorMs: -Infinity },
      { reason: "time", beforeMs: T + 2 * HOUR_MS },
    ],
    [{ maxTimeMs: T + 3 * HOUR_MS, minTimeMs: T + 2 * HOUR_MS }, undefined],
    [full, { reason: "memory", beforeMs: T + 55 * MINUTE_MS }],
    [{ ...full, memoryBytesAfterFlush: 75 * MiB }, undefined],
    [{ ...full, floorMs: T + 55 * MINUTE_MS - 1 }, undefined],
    [
      { ...full, floorMs: T + 55 * MINUTE_MS - 1, lateRows: 1 },
      { reason: "memory", beforeMs: T + 55 * MINUTE_MS },
    ],
    [{ waitedMs: 3 * HOUR_MS }, { reason: "age", beforeMs: T + 55 * MINUTE_MS }],
    [
      { waitedMs: 3 * HOUR_MS, quietMs: 10 * MINUTE_MS },
      { reason: "age", beforeMs: T + HOUR_MS + 1 },
    ],
    [{ waitedMs: 3 * HOUR_MS, quietMs: 3 * HOUR_MS, floorMs: T + HOUR_MS + 1 }, undefined],
    [
      { waitedMs: 3 * HOUR_MS, floorMs: T + HOUR_MS, lateRows: 5 },
      { reason: "age", beforeMs: T + HOUR_MS },
    ],
  ] satisfies [Partial<HeadFacts>, unknown][])
    expect(flushDecision({ ...idle, ...facts }), JSON.stringify(facts)).toEqual(expected);
});

test("what is deleted is gone in blocks and head alike, over flushes and restarts, and is counted without being deleted", async () => {
  const disk = new MemoryVfs();
  const { database, live, pass } = await open(disk, START_MS);
  await live(200);
  await pass(10_000);
  expect(database.admin.blocks).toHaveLength(1);
  const request = {
    selectors: ['{__name__="a"}'],
    mint: START_MS + 100 * MINUTE_MS,
    maxt: START_MS + 150 * MINUTE_MS,
    isDryRun: true,
  };
  const counted = await database.admin.deleteSeries(request);
  expect(counted).toMatchObject({ seriesCount: 1, sampleCount: 20, headSeriesCount: 1 });
  expect(valuesOf(database, disk)).toEqual(upTo(200));

  await database.admin.deleteSeries({ ...request, isDryRun: false });
  const left = upTo(200).filter((minute) => minute < 100 || minute > 150);
  expect(valuesOf(database, disk)).toEqual(left);
  expect(valuesOf(database, disk, "b")).toHaveLength(200);
  const killed = disk.crash({ keep: 0, random: { chance: () => false } as never });
  const again = await open(killed, START_MS + 200 * MINUTE_MS);
  expect(valuesOf(again.database, killed)).toEqual(left);

  await live(150);
  await pass(10_000);
  expect(database.admin.blocks.length).toBeGreaterThan(1);
  const all = [...left, ...upTo(350).slice(200)];
  expect(valuesOf(database, disk)).toEqual(all);
  await database.admin.cleanTombstones();
  expect(valuesOf(database, disk)).toEqual(all);
  expect(database.stats().maintenance.blocksWithTombstones).toBe(0);
});
