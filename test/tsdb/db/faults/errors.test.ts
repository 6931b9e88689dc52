/** The whole database on a disk whose every operation fails, once or from then on, in every way a disk fails. */
import { beforeAll, expect, test, vi } from "vitest";
import { TsdbError } from "../../../../src/base/errors.ts";
import type { Database } from "../../../../src/tsdb/db.ts";
import { Random } from "../../../support/random.ts";
import { type FaultyVfs, forEachFault } from "../../../support/vfs/faulty.ts";
import type { MemoryVfs } from "../../../support/vfs/memory.ts";
import { isExhaustive, TIMEOUT_MS } from "./exhaustive.ts";
import { diskAfterPowerCut, DYING, judge, type Known, LATER, type SyncMode, Trial } from "./trial.ts";

vi.setConfig({ testTimeout: TIMEOUT_MS });

let before: Awaited<ReturnType<typeof diskAfterPowerCut>>;
beforeAll(async () => {
  before = await diskAfterPowerCut();
});

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
    // A disk that cannot even be read from: the process ends, and says why.
    expect(thrown).toBeInstanceOf(Error);
    await database.close().catch((again: unknown) => expect(again).toBeInstanceOf(Error));
    return;
  }
  for (let i = DYING; i < DYING + 6; i++) await attempt(trial, database, i);
  await trial.pass(2_000);
  await attempt(trial, database, DYING + 6);
  await trial.passRetention();
  await attempt(trial, database, LATER);
  await trial.pass(3_600_000, 1_800_000);
  expect(["writable", "readonly-disk", "readonly-fault"]).toContain(database.state);

  vfs.heal();
  await trial.pass(120_000, 10_000);
  expect(database.state, "once the disk works again").toBe("writable");
  await trial.write(database, LATER + 1);
  await database.close();
}

/** Everything was closed in order or never acknowledged, so no power cut may take any of it, in either mode. */
async function lostNothing(disk: MemoryVfs, known: Known): Promise<void> {
  expect(disk.openPaths, "files left open").toEqual([]);
  const found = disk.crash({ keep: 0, random: new Random(1) });
  const database = await new Trial({ sync: "always" }, known).open(found);
  expect(database.damage).toEqual([]);
  judge(database, found, known, "all acked");
  await database.close();
  expect(found.openPaths).toEqual([]);
}

/**
 * All of them with FAULTS=all, which takes many minutes. The code asks which errno it is in few places, so otherwise a disk
 * that fails once, and one that is full from then on.
 */
const allKinds = [
  ...(["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EROFS", "EINTR"] as const).map(
    (errno) => ({ errno, lasting: "once" }) as const,
  ),
  { errno: "EIO", lasting: "from then on" },
  { errno: "ENOSPC", lasting: "from then on", short: true },
  { errno: "ENOSPC", lasting: "once", short: true },
] as const;
const kinds = isExhaustive
  ? allKinds
  : allKinds.filter(({ errno, lasting }) => (lasting === "once" ? errno === "EIO" : errno === "ENOSPC"));

test.each<SyncMode>(["always", "interval"])(
  "with wal.sync %s, no failure of the disk loses what was acknowledged, and it goes on when the disk does",
  async (sync) => {
    const met = await forEachFault({ faults: kinds, disk: () => before.disk.kill() }, async (vfs, disk) => {
      const trial = new Trial({ sync }, before.known);
      await life(vfs, trial);
      await lostNothing(disk, trial.known());
    });
    process.stdout.write(`${met} failures of the disk, wal.sync ${sync}\n`);
    expect(met).toBeGreaterThan(kinds.length * 50);
  },
);
