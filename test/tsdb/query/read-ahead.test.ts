import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { realVfs } from "../../../src/base/vfs.ts";
import { ReadAhead } from "../../../src/tsdb/query/read-ahead.ts";
import { Random, seedFromEnv } from "../../support/random.ts";

const folder = mkdtempSync(join(tmpdir(), "read-ahead-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file system that counts the reads that reach it. */
function counted() {
  let reads = 0;
  const vfs = {
    ...realVfs,
    openSync: (path: string) => {
      const file = realVfs.openSync(path);
      const readSync = file.readSync.bind(file);
      file.readSync = (into, position) => {
        reads++;
        return readSync(into, position);
      };
      return file;
    },
  };
  return { vfs, reads: () => reads };
}

test("any read gives what the file holds, also at its end and while it grows", () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  const path = join(folder, "any");
  let content = random.bytes(200_000);
  writeFileSync(path, content);
  const file = new ReadAhead(realVfs).vfs.openSync(path);
  for (let i = 0; i < 2000; i++) {
    if (random.chance(0.01)) {
      const more = random.bytes(random.below(3000));
      appendFileSync(path, more);
      content = Buffer.concat([content, more]);
    }
    const position = random.below(content.length + 100);
    const into = new Uint8Array(random.chance(0.05) ? random.below(100_000) : random.below(500));
    const count = file.readSync(into, position);
    const expected = content.subarray(position, position + into.length);
    expect(count, `seed ${seed}`).toBe(expected.length);
    expect(Buffer.compare(into.subarray(0, count), expected), `seed ${seed}`).toBe(0);
  }
  file.closeSync();
});

test("neighbouring chunks cost one read of the file", () => {
  const path = join(folder, "neighbours");
  writeFileSync(path, new Uint8Array(1_000_000));
  const { vfs, reads } = counted();
  const file = new ReadAhead(vfs).vfs.openSync(path);
  const into = new Uint8Array(320);
  for (let position = 0; position + 320 <= 320_000; position += 320) file.readSync(into, position);
  expect(reads()).toBeLessThan(30);
  file.closeSync();
});

test("blocks give way to newer ones, and all are forgotten when the query ends", () => {
  const path = join(folder, "many");
  const blockBytes = 32 * 1024;
  writeFileSync(path, "");
  truncateSync(path, 300 * blockBytes);
  const { vfs, reads } = counted();
  const readAhead = new ReadAhead(vfs);
  const file = readAhead.vfs.openSync(path);
  const into = new Uint8Array(10);
  for (let block = 0; block < 300; block++) file.readSync(into, block * blockBytes);
  expect(reads()).toBe(300);
  file.readSync(into, 299 * blockBytes);
  expect(reads()).toBe(300);
  file.readSync(into, 0);
  expect(reads()).toBe(301);
  readAhead.clear();
  file.readSync(into, 299 * blockBytes);
  expect(reads()).toBe(302);
  file.closeSync();
});
