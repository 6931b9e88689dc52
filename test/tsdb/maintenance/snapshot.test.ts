import { expect, test } from "vitest";
import { CHUNK_PACKED, CHUNK_XOR } from "../../../src/tsdb/storage.ts";
import { bitsOf, type Sample } from "../../support/columns.ts";
import { openDatabase, series as written, write } from "../../support/database.ts";
import {
  chunksOf,
  DATA_DIR,
  dirOf,
  flatten,
  readBlocks,
  runnerOn,
  sorted,
  writePlainBlock,
  type PlainSeries,
} from "../../support/maintenance.ts";
import { faultyVfs } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const samples = (from: number, count: number): Sample[] =>
  Array.from({ length: count }, (_, i) => ({ timeMs: from + 10 * i, value: bitsOf(i / 8) }));
const plain = (name: string, from: number, deleted: PlainSeries["deleted"] = []): PlainSeries => ({
  labels: [["__name__", name]],
  chunks: [samples(from, 100), samples(from + 1000, 20)],
  deleted,
});

const SNAPSHOT = "20260101T000000Z-0123456789abcdef";
const snapshotDirs = async (disk: MemoryVfs): Promise<string[]> =>
  (await disk.list(`${DATA_DIR}/snapshots/${SNAPSHOT}`)).map((name) => `${DATA_DIR}/snapshots/${SNAPSHOT}/${name}`);

/** A block as it was cut, with deletes; and one that is packed. */
async function blocks(disk: MemoryVfs) {
  const first = [plain("a", 0, [[100, 300]]), plain("b", 0)];
  const second = [plain("a", 5000), plain("c", 5000)];
  const ulids = [await writePlainBlock(disk, 1, first), await writePlainBlock(disk, 2, second)];
  const runner = runnerOn(disk);
  const { block } = await runner.run({ kind: "compact", sources: [ulids[1]!], packed: true, reserveBytes: 0 });
  await runner.run({ kind: "remove", ulids: [ulids[1]!] });
  const packed = block!.meta.ulid;
  expect(chunksOf(disk, dirOf(packed)).map(({ encoding }) => encoding)).toContain(CHUNK_PACKED);
  return { runner, ulids: [ulids[0]!, packed], expected: sorted(flatten([first, second])) };
}

test("a snapshot has what the blocks have, in chunks that Prometheus reads", async () => {
  const disk = new MemoryVfs();
  const { runner, ulids, expected } = await blocks(disk);
  const result = await runner.run({ kind: "snapshot", name: SNAPSHOT, ulids, head: undefined, reserveBytes: 0 });
  expect(result).toEqual({ name: SNAPSHOT, sizeBytes: expect.any(Number) as number });
  const dirs = await snapshotDirs(disk);
  expect(dirs.length).toBe(2);
  expect(sorted(readBlocks(disk, dirs))).toEqual(expected);
  for (const { encoding } of dirs.flatMap((dir) => chunksOf(disk, dir))) expect(encoding).toBe(CHUNK_XOR);
  expect(disk.openPaths).toEqual([]);
});

test("a block that Prometheus reads as it is takes no space; what is deleted of it later stays in the snapshot", async () => {
  const disk = new MemoryVfs();
  const { runner, ulids } = await blocks(disk);
  const before = (await disk.space("/")).freeBytes;
  await runner.run({ kind: "snapshot", name: SNAPSHOT, ulids: [ulids[0]!], head: undefined, reserveBytes: 0 });
  expect((await disk.space("/")).freeBytes).toBe(before);
  const [dir] = await snapshotDirs(disk);
  const held = sorted(readBlocks(disk, [dir!]));
  const all = { mint: 0, maxt: 1e9, isDryRun: false };
  await runner.run({ kind: "delete", ulids: [ulids[0]!], selectors: ["a", "b"], ...all });
  await runner.run({ kind: "remove", ulids: [ulids[0]!] });
  expect(sorted(readBlocks(disk, [dir!]))).toEqual(held);
});

test("where the file system has no hard links, files are copied", async () => {
  const disk = new MemoryVfs();
  const { ulids } = await blocks(disk);
  const vfs = faultyVfs(disk, {
    errno: "EPERM",
    call: 1,
    lasting: "from then on",
    matches: ({ operation }) => operation === "link",
  });
  await runnerOn(vfs).run({ kind: "snapshot", name: SNAPSHOT, ulids: [ulids[0]!], head: undefined, reserveBytes: 0 });
  const [dir] = await snapshotDirs(disk);
  expect(sorted(readBlocks(disk, [dir!]))).toEqual(sorted(readBlocks(disk, [dirOf(ulids[0]!)])));
});

test("a snapshot has what is in the head, too", async () => {
  const disk = new MemoryVfs();
  const nowMs = Date.UTC(2026, 0, 1);
  const database = await openDatabase(disk);
  await write(database, [
    written("up", [
      [nowMs - 60_000, 1],
      [nowMs, 2],
    ]),
  ]);
  const head = database.attach()!;
  const flushed = { head, beforeMs: nowMs + 1, sequence: 1e9, blockRangeMs: 7_200_000, reserveBytes: 0 };
  await runnerOn(disk).run({ kind: "snapshot", name: SNAPSHOT, ulids: [], head: flushed, reserveBytes: 0 });
  expect(sorted(readBlocks(disk, await snapshotDirs(disk)))).toEqual([
    [
      "up",
      [
        [nowMs - 60_000, bitsOf(1)],
        [nowMs, bitsOf(2)],
      ],
    ],
  ]);
  database.detach(head.slot);
  await database.close();
});

test("a name is used once", async () => {
  const disk = new MemoryVfs();
  const { runner, ulids } = await blocks(disk);
  const job = { kind: "snapshot", name: SNAPSHOT, ulids, head: undefined, reserveBytes: 0 } as const;
  await runner.run(job);
  await expect(runner.run(job)).rejects.toMatchObject({ code: "BAD_REQUEST" });
});
