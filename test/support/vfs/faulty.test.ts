/** Disks that fail, are cut off, or are slow, and the clock: what the tests of the database rest on. */
import { expect, test } from "vitest";
import { errnoOf } from "../../../src/base/errors.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import { ManualClock } from "../clock.ts";
import { crashAtEvery } from "./crash.ts";
import { allFaults, faultyVfs, forEachFault } from "./faulty.ts";
import { latencyVfs } from "./latency.ts";
import { MemoryVfs } from "./memory.ts";

const data = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);

/** Makes 5 calls on the first try: open, write, sync, close, syncDir. */
async function saveFile(vfs: Vfs): Promise<void> {
  const file = await vfs.open("/file", "create");
  try {
    await file.write(data, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await vfs.syncDir("/");
}

test("each call fails in its turn, and the loop ends with the first run that makes fewer calls", async () => {
  const failedAt: string[] = [];
  const met = await forEachFault({ faults: [{ errno: "EIO", lasting: "once" }] }, async (vfs, disk) => {
    const error = await saveFile(vfs).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (vfs.failed.length > 0) expect(errnoOf(error)).toBe("EIO");
    failedAt.push(vfs.failed[0]?.operation ?? "none");
    expect(disk.openPaths).toEqual([]);
  });
  expect(failedAt).toEqual(["open", "write", "sync", "close", "syncDir", "none"]);
  expect(met).toBe(5);
});

test("the error of a run names the fault it was under", async () => {
  const run = forEachFault({ faults: [{ errno: "ENOSPC", lasting: "from then on" }] }, async (vfs) => {
    await saveFile(vfs).catch(() => {});
    if (vfs.failed[0]?.operation === "write") throw new Error("lost a sample");
  });
  await expect(run).rejects.toThrow("With ENOSPC at call 2, from then on (write /file): lost a sample");
});

test("a fault can be short, lasting, and bound to some calls, and the disk can be healed", async () => {
  const disk = new MemoryVfs();
  const vfs = faultyVfs(disk, {
    errno: "ENOSPC",
    call: 1,
    lasting: "from then on",
    short: true,
    matches: ({ operation, path }) => operation === "write" && path === "/file",
  });
  const file = await vfs.open("/file", "create");
  await expect(file.write(data, 0)).rejects.toMatchObject({ code: "ENOSPC", path: "/file" });
  expect(await file.sizeBytes()).toBe(500);
  await expect(file.write(data, 0)).rejects.toMatchObject({ code: "ENOSPC" });
  vfs.heal();
  await file.write(data, 0);
  expect(await file.sizeBytes()).toBe(1000);
  expect(vfs.calls).toBe(3);
  expect(vfs.failed).toHaveLength(2);
});

test("a failed sync loses what it was to sync, even when a retry says it succeeded", async () => {
  const disk = new MemoryVfs();
  const vfs = faultyVfs(disk, {
    errno: "EIO",
    call: 1,
    lasting: "once",
    matches: ({ operation }) => operation === "sync",
  });
  const file = await vfs.open("/file", "create");
  await vfs.syncDir("/");
  await file.write(data, 0);
  await expect(file.sync()).rejects.toMatchObject({ code: "EIO" });
  await file.sync();
  const run = { seed: 1, disk, run: async () => {}, known: () => undefined };
  await expect(
    crashAtEvery({
      ...run,
      verify: async (found) => expect(await found.openSync("/file").sizeBytes()).toBe(1000),
    }),
  ).rejects.toThrow("0 % of what was not synced kept, SEED=1");
});

test("a disk is judged for every operation of a run, with what was known then", async () => {
  let saved = false;
  const judged = await crashAtEvery({
    seed: 1,
    run: async (vfs) => {
      await saveFile(vfs);
      saved = true;
      await vfs.mkdir("/more");
    },
    known: () => saved,
    verify: async (disk, wasSaved) => {
      if (wasSaved) expect(await disk.openSync("/file").sizeBytes()).toBe(1000);
    },
  });
  // open, write, sync, syncDir, mkdir and the end; killed and cut in three ways
  expect(judged).toBe(6 * 4);
});

test("every kind of fault is among those tried by default", () => {
  expect(new Set(allFaults.map(({ errno }) => errno))).toEqual(
    new Set(["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EROFS", "EINTR"]),
  );
});

test("a slow call is made when its time on the clock has come", async () => {
  const clock = new ManualClock();
  const disk = new MemoryVfs();
  const vfs = latencyVfs(disk, clock, ({ operation }) => (operation === "mkdir" ? 20 : 0));
  const making = vfs.mkdir("/slow");
  clock.advance(19);
  await Promise.resolve();
  expect(await disk.exists("/slow")).toBe(false);
  clock.advance(1);
  await making;
  expect(await disk.exists("/slow")).toBe(true);
});

test("timers run in the order they fall due, at their own time, and only the wall clock jumps", () => {
  const clock = new ManualClock(1_000);
  const ran: string[] = [];
  clock.after(10, () => ran.push(`b at ${clock.nowMs()}`));
  clock.after(5, () => {
    ran.push(`a at ${clock.nowMs()}`);
    clock.after(1, () => ran.push(`a2 at ${clock.nowMs()}`));
  });
  clock.after(7, () => ran.push("never")).cancel();
  clock.jumpWall(-500);
  clock.advance(10);
  expect(ran).toEqual(["a at 505", "a2 at 506", "b at 510"]);
  expect(clock.monotonicMs()).toBe(10);
  expect(clock.pendingTimers).toBe(0);
});
