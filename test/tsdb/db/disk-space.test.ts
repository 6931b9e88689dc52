import { expect, test } from "vitest";
import { defaultReserve, DiskSpace, isOutOfSpace, POLL_MS } from "../../../src/tsdb/db/disk-space.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import { TsdbError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../support/clock.ts";
import { rest } from "../../support/database.ts";
import { errnoError } from "../../support/vfs/errno.ts";

const MiB = 2 ** 20;
const GiB = 2 ** 30;

function watch(reserveBytes: number | undefined, totalBytes = 10 * GiB) {
  const volume = { totalBytes, freeBytes: totalBytes, fails: false };
  const clock = new ManualClock();
  let changes = 0;
  const vfs = {
    async space() {
      if (volume.fails) throw errnoError("EIO", "statfs", "/data");
      return { totalBytes: volume.totalBytes, freeBytes: volume.freeBytes };
    },
  } as unknown as Vfs;
  const space = new DiskSpace({
    vfs,
    dir: "/data",
    reserveBytes,
    clock,
    log: silentLogger,
    onChange: () => void changes++,
  });
  const tick = async (): Promise<void> => {
    clock.advance(POLL_MS);
    await rest(2);
  };
  return { volume, space, clock, tick, changes: () => changes };
}

test("the reserve is 5 % of the volume, from 64 MiB to 1 GiB, and never more than a quarter of it", () => {
  for (const { total, reserve } of [
    { total: 10 * GiB, reserve: 512 * MiB },
    { total: 100 * GiB, reserve: GiB },
    { total: GiB, reserve: 64 * MiB },
    { total: 320 * MiB, reserve: 64 * MiB },
    { total: 100 * MiB, reserve: 25 * MiB },
  ])
    expect(Math.abs(defaultReserve(total) - reserve), `${total}`).toBeLessThan(1);
});

test("below the reserve the disk is full, and it is no more a second after space returned", async () => {
  const { volume, space, tick, changes } = watch(100 * MiB);
  await space.start();
  expect(space.isFull).toBe(false);
  volume.freeBytes = 100 * MiB - 1;
  await tick();
  expect(space.isFull).toBe(true);
  volume.freeBytes = 101 * MiB;
  await tick();
  expect(space.isFull, "at the edge it stays as it is").toBe(true);
  volume.freeBytes = 200 * MiB;
  await tick();
  expect(space.isFull).toBe(false);
  expect(changes()).toBe(2);
  await space.stop();
});

test("a volume that grows is seen, and so is another reserve", async () => {
  const { volume, space, tick } = watch(undefined, 400 * MiB);
  volume.freeBytes = 10 * MiB;
  await space.start();
  expect(space.status).toEqual({ totalBytes: 400 * MiB, freeBytes: 10 * MiB, reserveBytes: 64 * MiB });
  expect(space.isFull).toBe(true);
  space.setReserve(MiB);
  expect(space.isFull).toBe(false);
  space.setReserve(undefined);
  expect(space.isFull).toBe(true);
  Object.assign(volume, { totalBytes: 800 * MiB, freeBytes: 410 * MiB });
  await tick();
  expect(space.isFull).toBe(false);
  await space.stop();
});

test("where the system does not tell, what was known last stays", async () => {
  const { volume, space, tick, clock } = watch(100 * MiB);
  volume.fails = true;
  await space.start();
  expect(space.status).toBeUndefined();
  expect(space.isFull).toBe(false);
  Object.assign(volume, { fails: false, freeBytes: 1 });
  await tick();
  volume.fails = true;
  await tick();
  expect(space.isFull).toBe(true);
  await space.stop();
  expect(clock.pendingTimers).toBe(0);
});

test("want of space is told from other failures, however deep it lies", () => {
  const full = errnoError("ENOSPC", "write", "/data/wal/1");
  expect(isOutOfSpace(full)).toBe(true);
  expect(isOutOfSpace(new TsdbError("IO", "Cannot write", { cause: full }))).toBe(true);
  expect(isOutOfSpace(errnoError("EDQUOT", "write", "/data/wal/1"))).toBe(true);
  expect(isOutOfSpace(errnoError("EIO", "write", "/data/wal/1"))).toBe(false);
});
