/** States of a whole database: by hand, by a full disk, by a disk that fails; what holds over a restart. */
import { expect, onTestFinished, test } from "vitest";
import { meaningOf } from "../../../src/tsdb/db/states.ts";
import { ManualClock } from "../../support/clock.ts";
import { inlineMaintenance, kernel, openDatabase, rest, series, write } from "../../support/database.ts";
import { readDatabase } from "../../support/read-database.ts";
import { faultyVfs } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const START_MS = Date.UTC(2026, 0, 1);
const MiB = 2 ** 20;

test("a database that was made read-only stays so over a restart, answers queries, and takes writes when told to", async () => {
  const disk = new MemoryVfs();
  let database = await openDatabase(disk);
  await write(database, [series("a", [[START_MS, 1]])]);
  await database.admin.setReadOnly(true);
  expect(database.state).toBe("readonly-manual");
  await expect(write(database, [series("a", [[START_MS + 1, 2]])])).rejects.toMatchObject({
    code: "READ_ONLY",
    message: expect.stringContaining("POST /api/v1/admin/writable ends that") as string,
  });
  await database.close();

  database = await openDatabase(disk.crash({ keep: 0, random: { chance: () => false } as never }));
  onTestFinished(() => database.close());
  expect(database.state).toBe("readonly-manual");
  await database.admin.setReadOnly(false);
  expect(database.state).toBe("writable");
  expect(await write(database, [series("a", [[START_MS + 1, 2]])])).toMatchObject({ accepted: 1 });
});

test("below the reserve no writes are taken, and they are again within seconds of space returning, without a restart", async () => {
  const disk = new MemoryVfs();
  disk.capacityBytes = 100 * MiB;
  const clock = new ManualClock(START_MS);
  const database = await openDatabase(disk, { clock, diskReserveBytes: 60 * MiB });
  onTestFinished(() => database.close());
  await write(database, [series("a", [[START_MS, 1]])]);
  const ballast = await disk.open("/data/ballast", "create");
  await ballast.write(new Uint8Array(50 * MiB), 0);
  clock.advance(1_000);
  await rest();
  expect(database.state).toBe("readonly-disk");
  const { text, canRead } = meaningOf(database.state, database.facts);
  expect(canRead).toBe(true);
  expect(text).toMatch(/its disk is nearly full, 4\dMiB are free and 60MiB are kept in reserve/);
  await expect(write(database, [series("a", [[START_MS + 1, 2]])])).rejects.toMatchObject({ code: "READ_ONLY" });
  expect(readDatabase(database, disk).get('__name__="a"')?.values).toEqual([1]);

  await ballast.truncate(0);
  await ballast.close();
  clock.advance(1_000);
  await rest();
  expect(database.state).toBe("writable");
  expect(await write(database, [series("a", [[START_MS + 1, 2]])])).toMatchObject({ accepted: 1 });
});

test("a log that finds no space is a full disk and no broken one; it goes on by itself, and loses nothing it promised", async () => {
  const disk = new MemoryVfs();
  const clock = new ManualClock(START_MS);
  const full = faultyVfs(disk, {
    errno: "ENOSPC",
    call: 3,
    lasting: "from then on",
    short: true,
    matches: ({ operation, path }) => operation === "write" && path.startsWith("/data/wal/"),
  });
  const database = await openDatabase(full, { clock });
  const acknowledged: number[] = [];
  for (let i = 0; i < 8; i++) {
    await write(database, [series("a", [[START_MS + i, i]])]).then(
      () => acknowledged.push(i),
      (thrown: { code: string }) => expect(["OVERLOADED", "READ_ONLY"]).toContain(thrown.code),
    );
  }
  expect(acknowledged.length).toBeGreaterThan(0);
  expect(acknowledged.length).toBeLessThan(8);
  expect(database.state).toBe("readonly-disk");

  full.heal();
  for (let second = 0; second < 5; second++) {
    clock.advance(1_000);
    await rest(20);
  }
  expect(database.state).toBe("writable");
  await write(database, [series("a", [[START_MS + 100, 100]])]);
  acknowledged.push(100);
  await database.close();
  const again = await openDatabase(disk.crash({ keep: 0, random: { chance: () => false } as never }));
  onTestFinished(() => again.close());
  expect(again.damage).toEqual([]);
  expect(readDatabase(again, disk).get('__name__="a"')?.values).toEqual(expect.arrayContaining(acknowledged));
});

test("a database that is configured to be read-only takes no writes until it is configured otherwise, whatever is said", async () => {
  const disk = new MemoryVfs();
  const { maintenance } = inlineMaintenance({ vfs: disk, dataDir: "/data", module: kernel, clock: new ManualClock() });
  const reloadable = {
    retention: { ageMs: 30 * 86_400_000, sizeBytesMax: 0, volumePercentMax: 0 },
    diskReserveBytes: 0,
  };
  let database = await openDatabase(disk);
  await write(database, [series("a", [[START_MS, 1]])]);
  database.reconfigure({ ...reloadable, maintenance, isReadOnly: true });
  expect(database.state).toBe("readonly-manual");
  await database.admin.setReadOnly(false);
  await expect(write(database, [series("a", [[START_MS + 1, 2]])])).rejects.toMatchObject({
    code: "READ_ONLY",
    message: "The database takes no writes: its configuration says so (storage.read_only)",
  });
  expect(readDatabase(database, disk).get('__name__="a"')?.values).toEqual([1]);
  await expect(database.admin.compact()).rejects.toMatchObject({ code: "READ_ONLY" });
  await database.close();

  database = await openDatabase(disk, { isReadOnly: true });
  onTestFinished(() => database.close());
  expect(database.state).toBe("readonly-manual");
  database.reconfigure({ ...reloadable, maintenance });
  expect(database.state).toBe("writable");
  expect(await write(database, [series("a", [[START_MS + 1, 2]])])).toMatchObject({ accepted: 1 });
});

test("a retention that was set over the API holds over a restart, until the configuration says something else", async () => {
  const disk = new MemoryVfs();
  const DAY_MS = 86_400_000;
  const configured = { ageMs: 30 * DAY_MS, sizeBytesMax: 0, volumePercentMax: 0 };
  let database = await openDatabase(disk);
  await database.admin.setRetention({ ageMs: DAY_MS });
  const old = [series("a", [[new ManualClock().nowMs() - 2 * DAY_MS, 1]])];
  expect((await write(database, old)).rejections).toMatchObject([{ reason: "too_old" }]);
  await database.close();
  database = await openDatabase(disk);
  expect(database.admin.retention).toMatchObject({ settings: { ageMs: DAY_MS }, overridden: { ageMs: true } });
  expect((await write(database, old)).rejections).toMatchObject([{ reason: "too_old" }]);
  const { maintenance } = inlineMaintenance({ vfs: disk, dataDir: "/data", module: kernel, clock: new ManualClock() });
  database.reconfigure({ retention: { ...configured, ageMs: 7 * DAY_MS }, diskReserveBytes: 0, maintenance });
  expect(database.admin.retention).toMatchObject({ settings: { ageMs: 7 * DAY_MS }, overridden: { ageMs: false } });
  expect(await write(database, old)).toMatchObject({ accepted: 1 });
  await database.close();
});
