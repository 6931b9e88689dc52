/** The forgetful disk itself: what it keeps and loses is what src/base/vfs.ts promises, no more and no less. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { VfsFile } from "../../../src/base/vfs.ts";
import { Random } from "../random.ts";
import { MemoryFile, MemoryVfs } from "./memory.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);
const filled = (value: number, byteCount: number): Uint8Array => new Uint8Array(byteCount).fill(value);

async function contentOf(disk: MemoryVfs, path: string): Promise<Uint8Array> {
  const file = await disk.open(path, "read");
  const into = new Uint8Array(await file.sizeBytes());
  await file.read(into, 0);
  await file.close();
  return into;
}

async function durableFile(disk: MemoryVfs, path: string, content = ""): Promise<VfsFile> {
  const file = await disk.open(path, "create");
  await file.write(bytes(content), 0);
  await file.sync();
  await disk.syncDir("/");
  return file;
}

const crash = (disk: MemoryVfs, keep: number, seed = 1): MemoryVfs => disk.crash({ keep, random: new Random(seed) });

test("what was synced survives a power cut; what was not is kept or lost as chosen", async () => {
  const disk = new MemoryVfs();
  const file = await durableFile(disk, "/wal", "synced ");
  await file.write(bytes("not synced"), 7);
  expect(text(await contentOf(disk, "/wal"))).toBe("synced not synced");
  expect(text(await contentOf(crash(disk, 0), "/wal"))).toBe("synced ");
  expect(text(await contentOf(crash(disk, 1), "/wal"))).toBe("synced not synced");
});

test("a write is torn at sectors of 512 bytes, each on its own", async () => {
  const disk = new MemoryVfs();
  const file = await durableFile(disk, "/wal");
  await file.write(filled(7, 5 * 512), 0);
  const seen = new Set<string>();
  for (let seed = 0; seed < 400; seed++) {
    const found = await contentOf(crash(disk, 0.5, seed), "/wal");
    for (let sector = 0; sector * 512 < found.length; sector++)
      expect(new Set(found.subarray(sector * 512, sector * 512 + 512)).size, "a sector is whole").toBe(1);
    seen.add(Array.from({ length: Math.ceil(found.length / 512) }, (_, i) => found[i * 512]).join(""));
  }
  expect(seen).toContain("");
  expect(seen).toContain("77777");
  expect(seen, "a hole before data that survived").toContain("07777");
});

test("a sector that was written twice shows the first write, both, or none", async () => {
  const disk = new MemoryVfs();
  const file = await durableFile(disk, "/wal", "....");
  await file.write(bytes("a"), 0);
  await file.write(bytes("b"), 1);
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) seen.add(text(await contentOf(crash(disk, 0.5, seed), "/wal")));
  expect([...seen].sort()).toEqual(["....", "a...", "ab.."]);
});

test("a sync covers what was written before it began, not what was written while it ran", async () => {
  const disk = new MemoryVfs();
  const file = await durableFile(disk, "/wal");
  await file.write(bytes("before"), 0);
  const syncing = file.sync();
  await file.write(bytes(" during"), 6);
  await syncing;
  expect(text(await contentOf(crash(disk, 0), "/wal"))).toBe("before");
});

test("after a failed sync no later sync makes the data durable, though reads go on showing it", async () => {
  const disk = new MemoryVfs();
  const file = (await durableFile(disk, "/wal")) as MemoryFile;
  await file.write(bytes("doubtful"), 0);
  file.failSync();
  await file.write(filled(1, 512), 512);
  await file.sync();
  const found = await contentOf(crash(disk, 0), "/wal");
  expect(found).toEqual(Uint8Array.from([...filled(0, 512), ...filled(1, 512)]));
  expect(text((await contentOf(disk, "/wal")).subarray(0, 8))).toBe("doubtful");
  expect(text((await contentOf(crash(disk, 1), "/wal")).subarray(0, 8))).toBe("doubtful");
});

test("names are durable only once their directory was synced, each on its own", async () => {
  const disk = new MemoryVfs();
  const [kept] = [await durableFile(disk, "/kept", "old"), await durableFile(disk, "/removed")];
  await disk.remove("/removed");
  const created = await disk.open("/created", "create");
  await created.sync();
  await kept.sync();
  expect(await disk.list("/")).toEqual(["created", "kept"]);
  expect(await crash(disk, 0).list("/")).toEqual(["kept", "removed"]);
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) seen.add((await crash(disk, 0.5, seed).list("/")).join());
  expect(seen.size).toBe(4);
  await disk.syncDir("/");
  expect(await crash(disk, 0).list("/")).toEqual(["created", "kept"]);
});

test("a rename over a file leaves the old one or the new one, never neither", async () => {
  const disk = new MemoryVfs();
  await durableFile(disk, "/meta", "old");
  await durableFile(disk, "/meta.tmp", "new");
  await disk.rename("/meta.tmp", "/meta");
  const seen = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const found = crash(disk, 0.5, seed);
    seen.add(`${text(await contentOf(found, "/meta"))} of ${(await found.list("/")).length}`);
  }
  expect([...seen].sort()).toEqual(["new of 1", "old of 2"]);
});

test("a file moved between directories is in one of them until the target is synced, then there", async () => {
  const disk = new MemoryVfs();
  await disk.mkdir("/quarantine");
  await durableFile(disk, "/segment", "damaged");
  await disk.rename("/segment", "/quarantine/segment");
  await disk.syncDir("/");
  for (let seed = 0; seed < 20; seed++) {
    const found = crash(disk, 0.5, seed);
    const places = [await found.exists("/segment"), await found.exists("/quarantine/segment")];
    expect(places.filter(Boolean)).toHaveLength(1);
  }
  await disk.syncDir("/quarantine");
  expect([await crash(disk, 0).exists("/segment"), await crash(disk, 0).exists("/quarantine/segment")]).toEqual([
    false,
    true,
  ]);
});

test("a directory whose name was lost takes its files with it", async () => {
  const disk = new MemoryVfs();
  await disk.mkdir("/data/wal");
  const file = await disk.open("/data/wal/1", "create");
  await file.sync();
  await disk.syncDir("/data/wal");
  expect(await crash(disk, 0).exists("/data")).toBe(false);
  await disk.syncDir("/");
  expect(await crash(disk, 0).exists("/data/wal")).toBe(false);
  await disk.syncDir("/data");
  expect(await crash(disk, 0).exists("/data/wal/1")).toBe(true);
});

test("a killed process leaves all that it wrote, and a power cut after that still loses what was not synced", async () => {
  const disk = new MemoryVfs();
  const file = await durableFile(disk, "/wal", "synced ");
  await file.write(bytes("written"), 7);
  await disk.open("/new", "create");
  const killed = disk.kill();
  await file.write(bytes("of a dead process"), 14);
  expect(await killed.list("/")).toEqual(["new", "wal"]);
  expect(text(await contentOf(killed, "/wal"))).toBe("synced written");
  expect(await crash(killed, 0).list("/")).toEqual(["wal"]);
  expect(text(await contentOf(crash(killed, 0), "/wal"))).toBe("synced ");
});

test("a file with two names is one file, and each name is durable on its own", async () => {
  const disk = new MemoryVfs();
  const file = await durableFile(disk, "/a", "one");
  await disk.mkdir("/copies");
  await disk.syncDir("/");
  await disk.link("/a", "/copies/a");
  expect(await crash(disk, 0).exists("/copies/a")).toBe(false);
  await disk.syncDir("/copies");
  await disk.remove("/a");
  await disk.syncDir("/");
  const found = crash(disk, 0);
  expect([await found.exists("/a"), text(await contentOf(found, "/copies/a"))]).toEqual([false, "one"]);
  await file.write(bytes("two"), 0);
  expect(text(await contentOf(disk, "/copies/a"))).toBe("two");
});

test("a directory is renamed whole, and has its old name or its new one after a power cut", async () => {
  const disk = new MemoryVfs();
  await disk.mkdir("/blocks/b.tmp");
  const file = await disk.open("/blocks/b.tmp/meta", "create");
  await file.sync();
  for (const dir of ["/blocks/b.tmp", "/blocks", "/"]) await disk.syncDir(dir);
  await disk.rename("/blocks/b.tmp", "/blocks/b");
  const seen = new Set<string>();
  for (let seed = 0; seed < 50; seed++) seen.add((await crash(disk, 0.5, seed).list("/blocks")).join());
  expect([...seen].sort()).toEqual(["b", "b.tmp"]);
  await disk.syncDir("/blocks");
  expect(await crash(disk, 0).exists("/blocks/b/meta")).toBe(true);
  await disk.remove("/blocks/b/meta");
  await disk.removeDir("/blocks/b");
  expect(await crash(disk, 0).exists("/blocks/b/meta")).toBe(true);
  await disk.syncDir("/blocks");
  expect(await crash(disk, 0).list("/blocks")).toEqual([]);
});

test("a disk with a capacity refuses what does not fit, and says how much is free", async () => {
  const disk = new MemoryVfs();
  disk.capacityBytes = 1000;
  const file = await durableFile(disk, "/a", "");
  await file.write(filled(1, 700), 0);
  await disk.link("/a", "/same");
  expect(await disk.space("/")).toEqual({ totalBytes: 1000, freeBytes: 300 });
  await expect(file.write(filled(1, 301), 700)).rejects.toMatchObject({ code: "ENOSPC" });
  await file.write(filled(2, 700), 300);
  expect(await disk.stat("/a")).toEqual({ kind: "file", sizeBytes: 1000 });
  expect(await disk.stat("/")).toEqual({ kind: "directory", sizeBytes: 0 });
  expect(await disk.stat("/none")).toBe(undefined);
  disk.capacityBytes = 500;
  expect(await disk.space("/")).toEqual({ totalBytes: 500, freeBytes: 0 });
});

test("calls fail as the system's do", async () => {
  const disk = new MemoryVfs();
  await durableFile(disk, "/file");
  const readOnly = await disk.open("/file", "read");
  const closed = await disk.open("/file", "write");
  await closed.close();
  await disk.mkdir("/dir/inner");
  for (const [code, call] of [
    ["ENOENT", () => disk.open("/none", "read")],
    ["EEXIST", () => disk.open("/file", "create")],
    ["ENOENT", () => disk.open("/none/file", "create")],
    ["ENOTDIR", () => disk.mkdir("/file/dir")],
    ["ENOENT", () => disk.list("/none")],
    ["ENOENT", () => disk.remove("/none")],
    ["ENOENT", () => disk.rename("/none", "/other")],
    ["ENOENT", () => disk.space("/none")],
    ["EEXIST", () => disk.link("/file", "/dir")],
    ["ENOENT", () => disk.link("/none", "/other")],
    ["ENOTEMPTY", () => disk.removeDir("/dir")],
    ["ENOTDIR", () => disk.removeDir("/file")],
    ["EISDIR", () => disk.rename("/file", "/dir")],
    ["ENOTDIR", () => disk.rename("/dir", "/file")],
    ["EBADF", () => readOnly.write(bytes("x"), 0)],
    ["EBADF", () => closed.read(new Uint8Array(1), 0)],
  ] as const)
    await expect(call()).rejects.toMatchObject({ code });
  expect(() => disk.openSync("/none")).toThrow("ENOENT");
  expect(disk.openPaths).toEqual(["/file", "/file"]);
});

test("a crash that keeps all or follows syncs of all gives the files that reads saw", async () => {
  const change = fc.oneof(
    fc.record({ at: fc.nat(3000), byteCount: fc.nat(1500), value: fc.integer({ min: 1, max: 255 }) }),
    fc.record({ sizeBytes: fc.nat(3000) }),
    fc.constant("sync" as const),
    fc.constant("fail" as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 12 }), fc.nat(), async (changes, seed) => {
      const disk = new MemoryVfs();
      const file = (await durableFile(disk, "/f")) as MemoryFile;
      let failed = false;
      for (const step of changes)
        if (step === "sync") await file.sync();
        else if (step === "fail") file.failSync();
        else if ("sizeBytes" in step) await file.truncate(step.sizeBytes);
        else await file.write(filled(step.value, step.byteCount), step.at);
      failed = changes.includes("fail");
      const current = await contentOf(disk, "/f");
      expect(await contentOf(crash(disk, 1, seed), "/f")).toEqual(current);
      expect(await contentOf(disk.kill(), "/f")).toEqual(current);
      expect(await contentOf(crash(disk.kill(), 0.5, seed), "/f")).toEqual(
        await contentOf(crash(disk, 0.5, seed), "/f"),
      );
      await file.sync();
      if (!failed) expect(await contentOf(crash(disk, 0, seed), "/f")).toEqual(current);
    }),
  );
});
