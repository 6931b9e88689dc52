import { expect, test } from "vitest";
import { OverlayVfs } from "../../src/base/overlay-vfs.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import { Random, seedFromEnv } from "../support/random.ts";
import { MemoryVfs } from "../support/vfs/memory.ts";
import { putFile, readFile } from "../support/wal-files.ts";

const DIRS = ["/data", "/data/a", "/data/b", "/data/a/c", "/data/new"];
const NAMES = ["x", "y", "z"];

async function populated(): Promise<MemoryVfs> {
  const disk = new MemoryVfs();
  for (const dir of DIRS.slice(0, 4)) {
    await disk.mkdir(dir);
    for (const name of NAMES) await putFile(disk, `${dir}/${name}`, Buffer.from(`${dir}/${name}`));
  }
  await disk.mkdir("/scratch");
  return disk;
}

/** All that is there, by path. */
async function tree(vfs: Vfs, dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await vfs.list(dir)) {
    const path = `${dir}/${name}`;
    const stat = await vfs.stat(path);
    if (stat?.kind === "directory") found.push(`${path}/`, ...(await tree(vfs, path)));
    else found.push(`${path}: ${Buffer.from(await readFile(vfs, path)).toString()} (${stat?.sizeBytes})`);
  }
  return found;
}

/** What one random operation does to a disk: its result, or the code that it fails with. */
async function operate(vfs: Vfs, random: Random): Promise<string> {
  const dir = random.pick(DIRS);
  const path = `${random.pick(DIRS)}/${random.pick(NAMES)}`;
  const other = `${random.pick(DIRS)}/${random.pick(NAMES)}`;
  const kind = random.below(8);
  const text = String(random.below(1000));
  try {
    switch (kind) {
      case 0:
      case 1: {
        const file = await vfs.open(path, kind === 0 ? "create" : "write");
        await file.write(Buffer.from(text), 2);
        await file.close();
        return "written";
      }
      case 2:
        await vfs.rename(path, other);
        return "renamed";
      case 3:
        await vfs.remove(path);
        return "removed";
      case 4:
        await vfs.mkdir(dir);
        return "made";
      case 5:
        return Buffer.from(await readFile(vfs, path)).toString();
      case 6:
        return (await vfs.list(dir)).join() + vfs.listSync(dir).join();
      default: {
        const file = vfs.openSync(path);
        const size = file.sizeBytesSync();
        file.closeSync();
        return String(size);
      }
    }
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown);
  }
}

test("an overlay does what a disk does, and the disk below stays as it is", async () => {
  const seed = seedFromEnv();
  for (let run = 0; run < 60; run++) {
    const below = await populated();
    const before = await tree(below, "/data");
    const overlay = new OverlayVfs(below, "/scratch");
    const model = await populated();
    // What a path means while a directory that it lies in is missing is not a question that a database asks.
    await overlay.mkdir("/data/new");
    await model.mkdir("/data/new");
    const [first, second] = [new Random(seed + run), new Random(seed + run)];
    for (let i = 0; i < 60; i++) {
      const [got, wanted] = [await operate(overlay, first), await operate(model, second)];
      expect(got, `seed ${seed}, run ${run}, operation ${i}`).toBe(wanted);
    }
    expect(await tree(overlay, "/data"), `seed ${seed}, run ${run}`).toEqual(await tree(model, "/data"));
    expect(await tree(below, "/data")).toEqual(before);
    expect(below.openPaths).toEqual([]);
  }
});

test("a directory that is renamed takes along what lies in it, and leaves nothing under its old name", async () => {
  const below = await populated();
  const before = await tree(below, "/data");
  const overlay = new OverlayVfs(below, "/scratch");
  await overlay.rename("/data/a", "/data/away");
  expect(await overlay.exists("/data/a/c/x")).toBe(false);
  await expect(overlay.list("/data/a")).rejects.toThrow("ENOENT");
  expect(() => overlay.openSync("/data/a/x")).toThrow("ENOENT");
  expect(Buffer.from(await readFile(overlay, "/data/away/c/x")).toString()).toBe("/data/a/c/x");
  expect(overlay.listSync("/data")).toEqual(["away", "b", "x", "y", "z"]);
  await overlay.remove("/data/away/c/x");
  expect(await overlay.list("/data/away/c")).toEqual(["y", "z"]);
  expect(await tree(below, "/data")).toEqual(before);
});

test("a link is a file of its own, and the disk has no further name", async () => {
  const below = await populated();
  const overlay = new OverlayVfs(below, "/scratch");
  await overlay.link("/data/x", "/data/linked");
  await expect(overlay.link("/data/x", "/data/linked")).rejects.toThrow("EEXIST");
  const file = await overlay.open("/data/linked", "write");
  await file.write(Buffer.from("changed"), 0);
  await file.close();
  expect(Buffer.from(await readFile(below, "/data/x")).toString()).toBe("/data/x");
  expect(await below.exists("/data/linked")).toBe(false);
});
