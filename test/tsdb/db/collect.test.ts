/** Series that go away and come back, in a database: with its log, its queries, and over restarts. */
import { expect, onTestFinished, test } from "vitest";
import { ManualClock } from "../../support/clock.ts";
import { openDatabase, series, write } from "../../support/database.ts";
import { readDatabase } from "../../support/read-database.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const START_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

test("a series that retention emptied is gone, comes back as a new one, and is one series after a restart", async () => {
  const disk = new MemoryVfs();
  const clock = new ManualClock(START_MS);
  const options = { clock, retention: { ageMs: 24 * HOUR_MS, sizeBytesMax: 0, volumePercentMax: 0 } };
  let database = await openDatabase(disk, options);
  await write(database, [series("stays", [[START_MS, 1]]), series("goes", [[START_MS, 2]])]);
  for (let hour = 0; hour < 30; hour++) {
    clock.advance(HOUR_MS);
    await write(database, [series("stays", [[clock.nowMs(), hour]])]);
    for (let turns = 0; turns < 40; turns++) await new Promise(setImmediate);
  }
  expect(database.stats().headSeries).toBe(1);
  expect([...readDatabase(database, disk).keys()]).toEqual(['__name__="stays"']);

  const backMs = clock.nowMs();
  await write(database, [series("goes", [[backMs, 3]])]);
  expect(database.stats().headSeries).toBe(2);
  expect(readDatabase(database, disk).get('__name__="goes"')!.times).toEqual([backMs]);
  await database.close();

  // The log declares it twice, under two refs.
  database = await openDatabase(disk, options);
  onTestFinished(() => database.close());
  expect(database.damage).toEqual([]);
  expect(database.stats().headSeries).toBe(2);
  expect(readDatabase(database, disk).get('__name__="goes"')!.times).toEqual([backMs]);
  await write(database, [series("goes", [[backMs + 1, 4]])]);
  expect(readDatabase(database, disk).get('__name__="goes"')!.times).toEqual([backMs, backMs + 1]);
});
