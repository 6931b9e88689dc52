/** The hand-over file: the old one or the new one is there at every moment, and what is damaged counts as none. */
import { expect, test } from "vitest";
import { crc32c } from "../../../src/base/crc32c.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { readWholeFile } from "../../../src/base/replace-file.ts";
import { type HandOver, readHandOver, writeHandOver } from "../../../src/tsdb/db/handover.ts";
import { seedFromEnv } from "../../support/random.ts";
import { crashAtEvery } from "../../support/vfs/crash.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import { putFile } from "../../support/wal-files.ts";

const DIR = "/data";
const first: HandOver = { sequence: 7, beforeMs: -3_600_000 };
const second: HandOver = { sequence: 2 ** 40, beforeMs: 1_780_000_000_000 };

async function emptyDisk(): Promise<MemoryVfs> {
  const disk = new MemoryVfs();
  await disk.mkdir(DIR);
  return disk;
}

const read = (disk: MemoryVfs) => readHandOver(disk, DIR, silentLogger);

test("what was handed over is read again, the newest only", async () => {
  const disk = await emptyDisk();
  expect(await read(disk)).toBeUndefined();
  await writeHandOver(disk, DIR, first);
  expect(await read(disk)).toEqual(first);
  await writeHandOver(disk, DIR, second);
  expect(await read(disk)).toEqual(second);
  expect(disk.openPaths).toEqual([]);
});

test("a crash at any moment leaves the old hand-over or the new one, and the new one once it was said to be durable", async () => {
  const disk = await emptyDisk();
  await disk.syncDir("/");
  await writeHandOver(disk, DIR, first);
  let isDurable = false;
  const judged = await crashAtEvery({
    seed: seedFromEnv(),
    disk,
    run: async (vfs) => {
      await writeHandOver(vfs, DIR, second);
      isDurable = true;
    },
    known: () => isDurable,
    verify: async (crashed, known) => {
      const found = await read(crashed);
      if (known) expect(found).toEqual(second);
      else expect([first, second]).toContainEqual(found);
    },
  });
  expect(judged).toBeGreaterThan(10);
});

test("a damaged file counts as none, whatever byte it is; one of a newer version is refused", async () => {
  const disk = await emptyDisk();
  await writeHandOver(disk, DIR, second);
  const bytes = (await readWholeFile(disk, `${DIR}/handover`))!;
  for (let i = 0; i < bytes.length; i++) {
    const damaged = Uint8Array.from(bytes);
    damaged[i]! ^= 1 << (i % 8);
    await putFile(disk, `${DIR}/handover`, damaged);
    expect(await read(disk), `byte ${i}`).toBeUndefined();
  }
  await putFile(disk, `${DIR}/handover`, bytes.subarray(0, 31));
  expect(await read(disk)).toBeUndefined();
  const newer = Uint8Array.from(bytes);
  const view = new DataView(newer.buffer);
  view.setUint32(8, 2, true);
  view.setUint32(12, crc32c(newer.subarray(16), crc32c(newer.subarray(0, 12))), true);
  await putFile(disk, `${DIR}/handover`, newer);
  await expect(read(disk)).rejects.toMatchObject({ code: "FORMAT_TOO_NEW" });
});
