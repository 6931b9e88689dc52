/** Damaged head chunk files: they hold nothing that the log does not, so nothing is lost and nothing is wrong. */
import { beforeAll, expect, test, vi } from "vitest";
import { messageOf } from "../../../../src/base/errors.ts";
import { readDatabase } from "../../../support/read-database.ts";
import { Random, seedFromEnv } from "../../../support/random.ts";
import { MemoryVfs } from "../../../support/vfs/memory.ts";
import { TIMEOUT_MS } from "./exhaustive.ts";
import { contentOf, DATA_DIR, judge, type Known, LATER, putFile, Trial } from "./trial.ts";

vi.setConfig({ testTimeout: TIMEOUT_MS });

const CHUNK_DIR = `${DATA_DIR}/chunks_head`;
const options = { sync: "always", segmentBytesMax: 8192 } as const;

let sound: MemoryVfs;
let known: Known;
let files: readonly { readonly path: string; readonly bytes: Uint8Array }[];
beforeAll(async () => {
  const disk = new MemoryVfs();
  const trial = new Trial(options);
  // Each life leaves a file of its own.
  for (const [from, to] of [
    [0, 8],
    [8, 16],
    [16, LATER],
  ] as const) {
    const database = await trial.open(disk);
    await trial.writeAll(database, from, to);
    await database.close();
  }
  sound = disk;
  known = trial.known();
  const names = await disk.list(CHUNK_DIR);
  files = await Promise.all(
    names.map(async (name) => ({ path: `${CHUNK_DIR}/${name}`, bytes: await contentOf(disk, `${CHUNK_DIR}/${name}`) })),
  );
});

async function expectWhole(disk: MemoryVfs, what: string): Promise<void> {
  const trial = new Trial(options, known);
  const database = await trial.open(disk);
  try {
    expect(database.state).toBe("writable");
    expect(judge(database, disk, known, "all acked").size).toBe(known.begun.length);
    // Nothing that was promised is lost, so nothing is reported as lost.
    expect(database.damage).toEqual([]);
  } catch (cause) {
    throw new Error(`${what}: ${messageOf(cause)}`, { cause });
  }
  await trial.write(database, LATER - 1);
  await database.close();
  const again = await trial.open(disk);
  expect(judge(again, disk, known, "all acked").size, `${what}, started once more`).toBe(known.begun.length);
  await again.close();
  expect(disk.openPaths).toEqual([]);
}

test("these tests have several chunk files with chunks in them", async () => {
  expect(files.length).toBeGreaterThanOrEqual(2);
  for (const { bytes } of files) expect(bytes.length).toBeGreaterThan(1_000);
  await expectWhole(sound.kill(), "nothing was harmed");
});

test("a flipped byte anywhere in a chunk file loses nothing: the chunk is made again from the log", async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  for (const { path, bytes } of files) {
    // All of the file's header and of its first entry's, then here and there.
    for (let at = 0; at < bytes.length; at += at < 64 ? 1 : 1 + random.below(200)) {
      const disk = sound.kill();
      const harmed = Uint8Array.from(bytes);
      harmed[at]! ^= 1 << random.below(8);
      await putFile(disk, path, harmed);
      await expectWhole(disk, `byte ${at} of ${path}, SEED=${seed}`);
    }
  }
});

test("chunk files that are cut off, empty, gone, zeroed, swapped or none of ours lose nothing", async () => {
  const [one, two] = [files[0]!, files[1]!];
  for (const { path, bytes } of files) {
    const contents: readonly (readonly [string, Uint8Array | undefined])[] = [
      ["gone", undefined],
      ["empty", new Uint8Array(0)],
      ["noise", new Random(1).bytes(bytes.length)],
      ["zeros", new Uint8Array(bytes.length)],
      ["zeros behind it", Uint8Array.from([...bytes, ...new Uint8Array(4096)])],
      ["all of it twice", Uint8Array.from([...bytes, ...bytes.subarray(32)])],
      ["another one's content", path === one.path ? two.bytes : one.bytes],
      ...[1, 8, 31, 32, 33, 56, 57, bytes.length - 1].map((cut) => [`cut at ${cut}`, bytes.subarray(0, cut)] as const),
    ];
    for (const [what, content] of contents) {
      const disk = sound.kill();
      if (content) await putFile(disk, path, content);
      else await disk.remove(path);
      await expectWhole(disk, `${path}: ${what}`);
    }
  }
  const none = sound.kill();
  for (const { path } of files) await none.remove(path);
  await expectWhole(none, "all chunk files gone");
});

test("foreign files beside the chunk files are left alone", async () => {
  const disk = sound.kill();
  const strange = [`${CHUNK_DIR}/README`, `${CHUNK_DIR}/1.bak`];
  for (const path of strange) await putFile(disk, path, Buffer.from("mine"));
  await expectWhole(disk, "foreign files");
  for (const path of strange) expect(Buffer.from(await contentOf(disk, path)).toString(), path).toBe("mine");
});

test("a chunk that goes bad while the database runs is never served: the reader is told that something is missing", async () => {
  const disk = sound.kill();
  const trial = new Trial(options, known);
  const database = await trial.open(disk);
  for (const { path, bytes } of files) {
    const file = await disk.open(path, "write");
    await file.write(Uint8Array.of(bytes[bytes.length - 1]! ^ 1), bytes.length - 1);
    await file.close();
  }
  expect(() => readDatabase(database, disk)).toThrow(/are missing from the result: Cannot read a chunk/);
  await database.close();
});
