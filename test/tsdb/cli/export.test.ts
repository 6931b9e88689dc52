import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { realVfs } from "../../../src/base/vfs.ts";
import { acquireDataDirLock } from "../../../src/base/lock.ts";
import { replaceTombstones, Tombstones } from "../../../src/tsdb/block/tombstones.ts";
import { openBlock, samplesOf, ULID_A, ULID_B, writeBlock } from "../../support/blocks.ts";
import { bitsOf, series } from "../../support/database.ts";
import { temporaryDir, writeDataDir } from "../../support/data-dir.ts";
import { runHere } from "../../support/run-here.ts";

const dir = temporaryDir("export");
const data = join(dir.path, "data");
const HOUR = 3_600_000;
const START = Date.UTC(2025, 11, 31, 10);
const STALE = 0x7ff0000000000002n;

/** Two blocks that overlap, a deletion, a stale marker, and samples that are only in the log. */
beforeAll(async () => {
  const labels = (host: string) => [["__name__", "up"] as const, ["host", host] as const];
  const samples = (at: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ timeMs: at + i * 60_000, value: bitsOf(i / 3) }));
  await writeBlock({ vfs: realVfs, blocksDir: join(data, "blocks"), ulid: ULID_A }, [
    { labels: labels("a"), chunks: [samples(START, 10)] },
    { labels: labels("b"), chunks: [[...samples(START, 3), { timeMs: START + 200_000, value: STALE }]] },
  ]);
  await writeBlock({ vfs: realVfs, blocksDir: join(data, "blocks"), ulid: ULID_B }, [
    { labels: labels("a"), chunks: [samples(START + 9 * 60_000, 5)] },
  ]);
  const block = openBlock(realVfs, join(data, "blocks", ULID_A));
  const tombstones = new Tombstones();
  tombstones.add(block.index.allPostings()[0]!, START, START + 60_000);
  block.close();
  await replaceTombstones(realVfs, join(data, "blocks", ULID_A), tombstones);
  const requests = Array.from({ length: 300 }, (_, i) => [series("late", [[START + 6 * HOUR + i * 1000, i + 0.5]])]);
  await writeDataDir(data, requests);
  writeFileSync(join(data, "note"), "unchanged");
});
afterAll(() => dir.remove());

const exporting = (...args: string[]) => runHere(["export", ...args, "--data-dir", data]);

/** Every file with its contents. */
const snapshot = (): Map<string, string> =>
  new Map(
    readdirSync(data, { recursive: true, encoding: "utf8" })
      // The lock was taken and given back.
      .filter((path) => path !== "lock" && statSync(join(data, path)).isFile())
      .map((path) => [path, readFileSync(join(data, path), "latin1")]),
  );

test("csv has every sample once, blocks and log, without what is deleted, and nothing is changed", async () => {
  const before = snapshot();
  const run = await exporting("csv");
  expect(run.code).toBe(0);
  expect(run.stderr).toBe("316 samples of 3 series exported\n");
  const lines = run.stdout.split("\r\n");
  expect(lines[0]).toBe("series,timestamp_ms,value");
  expect(lines.slice(1, 301)).toEqual(
    Array.from({ length: 300 }, (_, i) => `late,${START + 6 * HOUR + i * 1000},${i + 0.5}`),
  );
  const up = lines.slice(301, -1);
  expect(up.slice(0, 12)).toEqual(
    // The older block has its way where both have a sample.
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13].map(
      (i) => `"up{host=""a""}",${START + i * 60_000},${(i < 10 ? i : i - 9) / 3}`,
    ),
  );
  expect(up.at(-1)).toBe(`"up{host=""b""}",${START + 200_000},stale`);
  expect(snapshot()).toEqual(before);
});

test("openmetrics leaves out stale markers, says so, and can be imported again", async () => {
  const file = join(dir.path, "out.om");
  const run = await exporting("openmetrics", "-o", file);
  expect(run).toMatchObject({
    code: 0,
    stdout: "",
    stderr: "315 samples of 3 series exported, 1 stale marker left out\n",
  });
  const text = readFileSync(file, "utf8");
  expect(text).toMatch(/^late 0\.5 1767196800\n/);
  expect(text).toMatch(/\n# EOF\n$/);
  expect(existsSync(`${file}.tmp`)).toBe(false);
  const copy = join(dir.path, "copy");
  expect((await runHere(["import", "openmetrics", file, "--data-dir", copy])).code).toBe(0);
  const again = await runHere(["export", "openmetrics", "--data-dir", copy]);
  expect(again.stdout).toBe(text);
});

test("selectors and times take a part, in any order and each series once", async () => {
  const lines = async (...args: string[]): Promise<string[]> => {
    const run = await exporting("csv", ...args);
    expect(run.code, run.stderr).toBe(0);
    return run.stdout.split("\r\n").slice(1, -1);
  };
  expect(await lines("--match", 'up{host="b"}')).toHaveLength(4);
  expect(await lines("--match", 'up{host=~"a|b"}', "--match", "up")).toHaveLength(16);
  expect(await lines("--match", "late", "--start", String(START / 1000 + 6 * 3600 + 290))).toHaveLength(10);
  expect(await lines("--match", "up", "--end", "2025-12-31T10:02:00Z")).toHaveLength(4);
  expect(await lines("--match", "nope")).toEqual([]);
  const wrong = await exporting("csv", "--match", "up{");
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('--match is "up{": ');
  expect((await exporting("csv", "--start", "5", "--end", "4")).stderr).toContain("--start is later than --end");
});

/** Samples of all blocks of a directory, by series. */
function contents(blocksDir: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const ulid of readdirSync(blocksDir)) {
    const block = openBlock(realVfs, join(blocksDir, ulid));
    for (const { labels, chunks } of samplesOf(block)) {
      const key = labels.flat().join();
      const samples = chunks.flat().map(({ timeMs, value }) => `${timeMs} ${value.toString(16)}`);
      found.set(key, [...(found.get(key) ?? []), ...samples]);
    }
    block.close();
  }
  return found;
}

test("prometheus-dir merges what overlaps, has the log too, and links the rest", async () => {
  const before = snapshot();
  const out = join(dir.path, "blocks-out");
  const run = await exporting("prometheus-dir", "-o", out);
  expect(run).toMatchObject({
    code: 0,
    stdout: "",
    stderr: "2 blocks with 316 samples exported, 1 of them as they were\n",
  });
  const found = contents(out);
  expect(found.get("__name__,up,host,a")).toHaveLength(12);
  expect(found.get("__name__,up,host,b")!.at(-1)).toBe(`${START + 200_000} ${STALE.toString(16)}`);
  expect(found.get("__name__,late")).toHaveLength(300);
  expect(snapshot()).toEqual(before);
  expect(await exporting("prometheus-dir", "-o", out)).toMatchObject({
    code: 1,
    stderr: `tsdb: ${out} is there already\n      Give a directory that does not exist yet.\n`,
  });
  const part = join(dir.path, "part");
  await exporting("prometheus-dir", "-o", part, "--match", 'up{host="a"}', "--start", String(START / 1000 + 600));
  expect([...contents(part)].map(([key, samples]) => [key, samples.length])).toEqual([["__name__,up,host,a", 4]]);
});

test("a directory in use is refused, and with --blocks-only what is in blocks is exported beside the server", async () => {
  const lock = acquireDataDirLock(data);
  try {
    const refused = await exporting("csv");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("is in use by process");
    expect(refused.stderr).toContain("or export with --blocks-only");
    expect((await exporting("csv", "--blocks-only")).stderr).toBe("16 samples of 2 series exported\n");
  } finally {
    lock.release();
  }
});

test("a damaged block ends the export with 3, and no file appears", async () => {
  const path = join(data, "blocks", ULID_B, "chunks", "000001");
  const bytes = readFileSync(path);
  const damaged = Buffer.from(bytes);
  damaged[12]! ^= 1;
  writeFileSync(path, damaged);
  const file = join(dir.path, "damaged.csv");
  for (const args of [
    ["csv", "-o", file],
    ["prometheus-dir", "-o", file],
  ]) {
    const run = await exporting(...args);
    expect(run.code).toBe(3);
    expect(run.stderr).toContain(path);
    expect(readdirSync(dir.path).filter((name) => name.startsWith("damaged"))).toEqual([]);
  }
  writeFileSync(path, bytes);
  rmSync(join(data, "blocks", ULID_B, "index"));
  expect((await exporting("csv")).stderr).toContain(`Block ${ULID_B} is damaged`);
});
