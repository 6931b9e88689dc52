/** The real file system and the one in memory do the same. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { errnoOf } from "../../src/base/errors.ts";
import { removeTree } from "../../src/base/remove-tree.ts";
import { realVfs, type Vfs } from "../../src/base/vfs.ts";
import { MemoryVfs } from "../support/vfs/memory.ts";

const made: string[] = [];
afterEach(() => made.splice(0).forEach((dir) => rmSync(dir, { recursive: true })));

const volumes = [
  {
    name: "the real file system",
    mount: (): { vfs: Vfs; dir: string } => {
      const dir = mkdtempSync(join(tmpdir(), "vfs-"));
      made.push(dir);
      return { vfs: realVfs, dir };
    },
  },
  { name: "the file system in memory", mount: (): { vfs: Vfs; dir: string } => ({ vfs: new MemoryVfs(), dir: "/" }) },
] as const;

const errno = (call: Promise<unknown>): Promise<string | undefined> => call.then(() => "none", errnoOf);

test.each(volumes)("$name: files, links, directories and what they refuse", async ({ mount }) => {
  const { vfs, dir } = mount();
  const path = (name: string): string => join(dir, name);
  await vfs.mkdir(path("one/two"));
  const file = await vfs.open(path("one/file"), "create");
  await file.write(new Uint8Array(700).fill(1), 0);
  await file.sync();
  expect([file.sizeBytesSync(), await file.sizeBytes()]).toEqual([700, 700]);
  await vfs.link(path("one/file"), path("one/two/same"));
  await vfs.rename(path("one/two"), path("three"));
  await vfs.syncDir(dir);

  expect(await vfs.stat(path("three/same"))).toEqual({ kind: "file", sizeBytes: 700 });
  expect(await vfs.stat(path("three"))).toEqual({ kind: "directory", sizeBytes: 0 });
  expect(await vfs.stat(path("one/two"))).toBe(undefined);
  expect(vfs.listSync(dir)).toEqual(["one", "three"]);
  expect(await vfs.list(path("one"))).toEqual(["file"]);
  const { totalBytes, freeBytes } = await vfs.space(path("one/file"));
  expect(freeBytes).toBeGreaterThan(0);
  expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);

  expect(await errno(vfs.link(path("one/file"), path("three/same")))).toBe("EEXIST");
  expect(await errno(vfs.removeDir(path("three")))).toBe("ENOTEMPTY");
  expect(await errno(vfs.removeDir(path("one/file")))).toBe("ENOTDIR");
  expect(await errno(vfs.rename(path("one/file"), path("three")))).toBe("EISDIR");
  expect(await errno(vfs.space(path("none")))).toBe("ENOENT");

  await vfs.remove(path("one/file"));
  expect(await vfs.stat(path("three/same"))).toEqual({ kind: "file", sizeBytes: 700 });
  await file.close();
  await removeTree(vfs, path("three"));
  await vfs.removeDir(path("one"));
  expect(await vfs.list(dir)).toEqual([]);
});
