/** Late samples, deletes and the hand-over, through the whole database and over restarts. */
import { expect, test } from "vitest";
import { writeHandOver } from "../../../src/tsdb/db/handover.ts";
import { ManualClock } from "../../support/clock.ts";
import { DATA_DIR, openDatabase, series, WAL_DIR, write } from "../../support/database.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { readDatabase } from "../../support/read-database.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 0, 1, 12);
const options = { outOfOrderWindowMs: 24 * HOUR_MS };

const clockAt = (nowMs: number): ManualClock => new ManualClock(nowMs);

type Sample = readonly [timeMs: number, value: number];

/** Samples of a series, by their times. */
const found = (database: Parameters<typeof readDatabase>[0], vfs: MemoryVfs) =>
  [...readDatabase(database, vfs)].map(([name, stored]) => [name, stored] as const);

test("in whatever order samples arrive, the answer is the same, before and after a restart", async () => {
  const random = new Random(seedFromEnv());
  const samples = Array.from({ length: 300 }, (_, i): Sample => [NOW_MS - i * 60_000, i]);
  let expected: unknown;
  for (const order of [samples, [...samples].reverse(), ...[1, 2, 3].map(() => shuffled(samples, random))]) {
    const vfs = new MemoryVfs();
    const clock = clockAt(NOW_MS);
    let database = await openDatabase(vfs, { ...options, clock });
    for (let from = 0; from < order.length;) {
      const count = random.between(1, 40);
      expect(await write(database, [series("up", order.slice(from, from + count))])).toMatchObject({ rejections: [] });
      from += count;
    }
    const before = found(database, vfs);
    expected ??= before;
    expect(before).toEqual(expected);
    await database.close();
    database = await openDatabase(vfs, { ...options, clock });
    expect(found(database, vfs)).toEqual(expected);
    await database.close();
  }
});

test("what was handed over is not replayed, and its sequences are not used again, even without the log", async () => {
  const vfs = new MemoryVfs();
  const clock = clockAt(NOW_MS);
  let database = await openDatabase(vfs, { ...options, clock });
  const at = (minutes: number): number => NOW_MS - minutes * 60_000;
  await write(database, [series("up", [[at(100), 1]]), series("old", [[at(200), 1]])]);
  await write(database, [series("up", [[at(10), 2]])]);
  await write(database, [series("up", [[at(50), 3]])]);
  await database.close();
  // The first two records, before an hour ago: the late sample came later.
  await writeHandOver(vfs, DATA_DIR, { sequence: 2, beforeMs: at(60) });
  database = await openDatabase(vfs, { ...options, clock });
  const left = JSON.stringify(found(database, vfs), (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  for (const minutes of [10, 50]) expect(left).toContain(String(at(minutes)));
  for (const minutes of [100, 200]) expect(left).not.toContain(String(at(minutes)));
  // What comes in between is late now: the floor is where the hand-over ended.
  expect(await write(database, [series("new", [[at(70), 1]])])).toMatchObject({ accepted: 1 });
  await database.close();

  for (const name of await vfs.list(WAL_DIR)) await vfs.remove(`${WAL_DIR}/${name}`);
  await writeHandOver(vfs, DATA_DIR, { sequence: 900, beforeMs: at(0) });
  database = await openDatabase(vfs, { ...options, clock });
  await write(database, [series("up", [[at(-1), 4]])]);
  await database.close();
  database = await openDatabase(vfs, { ...options, clock });
  // Had it got an old sequence, it would count as handed over.
  expect(database.damage).toEqual([]);
  expect(found(database, vfs)).toHaveLength(1);
  await database.close();
});

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [all[i], all[other]] = [all[other]!, all[i]!];
  }
  return all;
}
