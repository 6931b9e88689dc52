/** The database from start to close, on a disk in memory that does not fail; disks that do are in faults/. */
import { expect, onTestFinished, test } from "vitest";
import type { Database } from "../../../src/tsdb/db.ts";
import type { Logger } from "../../../src/base/logger.ts";
import {
  bitsOf,
  CHUNK_DIR,
  DATA_DIR,
  makeDatabase,
  openDatabase,
  rest,
  series,
  WAL_DIR,
  write,
} from "../../support/database.ts";
import { readDatabase } from "../../support/read-database.ts";
import { interceptVfs } from "../../support/vfs/intercept.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import { writeBody } from "../../support/write-request.ts";
import { readFile } from "../../support/wal-files.ts";

const START_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

/** Every file below the data directory with its content: equal when nothing was touched. */
async function treeOf(disk: MemoryVfs): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const dir of [DATA_DIR, WAL_DIR, CHUNK_DIR]) {
    for (const name of (await disk.exists(dir)) ? await disk.list(dir) : []) {
      const path = `${dir}/${name}`;
      const bytes = await readFile(disk, path).catch(() => undefined);
      if (bytes !== undefined) tree[path] = Buffer.from(bytes).toString("base64");
    }
  }
  return tree;
}

const bitsIn = (database: Database, disk: MemoryVfs, name: string): readonly bigint[] | undefined =>
  readDatabase(database, disk).get(`__name__="${name}"`)?.bits;

test("values come back bit for bit, after a restart as before, from the log and from chunk files", async () => {
  const special = [
    0x7ff0000000000002n, // stale
    0x7ff8000000000001n,
    0xfff4dead0000beefn, // a signalling NaN with a payload
    bitsOf(-0),
    bitsOf(0),
    bitsOf(Number.POSITIVE_INFINITY),
    bitsOf(Number.NEGATIVE_INFINITY),
    1n, // the smallest denormal
    bitsOf(-Number.MIN_VALUE),
    bitsOf(Number.MAX_VALUE),
    bitsOf(0.1),
    0xffffffffffffffffn,
  ];
  const values = Array.from({ length: 300 }, (_, i) => special[(i * 7) % special.length]!);
  const disk = new MemoryVfs();
  let database = await openDatabase(disk);
  for (let from = 0; from < values.length; from += 30) {
    const samples = values.slice(from, from + 30).map((value, i) => ({
      timestampMs: BigInt(START_MS - HOUR_MS + (from + i) * 1_000),
      value,
    }));
    await write(database, [{ labels: [["__name__", "odd"]], samples }]);
  }
  expect(bitsIn(database, disk, "odd")).toEqual(values);
  // Killed: the full chunks had not come to a file yet.
  database = await openDatabase(disk.kill());
  expect(bitsIn(database, disk, "odd")).toEqual(values);
  await database.close();

  const closed = disk.kill();
  database = await openDatabase(closed);
  await database.close();
  expect(await closed.list(CHUNK_DIR)).toEqual(["00000001"]);
  database = await openDatabase(closed);
  onTestFinished(() => database.close());
  expect(bitsIn(database, closed, "odd")).toEqual(values);
});

test("a start that finds all in order changes nothing on disk", async () => {
  const disk = new MemoryVfs();
  let database = await openDatabase(disk);
  for (let i = 0; i < 130; i++) await write(database, [series("a", [[START_MS + i, i]])]);
  await database.close();
  const before = await treeOf(disk);
  expect(Object.keys(before)).toEqual([`${WAL_DIR}/00000001`, `${CHUNK_DIR}/00000001`]);
  for (let again = 0; again < 2; again++) {
    database = await openDatabase(disk);
    expect(database.damage).toEqual([]);
    await database.close();
    expect(await treeOf(disk)).toEqual(before);
  }
  expect(disk.openPaths).toEqual([]);
});

test("segments of 1 MiB rotate under load; no segment needs another, and all of them replay", async () => {
  const disk = new MemoryVfs();
  const database = await openDatabase(disk);
  const count = 4_000;
  for (let round = 0; round < 40; round++) {
    const body = writeBody(
      Array.from({ length: count }, (_, n) => ({
        labels: { __name__: `s${n}` },
        samples: [{ timestamp: START_MS + round, value: Math.sin(n * round + round) }],
      })),
    );
    await database.write({ format: "remote-write", body });
  }
  await database.close();
  const names = await disk.list(WAL_DIR);
  expect(names.length).toBeGreaterThanOrEqual(2);
  // What declares series does not count, or with many series each request would begin another segment.
  expect((await readFile(disk, `${WAL_DIR}/${names[0]}`)).byteLength).toBeGreaterThan(2 ** 20);
  const again = await openDatabase(disk);
  onTestFinished(() => again.close());
  const stored = readDatabase(again, disk);
  expect(stored.size).toBe(count);
  for (let n = 0; n < count; n += 371) {
    expect(stored.get(`__name__="s${n}"`)?.values).toEqual(
      Array.from({ length: 40 }, (_, round) => Math.sin(n * round + round)),
    );
  }
});

test("refs go on where they ended, so series that come later never take another one's samples", async () => {
  const disk = new MemoryVfs();
  for (let life = 0; life < 3; life++) {
    const database = await openDatabase(disk);
    for (let i = 0; i < 150; i++) {
      await write(database, [
        series("always", [[START_MS + life * 1_000 + i, life]]),
        series(`life ${life}`, [[START_MS + life * 1_000 + i, i]]),
      ]);
    }
    await database.close();
  }
  const database = await openDatabase(disk);
  onTestFinished(() => database.close());
  const stored = readDatabase(database, disk);
  expect(stored.size).toBe(4);
  expect(stored.get('__name__="always"')?.values).toHaveLength(450);
  for (let life = 0; life < 3; life++) {
    expect(stored.get(`__name__="life ${life}"`)?.values).toEqual(Array.from({ length: 150 }, (_, i) => i));
  }
});

test("a request of nothing but repeats is accepted, after a restart too", async () => {
  const disk = new MemoryVfs();
  let database = await openDatabase(disk);
  const sample = [series("a", [[START_MS, 1]])];
  expect(await write(database, sample)).toMatchObject({ accepted: 1, duplicates: 0 });
  expect(await write(database, sample)).toMatchObject({ accepted: 1, duplicates: 1 });
  await database.close();
  database = await openDatabase(disk);
  onTestFinished(() => database.close());
  expect(await write(database, sample)).toMatchObject({ accepted: 1, duplicates: 1 });
  const other = await write(database, [series("a", [[START_MS, 2]])]);
  expect(other.rejections).toMatchObject([{ reason: "duplicate", count: 1 }]);
  expect(database.stats()).toMatchObject({ duplicatesTotal: 1, samplesIngestedTotal: 0 });
});

test("without a log writes are answered at once, and what a log left behind earlier is still read", async () => {
  const disk = new MemoryVfs();
  let database = await openDatabase(disk);
  await write(database, [series("logged", [[START_MS, 1]])]);
  await database.close();
  const log = await treeOf(disk);
  database = await openDatabase(disk, { wal: { enabled: false } });
  await write(database, [series("unlogged", [[START_MS, 2]])]);
  expect([...readDatabase(database, disk).keys()].sort()).toEqual(['__name__="logged"', '__name__="unlogged"']);
  await database.close();
  expect(await treeOf(disk), "the log stays as it was").toEqual(log);
});

test("without a log full chunks still leave memory for files", async () => {
  const disk = new MemoryVfs();
  const database = await openDatabase(disk, { wal: { enabled: false } });
  for (let i = 0; i < 400; i++) await write(database, [series("a", [[START_MS + i, Math.sin(i)]])]);
  expect(readDatabase(database, disk).get('__name__="a"')?.values).toHaveLength(400);
  await database.close();
  expect(await disk.list(CHUNK_DIR)).toEqual(["00000001"]);
});

test("replay says how far it is, lets other work go on, and writes its line to the log", async () => {
  const disk = new MemoryVfs();
  let database = await openDatabase(disk, { wal: { segmentBytesMax: 2 ** 20 } });
  for (let i = 0; i < 60; i++) {
    await write(
      database,
      Array.from({ length: 2_000 }, (_, n) => series(`s${n}`, [[START_MS + i, Math.sin(i * n)]])),
    );
  }
  await database.close();
  const lines: { fields: object; message: string }[] = [];
  const note = (fields: object, message: string): void => void lines.push({ fields, message });
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  const seen: number[] = [];
  // Each read from a real disk lets the event loop go round once.
  const slow = interceptVfs(disk, {
    async async(call, run) {
      if (call.operation === "read") {
        await rest(1);
        seen.push(database.replay.bytesDone);
      }
      return run();
    },
    sync: (_call, run) => run(),
  });
  database = makeDatabase(slow, { log });
  expect(database.state).toBe("starting");
  const started = database.start();
  await rest(3);
  expect(database.state).toBe("replaying");
  await expect(write(database, [series("a", [[START_MS, 1]])])).rejects.toMatchObject({ code: "NOT_READY" });
  expect(database.attach()).toBeUndefined();
  await started;
  onTestFinished(() => database.close());
  const { replay } = database;
  expect(replay).toMatchObject({ segmentsDone: replay.segmentsTotal, bytesDone: replay.bytesTotal, entries: 60 });
  expect(new Set(seen).size, "progress is made in many steps").toBeGreaterThan(5);
  const line = lines.find(({ message }) => message === "replaying WAL");
  expect(line?.fields).toMatchObject({ entries: 60 });
  expect(line?.fields).toHaveProperty("duration_ms");
});

test("a close while the start is under way ends the start, and lets go of all files", async () => {
  const disk = new MemoryVfs();
  let database = await openDatabase(disk);
  for (let i = 0; i < 10; i++) await write(database, [series("a", [[START_MS + i, 1]])]);
  await database.close();
  const slow = interceptVfs(disk, {
    async async(_call, run) {
      await rest(1);
      return run();
    },
    sync: (_call, run) => run(),
  });
  for (let turns = 0; turns < 40; turns += 3) {
    database = makeDatabase(slow);
    const started = database.start().then(
      () => "started",
      (thrown: unknown) => (thrown as { code: string }).code,
    );
    await rest(turns);
    await database.close();
    expect(["started", "NOT_READY"]).toContain(await started);
    expect(database.state).toBe("stopped");
    expect(disk.openPaths).toEqual([]);
  }
});

test("a close answers those who wait, refuses those who come, and may be called again", async () => {
  const disk = new MemoryVfs();
  const database = await openDatabase(disk, { wal: { sync: "interval" } });
  const waiting = Array.from({ length: 5 }, (_, i) => write(database, [series("a", [[START_MS + i, i]])]));
  const closing = database.close();
  expect(database.state).toBe("stopping");
  await expect(write(database, [series("a", [[START_MS + 9, 9]])])).rejects.toMatchObject({ code: "NOT_READY" });
  for (const { accepted } of await Promise.all(waiting)) expect(accepted).toBe(1);
  await Promise.all([closing, database.close()]);
  expect(database.state).toBe("stopped");
  // All was synced: a power cut takes nothing of it.
  const again = await openDatabase(disk.crash({ keep: 0, random: { chance: () => false } as never }));
  onTestFinished(() => again.close());
  expect(readDatabase(again, disk).get('__name__="a"')?.values).toEqual([0, 1, 2, 3, 4]);
});

test("reader slots are handed out once each, and come back when their workers are gone", async () => {
  const database = await openDatabase(new MemoryVfs());
  onTestFinished(() => database.close());
  const slots = Array.from({ length: 16 }, () => database.attach()?.slot);
  expect(new Set(slots).size).toBe(16);
  expect(database.attach()).toBeUndefined();
  database.detach(slots[5]!);
  expect(database.attach()?.slot).toBe(slots[5]);
});

test("a record larger than the buffers of this configuration is replayed all the same", async () => {
  const disk = new MemoryVfs();
  const body = writeBody(
    Array.from({ length: 2_600 }, (_, n) => ({
      labels: {
        __name__: `s${n}`,
        ...Object.fromEntries(Array.from({ length: 30 }, (__, i) => [`l${i}`, `${n}-${i}-`.padEnd(120, "x")])),
      },
      samples: [{ timestamp: START_MS, value: n }],
    })),
  );
  const MiB = 2 ** 20;
  const limits = {
    bodyBytesMax: 32 * MiB,
    decodedBytesMax: 64 * MiB,
    seriesPerRequestMax: 10_000,
    labelsPerSeriesMax: 40,
    labelNameBytesMax: 256,
    labelValueBytesMax: 4_096,
  };
  let database = await openDatabase(disk, { limits, memtableBytesMax: 256 * MiB });
  await database.write({ format: "remote-write", body });
  await database.close();
  expect((await readFile(disk, `${WAL_DIR}/00000001`)).byteLength).toBeGreaterThan(9 * MiB);
  const small = { ...limits, bodyBytesMax: MiB, decodedBytesMax: 2 ** 16 };
  database = await openDatabase(disk, { limits: small, memtableBytesMax: 256 * MiB });
  onTestFinished(() => database.close());
  expect(database.damage).toEqual([]);
  expect(database.stats().headSeries).toBe(2_600);
});
