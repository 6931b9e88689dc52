/** Whatever happens to the files of a block: what is read of it is right, or is refused by name; and verifying finds it. */
import { join } from "node:path/posix";
import { beforeAll, describe, expect, test } from "vitest";
import { PageCache } from "../../../src/tsdb/index/page-cache.ts";
import { CorruptBlockError } from "../../../src/tsdb/index/corrupt.ts";
import { SeriesEntry } from "../../../src/tsdb/index/series-entry.ts";
import type { BlockReader } from "../../../src/tsdb/block/block-reader.ts";
import { replaceTombstones, Tombstones } from "../../../src/tsdb/block/tombstones.ts";
import { type Verification, verifyBlock } from "../../../src/tsdb/block/verify-block.ts";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import { type BlockSeries, contentOf, newMemory, openBlock, ULID_A, ULID_B, writeBlock } from "../../support/blocks.ts";
import { bitsOf } from "../../support/columns.ts";
import { exchangeFiles, filesUnder, flipBit, overwriteFile } from "../../support/flip.ts";
import { readAll } from "../../support/block-twin.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { faultyVfs } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const SEED = seedFromEnv();
const random = new Random(SEED);

const memory = newMemory();
const verify = (vfs: MemoryVfs, ulid = ULID_A): Verification =>
  verifyBlock({ vfs, dir: `/${ulid}`, memory, check: () => {} });

const seriesOf = (count: number, salt: number, filler = ""): BlockSeries[] =>
  Array.from({ length: count }, (_, i) => ({
    labels: [
      ["job", `job${i % 3}`],
      ["n", `${String(i).padStart(5, "0")}${filler}`],
    ] as LabelSet,
    chunks: [0, 1].map((chunk) =>
      Array.from({ length: 20 }, (__, k) => ({
        timeMs: 1000 * (chunk * 100 + k),
        value: bitsOf(Math.sqrt(i * 100 + k + salt)),
      })),
    ),
  }));

/** @returns whether it was refused; otherwise what it gives must be `expected` */
function isRefused(run: () => unknown, expected: unknown, where: string): boolean {
  let found: unknown;
  try {
    found = run();
  } catch (error) {
    if (!(error instanceof CorruptBlockError)) throw error;
    expect(error.code, where).toBe("BLOCK_CORRUPT");
    expect(error.message, where).toContain(error.path);
    expect(error.path, where).toContain(ULID_A);
    return true;
  }
  expect(found, where).toEqual(expected);
  return false;
}

describe("a small block", () => {
  const vfs = new MemoryVfs();
  const dir = `/${ULID_A}`;
  let files: string[];
  let content: unknown;

  beforeAll(async () => {
    await writeBlock({ vfs, blocksDir: "/", chunkFileBytesMax: 2500 }, seriesOf(12, 0));
    const tombstones = new Tombstones();
    tombstones.add(openBlock(vfs, dir).index.allPostings()[3]!, 5000, 9000);
    await replaceTombstones(vfs, dir, tombstones);
    files = await filesUnder(vfs, dir);
    expect(files).toEqual(["chunks/000001", "chunks/000002", "index", "manifest.json", "meta.json", "tombstones"]);
    const block = openBlock(vfs, dir);
    content = contentOf(block);
    block.close();
  });

  test("is sound as it is", () => {
    const { damages, bytesRead } = verify(vfs);
    expect(damages).toEqual([]);
    expect(bytesRead).toBeGreaterThan(4000);
  });

  test("with any bit turned over gives what it gave before, or is refused; verifying finds all but what is harmless", async () => {
    let detected = 0;
    let tried = 0;
    const undetected: string[] = [];
    for (const name of files) {
      const path = join(dir, name);
      const bits = 8 * readAll(vfs, path).byteLength;
      for (let i = 0; i < 120; i++, tried++) {
        const bit = i < 8 ? (i < 4 ? i : bits - 1 - i) : random.below(bits);
        await flipBit(vfs, path, bit);
        const where = `bit ${bit} of ${name}, SEED=${SEED}`;
        const refused = isRefused(
          () => {
            const block = openBlock(vfs, dir);
            try {
              return contentOf(block);
            } finally {
              block.close();
            }
          },
          content,
          where,
        );
        const { damages } = verify(vfs);
        if (damages.length > 0) detected++;
        else {
          expect(refused, `${where}: refused, and verified as sound`).toBe(false);
          undetected.push(where);
        }
        await flipBit(vfs, path, bit);
      }
    }
    expect(tried).toBe(720);
    expect(detected, `SEED=${SEED}`).toBeGreaterThan(700);
    // White space of JSON may become other white space; everything else has a hash.
    expect(undetected.filter((where) => !where.includes("manifest.json"))).toEqual([]);
    expect(verify(vfs).damages).toEqual([]);
  });

  test("with a file cut off gives what it gave before, or is refused, and verifying finds it", async () => {
    for (const name of files) {
      const path = join(dir, name);
      const bytes = readAll(vfs, path);
      for (const keep of [
        0,
        1,
        bytes.byteLength - 1,
        ...Array.from({ length: 12 }, () => random.below(bytes.byteLength)),
      ]) {
        await overwriteFile(vfs, path, bytes.subarray(0, keep));
        const where = `${name} cut to ${keep} of ${bytes.byteLength}, SEED=${SEED}`;
        isRefused(() => contentOf(openBlock(vfs, dir)), content, where);
        expect(verify(vfs).damages.length, where).toBeGreaterThan(0);
      }
      await overwriteFile(vfs, path, bytes);
    }
  });

  test("without one of its files is refused, and verifying names the file", async () => {
    for (const name of files.filter((file) => file !== "manifest.json")) {
      const path = join(dir, name);
      const bytes = readAll(vfs, path);
      await vfs.remove(path);
      expect(isRefused(() => contentOf(openBlock(vfs, dir)), content, name)).toBe(true);
      expect(verify(vfs).damages.map(({ file }) => file)).toContain(name);
      await (await vfs.open(path, "create")).write(bytes, 0);
    }
    expect(verify(vfs).damages).toEqual([]);
  });
});

test("files exchanged between two blocks are found by verifying both", async () => {
  const vfs = new MemoryVfs();
  for (const [ulid, salt] of [
    [ULID_A, 0],
    [ULID_B, 5],
  ] as const)
    await writeBlock({ vfs, blocksDir: "/", ulid }, seriesOf(20, salt));
  for (const name of ["index", "chunks/000001", "meta.json", "manifest.json"]) {
    const paths = [join(`/${ULID_A}`, name), join(`/${ULID_B}`, name)] as const;
    const isSame = Buffer.compare(readAll(vfs, paths[0]), readAll(vfs, paths[1])) === 0;
    await exchangeFiles(vfs, ...paths);
    for (const ulid of [ULID_A, ULID_B]) expect(verify(vfs, ulid).damages.length > 0, name).toBe(!isSame);
    await exchangeFiles(vfs, ...paths);
  }
});

test("a block that others wrote, without a manifest, never gives wrong samples either", async () => {
  const vfs = new MemoryVfs();
  const dir = `/${ULID_A}`;
  await writeBlock({ vfs, blocksDir: "/" }, seriesOf(12, 0));
  await vfs.remove(`${dir}/manifest.json`);
  const content = contentOf(openBlock(vfs, dir));
  expect(verify(vfs).damages).toEqual([]);
  for (const name of ["index", "chunks/000001"]) {
    const bits = 8 * readAll(vfs, join(dir, name)).byteLength;
    for (let i = 0; i < 150; i++) {
      const bit = random.below(bits);
      await flipBit(vfs, join(dir, name), bit);
      const where = `bit ${bit} of ${name}, SEED=${SEED}`;
      if (isRefused(() => contentOf(openBlock(vfs, dir)), content, where))
        expect(verify(vfs).damages.length, where).toBeGreaterThan(0);
      await flipBit(vfs, join(dir, name), bit);
    }
  }
});

test("damage done after a block was opened and read is not served when it is read again", async () => {
  const vfs = new MemoryVfs();
  const dir = `/${ULID_A}`;
  // An index of more pages than the cache holds.
  await writeBlock({ vfs, blocksDir: "/" }, seriesOf(1500, 0, "-".repeat(180)));
  const path = `${dir}/index`;
  const bytes = readAll(vfs, path).byteLength;
  const cache = new PageCache(0);
  expect(bytes).toBeGreaterThan(8 * 65_536);
  const readOver = (block: BlockReader): unknown => {
    const entry = new SeriesEntry();
    const { index } = block;
    const found: unknown[] = [];
    for (const id of index.allPostings()) {
      index.series(id, entry);
      found.push(index.symbols.bytesOf(entry.labels[3]!).slice(), entry.ref[1], index.postings("job", "job1").length);
    }
    return [...found, index.symbols.find(new TextEncoder().encode("job2")), index.valueCount("n")];
  };
  const content = readOver(openBlock(vfs, dir));
  let refused = 0;
  for (let i = 0; i < 60; i++) {
    const block = openBlock(vfs, dir, cache);
    readOver(block);
    const bit = random.below(8 * bytes);
    await flipBit(vfs, path, bit);
    if (isRefused(() => readOver(block), content, `bit ${bit} of ${bytes} bytes, SEED=${SEED}`)) refused++;
    await flipBit(vfs, path, bit);
    block.close();
    expect(cache.pageCount).toBe(0);
  }
  expect(refused).toBeGreaterThan(10);
});

test("an index that is damaged leaves nothing of it in the cache", async () => {
  const vfs = new MemoryVfs();
  await writeBlock({ vfs, blocksDir: "/" }, seriesOf(3, 0));
  const path = `/${ULID_A}/index`;
  // A symbol: by then a page of the file was read.
  await flipBit(vfs, path, 8 * 20);
  const cache = new PageCache(1 << 20);
  expect(() => openBlock(vfs, `/${ULID_A}`, cache)).toThrow(CorruptBlockError);
  expect([cache.pageCount, vfs.openPaths]).toEqual([0, []]);
});

test("a hostile meta.json is refused, and says why", async () => {
  const vfs = new MemoryVfs();
  const dir = `/${ULID_A}`;
  await writeBlock({ vfs, blocksDir: "/" }, seriesOf(2, 0));
  await vfs.remove(`${dir}/manifest.json`);
  const sound = JSON.parse(new TextDecoder().decode(readAll(vfs, `${dir}/meta.json`))) as Record<string, unknown>;
  const hostile: readonly (string | Uint8Array)[] = [
    "",
    "null",
    "[]",
    "{",
    "[".repeat(100_000),
    Uint8Array.of(0xff, 0xfe, 0x7b, 0x7d),
    ...[
      { ulid: "../../../etc/passwd" },
      { ulid: ULID_B },
      { ulid: ULID_A.toLowerCase() },
      { minTime: "0" },
      { minTime: 1e300 },
      { minTime: 0.5 },
      { minTime: 10, maxTime: 5 },
      { version: 2 },
      { stats: { numSamples: -1 } },
      { stats: { numSeries: 2 ** 60 } },
      { compaction: {} },
      { compaction: { level: 0 } },
      { compaction: { level: 1, sources: ["x"] } },
      { compaction: { level: 1, sources: { length: 1 } } },
    ].map((change) => JSON.stringify({ ...sound, ...change })),
  ];
  for (const text of hostile) {
    await overwriteFile(vfs, `${dir}/meta.json`, typeof text === "string" ? new TextEncoder().encode(text) : text);
    expect(() => openBlock(vfs, dir)).toThrow(/Cannot read \/.*\/meta.json at byte 0: ./s);
  }
  const foreign = { ...sound, thanos: { labels: { a: "b" } }, __proto__: null };
  await overwriteFile(vfs, `${dir}/meta.json`, new TextEncoder().encode(JSON.stringify(foreign)));
  expect(openBlock(vfs, dir).meta).toEqual(sound);
});

test("a disk that cannot read a page is damage; one that cannot open a file is not", async () => {
  const vfs = new MemoryVfs();
  await writeBlock({ vfs, blocksDir: "/" }, seriesOf(3, 0));
  const reading = faultyVfs(vfs, {
    errno: "EIO",
    call: 4,
    lasting: "once",
    matches: ({ operation }) => operation === "read",
  });
  expect(() => contentOf(openBlock(reading, `/${ULID_A}`))).toThrow(CorruptBlockError);
  const opening = faultyVfs(vfs, {
    errno: "EMFILE",
    call: 3,
    lasting: "once",
    matches: ({ operation }) => operation === "open",
  });
  expect(() => contentOf(openBlock(opening, `/${ULID_A}`))).toThrow("EMFILE");
});

test("files that cannot be listed are no damage, unless there are none", async () => {
  const vfs = new MemoryVfs();
  await writeBlock({ vfs, blocksDir: "/", ulid: ULID_A }, seriesOf(3, 0));
  const failing = faultyVfs(vfs, {
    errno: "EMFILE",
    call: 1,
    lasting: "once",
    matches: ({ operation }) => operation === "list",
  });
  expect(() => verifyBlock({ vfs: failing, dir: `/${ULID_A}`, memory, check: () => {} })).toThrow(/EMFILE/);
  expect(verify(vfs).damages).toEqual([]);
});
