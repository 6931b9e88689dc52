/** `inspect`, `verify` and `compact` on small data directories. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { realVfs } from "../../../src/base/vfs.ts";
import { replaceTombstones, Tombstones } from "../../../src/tsdb/block/tombstones.ts";
import { openBlock, samplesOf, writeBlock } from "../../support/blocks.ts";
import { bitsOf, series } from "../../support/database.ts";
import { temporaryDir, writeDataDir } from "../../support/data-dir.ts";
import { runHere } from "../../support/run-here.ts";
import { startTsdb } from "../../support/run-tsdb.ts";

const dir = temporaryDir("blocks");
const sound = join(dir.path, "sound");
const data = join(dir.path, "data");
const blocks = join(data, "blocks");
const HOUR = 3_600_000;
const START = Date.UTC(2025, 5, 1);
const ulidOf = (i: number): string => `01HZZZZZZZZZZZZZZZZZZZZZZ${"ABCDEFGH"[i]}`;

/** Five blocks of 2 h each, a block that overlaps the first, a log, and a file of full chunks. */
beforeAll(async () => {
  const samplesAt = (at: number, offset: number) =>
    Array.from({ length: 20 }, (_, i) => ({ timeMs: at + offset + i * 60_000, value: bitsOf(i + offset) }));
  for (let i = 0; i < 6; i++) {
    const at = START + (i === 5 ? 0 : i * 2 * HOUR);
    const list = ["a", "b"].map((host) => ({
      labels: [["__name__", "up"] as const, ["host", host] as const],
      chunks: [samplesAt(at, i === 5 ? 30_000 : 0)],
    }));
    await writeBlock({ vfs: realVfs, blocksDir: join(sound, "blocks"), ulid: ulidOf(i) }, list);
  }
  const now = Date.UTC(2025, 11, 31, 20);
  const requests = Array.from({ length: 300 }, (_, i) => [series("x", [[now + i * 1000, i]])]);
  await writeDataDir(sound, requests);
});
beforeEach(() => {
  rmSync(data, { recursive: true, force: true });
  cpSync(sound, data, { recursive: true });
});
afterAll(() => dir.remove());

const json = ({ stdout }: { stdout: string }): unknown => JSON.parse(stdout);
const inspect = (...args: string[]) => runHere(["inspect", ...args, "--data-dir", data]);
const verify = (...args: string[]) => runHere(["verify", ...args, "--data-dir", data]);
const compact = (...args: string[]) => runHere(["compact", ...args, "--data-dir", data]);

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
  writeFileSync(path, bytes);
}

test("inspect lists blocks with what they weigh and overlap, deletions, and what is set aside", async () => {
  const tombstones = new Tombstones();
  const first = openBlock(realVfs, join(blocks, ulidOf(1)));
  tombstones.add(first.index.allPostings()[0]!, START, START + HOUR);
  first.close();
  await replaceTombstones(realVfs, join(blocks, ulidOf(1)), tombstones);
  rmSync(join(blocks, ulidOf(2), "manifest.json"));
  mkdirSync(join(data, "quarantine"));
  cpSync(join(blocks, ulidOf(3)), join(data, "quarantine", ulidOf(3)), { recursive: true });
  writeFileSync(join(data, "quarantine", ulidOf(3), "reason.txt"), "it was bad\n");
  const run = await inspect();
  expect(run).toMatchObject({ code: 0, stderr: "" });
  const line = (ulid: string) => run.stdout.split("\n").find((text) => text.startsWith(ulid))!;
  expect(line(ulidOf(0))).toMatch(/ 1 +2025-06-01T00:00:00Z .* 2 +40 +2 .*B +\d+\.\d\d +overlaps 01HZ.*F$/);
  expect(line(ulidOf(1))).toMatch(/ 1 tombstone$/);
  expect(line(ulidOf(2))).toMatch(/ no manifest$/);
  expect(run.stdout).toMatch(/6 blocks, 240 samples, .* KiB, \d+\.\d\d B a sample\n/);
  expect(run.stdout).toContain(`${ulidOf(3)} is set aside, 2025-06-01T06:00:00Z to `);
  expect(run.stdout).toContain("it was bad");
});

test("inspect of a block tells its series, labels and kinds of chunks", async () => {
  const run = await inspect(ulidOf(0));
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(run.stdout).toMatch(/^Block +01HZ/);
  expect(run.stdout).toMatch(/\nxor +2 +40 +\d+ B +\d+\.\d\d +20\.0\n/);
  expect(run.stdout).toMatch(/\nhost +2 +2 +2 B\n/);
  const report = json(await inspect(ulidOf(0), "-o", "json", "--limit", "1"));
  expect(report).toMatchObject({
    meta: { ulid: ulidOf(0) },
    manifest: { samples: { count: 40 } },
    tombstones: { intervals: 0, series: 0 },
    series: 2,
    labelPairs: 3,
    seriesCountByMetricName: [{ name: "up", value: 2 }],
    labelValueCountByLabelName: [{ name: "host", value: 2 }],
    memoryInBytesByLabelName: [{ name: "__name__", value: 4 }],
    seriesCountByLabelValuePair: [{ name: "__name__=up", value: 2 }],
    chunkKinds: [{ encoding: 1, name: "xor", chunks: 2, samples: 40 }],
  });
});

test("inspect takes the ULID of a block and nothing else that may lead somewhere", async () => {
  cpSync(join(blocks, ulidOf(0)), join(data, ulidOf(0)), { recursive: true });
  symlinkSync(join(data, ulidOf(0)), join(blocks, "link"));
  for (const name of [
    `../${ulidOf(0)}`,
    ".",
    "",
    "link",
    join(blocks, ulidOf(0)),
    ulidOf(7),
    ulidOf(0).toLowerCase(),
  ]) {
    const run = await inspect(name);
    expect(run, name).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toContain(`there is no block ${JSON.stringify(name)} in ${blocks}`);
  }
  expect((await inspect(ulidOf(0), "--limit", "x")).code).toBe(2);
});

test("a data directory without blocks has none, and one that is missing is an error", async () => {
  rmSync(blocks, { recursive: true });
  expect(await inspect()).toMatchObject({ code: 0, stdout: "There are no blocks.\n" });
  expect(await verify()).toMatchObject({ code: 0 });
  rmSync(data, { recursive: true });
  for (const run of [await inspect(), await verify(), await compact()])
    expect(run).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `tsdb: the data directory ${data} does not exist\n      Say where it is with --data-dir or TSDB_DATA_DIR.\n`,
    });
  expect(existsSync(data)).toBe(false);
});

test("verify finds nothing in sound data", async () => {
  const run = await verify();
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(run.stdout).toMatch(/^6 blocks, 1 log segment, 1 head chunk file, .* read: no damage found\n$/);
});

test("verify names file and offset of whatever is damaged, ends with 3, and changes nothing", async () => {
  const places: readonly [file: string, at: number][] = [
    [join("blocks", ulidOf(0), "index"), 40],
    [join("blocks", ulidOf(1), "chunks", "000001"), 12],
    [join("blocks", ulidOf(2), "meta.json"), 60],
    [join("blocks", ulidOf(3), "tombstones"), -1],
    [join("blocks", ulidOf(4), "manifest.json"), 100],
    [join("wal", "00000001"), 3000],
    [join("chunks_head", "00000001"), 40],
  ];
  for (const [file, at] of places) flip(join(data, file), at);
  const before = readdirSync(data, { recursive: true });
  const run = await verify("-o", "json");
  expect(run.code).toBe(3);
  const { findings } = json(run) as { findings: { file: string; offsetBytes: number; isDamage: boolean }[] };
  for (const [file] of places)
    expect(findings.filter((finding) => finding.isDamage).map((finding) => finding.file)).toContain(join(data, file));
  expect(readdirSync(data, { recursive: true })).toEqual(before);
  const text = await verify();
  expect(text.stdout).toContain(
    `damaged: ${join(data, "chunks_head/00000001")}, byte 32: checksum mismatch of a chunk\n`,
  );
  expect(text.stdout).toMatch(/\d+ damages found\n$/);
});

test("verify tells a missing file, and one bit anywhere in a block", async () => {
  const block = join(blocks, ulidOf(0));
  for (const name of ["index", "meta.json", "manifest.json", "tombstones", "chunks/000001"]) {
    const file = join(block, name);
    const bytes = readFileSync(file);
    for (let at = 0; at < bytes.length; at += Math.ceil(bytes.length / 7)) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1 << (at % 8);
      writeFileSync(file, damaged);
      expect((await verify()).code, `${name}, byte ${at}`).toBe(3);
    }
    writeFileSync(file, bytes);
  }
  rmSync(join(block, "chunks", "000001"));
  expect((await verify()).stdout).toContain(join(block, "chunks/000001"));
});

test("what a power cut leaves at the end of a log or of a chunk file is a note", async () => {
  for (const file of ["wal/00000001", "chunks_head/00000001"]) {
    const path = join(data, file);
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(11, 3)]));
  }
  const run = await verify();
  expect(run.code).toBe(0);
  expect(run.stdout.match(/^note: /gm)).toHaveLength(2);
});

/** All samples of all blocks. */
function contents(): string[] {
  return readdirSync(blocks)
    .flatMap((ulid) => {
      const block = openBlock(realVfs, join(blocks, ulid));
      const found = samplesOf(block);
      block.close();
      return found.flatMap(({ labels, chunks }) =>
        chunks.flat().map(({ timeMs, value }) => `${JSON.stringify(labels)} ${timeMs} ${value}`),
      );
    })
    .sort();
}

test("compact merges what overlaps and what is complete, and keeps every sample", async () => {
  const before = contents();
  const run = await compact("--packed", "off");
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(run.stdout).toMatch(/overlap +2 /);
  expect(run.stdout).toMatch(/range +3 /);
  expect(run.stdout).toMatch(/2 merges done, 3 blocks now\n$/);
  expect(readdirSync(blocks)).toHaveLength(3);
  expect(contents()).toEqual(before);
  expect(await verify()).toMatchObject({ code: 0 });
  expect(json(await compact("-o", "json"))).toMatchObject({ merges: [], failures: [], blocks: 3 });
});

test("compact leaves a damaged block, and what would be merged with it, alone, and says so", async () => {
  flip(join(blocks, ulidOf(5), "chunks", "000001"), 12);
  const run = await compact();
  expect(run.code).toBe(3);
  expect(run.stderr).toContain(`tsdb: cannot merge ${ulidOf(0)}, ${ulidOf(5)}: `);
  expect(run.stdout).toContain("0 merges done, 6 blocks now");
  expect(readdirSync(blocks)).toEqual(expect.arrayContaining([ulidOf(0), ulidOf(5)]));
});

test("compact refuses a directory in use, and Ctrl-C leaves everything as it was or merged", async () => {
  const { acquireDataDirLock } = await import("../../../src/base/lock.ts");
  const lock = acquireDataDirLock(data);
  expect((await compact()).stderr).toContain(`The data directory ${data} is in use by process ${process.pid}`);
  lock.release();

  const before = contents();
  const started = startTsdb(["compact", "--packed", "off", "--data-dir", data]);
  await new Promise((resolve) => setTimeout(resolve, 400));
  started.child.kill("SIGINT");
  const { code, signal } = await started.ended;
  expect([0, 130, null], String(signal)).toContain(code);
  expect(contents()).toEqual(before);
  expect((await verify()).code).toBe(0);
});
