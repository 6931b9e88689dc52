/** The whole database, cut off at every operation on its disk. */
import { beforeAll, expect, test, vi } from "vitest";
import type { Vfs } from "../../../../src/base/vfs.ts";
import { Random, seedFromEnv } from "../../../support/random.ts";
import { crashAtEvery } from "../../../support/vfs/crash.ts";
import { interceptVfs } from "../../../support/vfs/intercept.ts";
import { faultyVfs } from "../../../support/vfs/faulty.ts";
import type { MemoryVfs } from "../../../support/vfs/memory.ts";
import { TIMEOUT_MS } from "./exhaustive.ts";
import {
  diskAfterPowerCut,
  DYING,
  judge,
  type Known,
  LAST,
  LATER,
  rest,
  SYNC_INTERVAL_MS,
  type SyncMode,
  treeOf,
  Trial,
} from "./trial.ts";

vi.setConfig({ testTimeout: TIMEOUT_MS });

/** A chunk file each, so that they are synced one by one. */
const ONE_CHUNK = 1_500;

let before: Awaited<ReturnType<typeof diskAfterPowerCut>>;
beforeAll(async () => {
  before = await diskAfterPowerCut();
});

/**
 * Two lives of a database that begin after a power cut: repairs, group commit, a request that comes twice at once, rotation,
 * full chunks, a sync that fails and a retry, a clean end, a new start, and data that grows older than the retention.
 */
async function twoLives(vfs: Vfs, trial: Trial, sync: SyncMode): Promise<void> {
  const failing = faultyVfs(vfs, {
    errno: "EIO",
    call: 4,
    lasting: "once",
    matches: ({ operation, path }) => operation === "sync" && path.startsWith("/data/wal/") && !path.endsWith(".tmp"),
  });
  const first = await trial.open(failing);
  await Promise.all([DYING, DYING + 1, DYING + 1, DYING + 2].map((i) => trial.write(first, i)));
  for (let i = DYING + 3; i < DYING + 9; i++) {
    // In `interval` mode nobody waits for the sync that fails.
    await trial.write(first, i).catch(() => trial.write(first, i));
    if (i % 2 === 0) await trial.pass(SYNC_INTERVAL_MS);
  }
  expect(failing.failed.length, "the failed sync").toBe(1);
  await first.close();

  let duringSync: (() => Promise<void>) | undefined;
  const second = await trial.open(
    afterSync(vfs, async () => {
      const run = duringSync;
      duringSync = undefined;
      await run?.();
    }),
  );
  await trial.writeAll(second, DYING + 9, DYING + 12);
  if (sync === "interval") {
    // What is written while a sync is under way is not durable when it ends, nor are the chunks that it fills.
    // A write that needs a new segment waits for the sync, so the sync cannot wait for all of them.
    let writing: Promise<void> | undefined;
    duringSync = async () => {
      writing = trial.writeAll(second, DYING + 12, LATER);
      await rest();
    };
    await trial.pass(SYNC_INTERVAL_MS);
    expect(writing, "what was written during a sync").toBeDefined();
    await writing;
  }
  await trial.passRetention();
  await Promise.all([LATER, LATER + 1, LATER + 2].map((i) => trial.write(second, i)));
  await trial.pass(3_600_000, 600_000);
  await trial.writeAll(second, LATER + 3, LATER + 6);
  await second.close();
}

/** A disk whose syncs of the log have done their work some time before they return. */
const afterSync = (vfs: Vfs, run: () => Promise<void>): Vfs =>
  interceptVfs(vfs, {
    async async(call, make) {
      const result = await make();
      if (call.operation === "sync" && call.path.startsWith("/data/wal/")) await run();
      return result;
    },
    sync: (_call, make) => make(),
  });

/** Names that may be there after an orderly end; anything else is left over from something. */
const rightful =
  /^\/data\/(handover|wal\/\d{8}|chunks_head\/\d{8}|blocks\/[0-9A-Z]{26}\/([a-z]+(\.json)?|chunks\/\d{6}))$/;

async function survives(disk: MemoryVfs, known: Known, sync: SyncMode, cut: "power" | "process"): Promise<void> {
  const trial = new Trial({ sync }, known);
  const first = await trial.open(disk);
  expect(first.damage, "a crash damages nothing").toEqual([]);
  expect(first.state).toBe("writable");
  const present = judge(first, disk, known, sync === "interval" && cut === "power" ? "prefix" : "all acked");
  await trial.writeLast(first);
  const cutAgain = cut === "process" ? disk.crash({ keep: 0, random: new Random(1) }) : undefined;
  await first.close();
  expect(disk.openPaths, "files left open").toEqual([]);

  // What was found after the kill is there for good, though it had not been synced then; the rest is as safe as ever.
  const begun = [...present, LAST];
  if (cutAgain) await holds(cutAgain, sync, { ...known, begun, acked: sync === "always" ? new Set(begun) : present });
  await holds(disk, sync, { ...known, begun, acked: new Set(begun) });
  const tree = await treeOf(disk);
  expect(
    Object.keys(tree).filter((path) => !rightful.test(path)),
    "left over",
  ).toEqual([]);
  await holds(disk, sync, { ...known, begun, acked: new Set(begun) });
  expect(await treeOf(disk), "what a start and an end leave").toEqual(tree);
}

/** A start on the disk finds all that was acknowledged. */
async function holds(disk: MemoryVfs, sync: SyncMode, known: Known): Promise<void> {
  const database = await new Trial({ sync }, known).open(disk);
  judge(database, disk, known, "all acked");
  await database.close();
}

test.each(["always", "interval"] as const)(
  "with wal.sync %s, whatever operation is the last before a crash, all that was promised is there",
  async (sync) => {
    const trial = new Trial({ sync, chunkFileBytesMax: ONE_CHUNK }, before.known);
    const judged = await crashAtEvery({
      seed: seedFromEnv(),
      disk: before.disk.kill(),
      run: (vfs) => twoLives(vfs, trial, sync),
      known: trial.known,
      keeps: [0, 0.5],
      verify: (disk, known, cut) => survives(disk, known, sync, cut),
    });
    process.stdout.write(`${judged} crashed disks, wal.sync ${sync}\n`);
    expect(judged).toBeGreaterThan(200);
  },
);
