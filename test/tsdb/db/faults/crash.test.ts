/** The whole database, cut off at every operation on its disk. */
import { expect, test, vi } from "vitest";
import type { Vfs } from "../../../../src/base/vfs.ts";
import { seedFromEnv } from "../../../support/random.ts";
import { crashAtEvery } from "../../../support/vfs/crash.ts";
import { faultyVfs } from "../../../support/vfs/faulty.ts";
import type { MemoryVfs } from "../../../support/vfs/memory.ts";
import { judge, type Known, requests, LATER, type SyncMode, treeOf, Trial } from "./trial.ts";

// Hundreds of starts: seconds alone, more beside other tests.
vi.setConfig({ testTimeout: 300_000 });

/**
 * Two lives of a database: group commit, rotation, full chunks, a sync that fails and a retry, a clean end, a new start,
 * and data that grows older than the retention.
 */
async function twoLives(vfs: Vfs, trial: Trial): Promise<void> {
  const failing = faultyVfs(vfs, {
    errno: "EIO",
    call: 4,
    lasting: "once",
    matches: ({ operation, path }) => operation === "sync" && path.startsWith("/data/wal/"),
  });
  const first = await trial.open(failing);
  await Promise.all([0, 1, 2].map((i) => trial.write(first, i)));
  for (let i = 3; i < 9; i++) {
    // In `interval` mode nobody waits for the sync that fails.
    await trial.write(first, i).catch(() => trial.write(first, i));
    if (i % 2 === 0) await trial.pass(1_000);
  }
  expect(failing.failed.length, "the failed sync").toBe(1);
  await first.close();

  const second = await trial.open(vfs);
  await trial.writeAll(second, 9, 12);
  await trial.passRetention();
  await Promise.all([LATER, LATER + 1, LATER + 2].map((i) => trial.write(second, i)));
  await trial.pass(3_600_000, 600_000);
  await trial.writeAll(second, LATER + 3, LATER + 6);
  await second.close();
}

/** Names that may be there after an orderly end; anything else is left over from something. */
const rightful = /^\/data\/(wal\/\d{8}|chunks_head\/\d{8})$/;

async function survives(disk: MemoryVfs, known: Known, sync: SyncMode, cut: "power" | "process"): Promise<void> {
  const trial = new Trial({ sync }, known);
  const first = await trial.open(disk);
  expect(first.damage, "a crash damages nothing").toEqual([]);
  expect(first.state).toBe("writable");
  const present = judge(first, disk, known, sync === "interval" && cut === "power" ? "prefix" : "all acked");
  await trial.writeLast(first);
  await first.close();
  expect(disk.openPaths, "files left open").toEqual([]);

  const after: Known = { ...known, begun: [...present, requests.length - 1], acked: present.add(requests.length - 1) };
  const second = await trial.open(disk);
  judge(second, disk, after, "all acked");
  await second.close();
  const tree = await treeOf(disk);
  expect(
    Object.keys(tree).filter((path) => !rightful.test(path)),
    "left over",
  ).toEqual([]);

  const third = await trial.open(disk);
  await third.close();
  expect(await treeOf(disk), "what a start and an end leave").toEqual(tree);
}

test.each(["always", "interval"] as const)(
  "with wal.sync %s, whatever operation is the last before a crash, all that was promised is there",
  async (sync) => {
    const trial = new Trial({ sync });
    const judged = await crashAtEvery({
      seed: seedFromEnv(),
      run: (vfs) => twoLives(vfs, trial),
      known: trial.known,
      verify: (disk, known, cut) => survives(disk, known, sync, cut),
    });
    process.stdout.write(`${judged} crashed disks, wal.sync ${sync}\n`);
    expect(judged).toBeGreaterThan(200);
  },
);
