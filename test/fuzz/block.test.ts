/** Blocks come from disks that rot and from whoever made them: whatever stands in a file, it is read or refused by name. */
import { beforeAll, expect, test } from "vitest";
import { crc32c } from "../../src/base/crc32c.ts";
import { decodeToc, TOC_BYTES } from "../../src/tsdb/index/format.ts";
import { replaceTombstones, Tombstones } from "../../src/tsdb/block/tombstones.ts";
import { verifyBlock } from "../../src/tsdb/block/verify-block.ts";
import type { LabelSet } from "../../src/tsdb/model/labels.ts";
import { readAll } from "../support/block-twin.ts";
import { contentOf, newMemory, openBlock, ULID_A, writeBlock } from "../support/blocks.ts";
import { overwriteFile } from "../support/flip.ts";
import { fuzz } from "../support/fuzz.ts";
import { MemoryVfs } from "../support/vfs/memory.ts";

const DIR = `/${ULID_A}`;
const disk = new MemoryVfs();
const memory = newMemory();

beforeAll(async () => {
  await writeBlock(
    { vfs: disk, blocksDir: "/" },
    Array.from({ length: 6 }, (_, i) => ({
      labels: [
        ["job", `j${i % 2}`],
        ["n", String(i)],
      ] as LabelSet,
      chunks: [[{ timeMs: i, value: 0n }], [{ timeMs: 1000, value: 5n }]],
    })),
  );
  const tombstones = new Tombstones();
  tombstones.add(openBlock(disk, DIR).index.allPostings()[1]!, 0, 500);
  await replaceTombstones(disk, DIR, tombstones);
  // As a block of somebody else's: nothing but the files themselves says what they were.
  await disk.remove(`${DIR}/manifest.json`);
});

/** Reads and verifies the block with one file made another. */
async function readWith(name: string, bytes: Uint8Array): Promise<void> {
  const vfs = disk.kill();
  await overwriteFile(vfs, `${DIR}/${name}`, bytes);
  verifyBlock({ vfs, dir: DIR, memory, check: () => {} });
  const block = openBlock(vfs, DIR);
  try {
    contentOf(block);
  } finally {
    block.close();
    expect(vfs.openPaths).toEqual([]);
  }
}

test.each(["meta.json", "tombstones", "index", "chunks/000001"])("whatever stands in %s", async (name) => {
  const corpus = [readAll(disk, `${DIR}/${name}`)];
  const runs = await fuzz({ name: "test/fuzz/block", corpus, run: (bytes) => readWith(name, bytes) });
  expect(runs).toBeGreaterThan(0);
});

test("whatever stands in an index whose every checksum is right", async () => {
  const corpus = [readAll(disk, `${DIR}/index`)];
  const runs = await fuzz({
    name: "test/fuzz/block",
    corpus,
    run: (bytes) => readWith("index", withRightChecksums(bytes)),
  });
  expect(runs).toBeGreaterThan(0);
});

/** Puts checksums where the lengths say that they belong. */
function withRightChecksums(given: Uint8Array): Uint8Array {
  const bytes = given.slice();
  const view = new DataView(bytes.buffer);
  const tocAt = bytes.byteLength - TOC_BYTES;
  if (tocAt < 0) return bytes;
  const put = (from: number, to: number): void => {
    if (from <= to && to + 4 <= bytes.byteLength) view.setUint32(to, crc32c(bytes.subarray(from, to)));
  };
  put(tocAt, bytes.byteLength - 4);
  const toc = decodeToc(bytes.subarray(tocAt))!;
  const section = (at: number): number => {
    if (at + 4 > tocAt) return tocAt;
    const end = at + 4 + view.getUint32(at);
    put(at + 4, end);
    return end + 4;
  };
  for (let at = Math.ceil(toc.series / 16) * 16; at < toc.labelIndices && at < tocAt; at = Math.ceil(at / 16) * 16) {
    const length = bytes[at]!;
    put(at + 1, at + 1 + length);
    at += 1 + length + 4;
  }
  for (let at = toc.postings; at < toc.postingsTable && at < tocAt;) at = section(at);
  section(toc.symbols);
  section(toc.postingsTable);
  put(tocAt, bytes.byteLength - 4);
  return bytes;
}
