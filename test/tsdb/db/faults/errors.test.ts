/** The whole database on a disk whose every operation fails, once or from then on, in every way a disk fails. */
import { expect, test } from "vitest";
import { TsdbError } from "../../../../src/base/errors.ts";
import type { Database } from "../../../../src/tsdb/db.ts";
import { Random } from "../../../support/random.ts";
import { allFaults, type FaultyVfs, forEachFault } from "../../../support/vfs/faulty.ts";
import type { MemoryVfs } from "../../../support/vfs/memory.ts";
import { judge, LATER, Trial } from "./trial.ts";

/** What a write may be answered when the disk fails. */
const refusals = new Set(["OVERLOADED", "READ_ONLY", "NOT_READY"]);

async function attempt(trial: Trial, database: Database, i: number): Promise<void> {
  try {
    await trial.write(database, i);
  } catch (thrown) {
    if (!(thrown instanceof TsdbError) || !refusals.has(thrown.code)) throw thrown;
  }
}

/** A start, writes over several segments, full chunks, retention and an end, on a disk that fails somewhere in it. */
async function life(vfs: FaultyVfs, trial: Trial): Promise<void> {
  const database = trial.database(vfs);
  try {
    await database.start();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(Error);
    await endOf(database, vfs);
    return;
  }
  for (let i = 0; i < 7; i++) await attempt(trial, database, i);
  await trial.pass(2_000);
  for (let i = 7; i < 9; i++) await attempt(trial, database, i);
  await trial.passRetention();
  await attempt(trial, database, LATER);
  await trial.pass(3_600_000, 1_800_000);
  expect(["writable", "readonly-fault"]).toContain(database.state);

  vfs.heal();
  await trial.pass(120_000, 10_000);
  expect(database.state, "once the disk works again").toBe("writable");
  await trial.write(database, LATER + 1);
  await database.close();
}

/** A database that could not start lets go of all it has, whether or not its disk works. */
async function endOf(database: Database, vfs: FaultyVfs): Promise<void> {
  await database.close().catch((thrown: unknown) => expect(thrown).toBeInstanceOf(Error));
  vfs.heal();
}

async function lostNothing(disk: MemoryVfs, trial: Trial): Promise<void> {
  expect(disk.openPaths, "files left open").toEqual([]);
  const known = trial.known();
  for (const found of [disk.kill(), disk.crash({ keep: 0, random: new Random(1) })]) {
    const database = await trial.open(found);
    // The database was closed in order, so there is nothing left that a power cut may take in either mode.
    judge(database, found, known, "all acked");
    await database.close();
    expect(found.openPaths).toEqual([]);
  }
}

test.each(["always", "interval"] as const)(
  "with wal.sync %s, no failure of the disk loses what was acknowledged, and it goes on when the disk does",
  async (sync) => {
    let trial = new Trial({ sync });
    const met = await forEachFault({ faults: allFaults }, async (vfs, disk) => {
      trial = new Trial({ sync });
      await life(vfs, trial);
      await lostNothing(disk, trial);
    });
    process.stdout.write(`${met} failures of the disk, wal.sync ${sync}\n`);
  },
);
