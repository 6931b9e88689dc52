import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { realVfs } from "../../../src/base/vfs.ts";
import { openBlock, samplesOf, ULID_A, ULID_B, writeBlock } from "../../support/blocks.ts";
import { bitsOf, openDatabase } from "../../support/database.ts";
import { temporaryDir } from "../../support/data-dir.ts";
import { runHere } from "../../support/run-here.ts";
import { runTsdb } from "../../support/run-tsdb.ts";

const dir = temporaryDir("import");
const data = join(dir.path, "data");
const blocks = join(data, "blocks");
const foreign = join(dir.path, "foreign");
const START = Date.UTC(2025, 5, 1);

beforeEach(async () => {
  for (const path of [data, foreign]) rmSync(path, { recursive: true, force: true });
  // As Prometheus leaves them: other things lie beside the blocks, and there is no manifest.
  mkdirSync(join(foreign, "wal"), { recursive: true });
  for (const [ulid, at] of [
    [ULID_A, START],
    [ULID_B, START + 7_200_000],
  ] as const) {
    const samples = Array.from({ length: 10 }, (_, i) => ({ timeMs: at + i * 15_000, value: bitsOf(i / 3) }));
    const chunks = [samples.slice(0, 4), samples.slice(4)];
    const labels = [["__name__", "up"] as const, ["job", "a"] as const];
    await writeBlock({ vfs: realVfs, blocksDir: foreign, ulid }, [{ labels, chunks }]);
    rmSync(join(foreign, ulid, "manifest.json"));
  }
});
afterAll(() => dir.remove());

const importDir = (...more: string[]) => runHere(["import", "prometheus-dir", foreign, "--data-dir", data, ...more]);

test("samples from a file or from standard input are in blocks afterwards, and the data directory is made", async () => {
  const file = join(dir.path, "a.om");
  const text = `# TYPE a gauge\na{x="1"} 1 ${START / 1000}\na{x="1"} 2.5 ${START / 1000 + 8000}\n# EOF\n`;
  writeFileSync(file, text);
  const run = await runHere(["import", "openmetrics", file, "--data-dir", data]);
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(run.stdout).toMatch(/BLOCK +FROM +TO +SERIES +SAMPLES +SIZE\n/);
  expect(run.stdout).toMatch(/\n2 samples of 1 series imported, in 2 blocks\n$/);
  expect(readdirSync(blocks)).toHaveLength(2);

  const again = await runTsdb(["import", "openmetrics", "-", "--data-dir", data, "-o", "json"], { stdin: text });
  expect(JSON.parse(again.stdout)).toMatchObject({ samples: 2, series: 1, repeated: 0 });
  const files = readdirSync(blocks).map((ulid) => openBlock(realVfs, join(blocks, ulid)));
  expect(files.map((block) => samplesOf(block)[0]!.chunks[0]![0]!.timeMs)).toEqual([
    START,
    START + 8_000_000,
    START,
    START + 8_000_000,
  ]);
});

test("a wrong line is told with its number, and nothing is imported", async () => {
  const stdin = `a 1 ${START}\nb one ${START}\n`;
  const run = await runTsdb(["import", "openmetrics", "-", "--format", "text", "--data-dir", data], { stdin });
  expect(run).toMatchObject({
    code: 1,
    stdout: "",
    stderr: "tsdb: -: line 2, column 3: expected a number, NaN, +Inf or -Inf (nothing was imported)\n",
  });
  expect(readdirSync(blocks)).toEqual([]);
  const cut = await runTsdb(["import", "openmetrics", "-", "--data-dir", data], { stdin: "a 1 1\n" });
  expect(cut.stderr).toContain("The last line must be # EOF: the file is not whole");
  expect(cut.stderr).toContain("need --format text");
  expect((await runHere(["import", "openmetrics", join(dir.path, "nope"), "--data-dir", data])).stderr).toBe(
    `tsdb: cannot read ${dir.path}/nope: there is no such file\n`,
  );
});

test("blocks of others are verified and linked, with a manifest; importing them again is refused", async () => {
  const run = await importDir();
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(run.stdout).toContain("2 blocks imported");
  expect(readdirSync(blocks)).toEqual([ULID_A, ULID_B]);
  for (const ulid of [ULID_A, ULID_B]) {
    const block = openBlock(realVfs, join(blocks, ulid));
    expect(block.manifest?.samples.count).toBe(10);
    expect(samplesOf(block)[0]!.chunks.flat()).toHaveLength(10);
    expect(statSync(join(blocks, ulid, "index")).ino).toBe(statSync(join(foreign, ulid, "index")).ino);
    expect(existsSync(join(foreign, ulid, "manifest.json"))).toBe(false);
  }
  expect(await importDir()).toMatchObject({
    code: 1,
    stderr: `tsdb: Blocks of these names are there already: ${ULID_A}, ${ULID_B}\n      They were imported before, or come from this database: import the others one by one.\n`,
  });
});

test("a single block can be imported, and files copied instead of linked", async () => {
  const source = join(foreign, ULID_B);
  const run = await runHere(["import", "prometheus-dir", source, "--copy", "--data-dir", data, "-o", "json"]);
  expect(JSON.parse(run.stdout)).toMatchObject({ blocks: [{ meta: { ulid: ULID_B }, histogramChunks: 0 }] });
  expect(statSync(join(blocks, ULID_B, "index")).ino).not.toBe(statSync(join(source, "index")).ino);
  expect(readFileSync(join(blocks, ULID_B, "index")).equals(readFileSync(join(source, "index")))).toBe(true);
});

test("a damaged block is told with file and offset, exit code 3, and none is imported", async () => {
  const file = join(foreign, ULID_B, "chunks", "000001");
  const bytes = readFileSync(file);
  bytes[20]! ^= 1;
  writeFileSync(file, bytes);
  const run = await importDir();
  expect(run.code).toBe(3);
  expect(run.stderr).toContain(`tsdb: Block ${ULID_B} is damaged\n`);
  expect(run.stderr).toMatch(new RegExp(`${file}, byte \\d+: checksum mismatch`));
  expect(readdirSync(blocks)).toEqual([]);
});

test("directories without blocks, downsampled blocks and blocks that hold one another are refused", async () => {
  mkdirSync(join(dir.path, "empty"), { recursive: true });
  const empty = await runHere(["import", "prometheus-dir", join(dir.path, "empty"), "--data-dir", data]);
  expect(empty).toMatchObject({ code: 1 });
  expect(empty.stderr).toContain("/empty has no blocks");

  const metaFile = join(foreign, ULID_A, "meta.json");
  const meta = JSON.parse(readFileSync(metaFile, "utf8")) as object;
  writeFileSync(metaFile, JSON.stringify({ ...meta, thanos: { downsample: { resolution: 300_000 } } }));
  expect((await importDir()).stderr).toContain(`Block ${ULID_A} was downsampled by Thanos`);

  writeFileSync(metaFile, JSON.stringify(meta));
  cpSync(join(foreign, ULID_A), join(dir.path, "one", ULID_A), { recursive: true });
  await runHere(["import", "prometheus-dir", join(dir.path, "one"), "--data-dir", data]);
  const child = JSON.parse(readFileSync(join(foreign, ULID_B, "meta.json"), "utf8")) as object;
  rmSync(join(foreign, ULID_A), { recursive: true });
  const compaction = { level: 2, sources: [ULID_A, ULID_B] };
  writeFileSync(join(foreign, ULID_B, "meta.json"), JSON.stringify({ ...child, compaction }));
  expect((await importDir()).stderr).toContain(`What is in these blocks is in others, too: ${ULID_A}`);
});

test("a data directory in use is refused", async () => {
  mkdirSync(data);
  const { acquireDataDirLock } = await import("../../../src/base/lock.ts");
  const lock = acquireDataDirLock(data);
  try {
    const run = await importDir();
    expect(run.code).toBe(1);
    expect(run.stderr).toContain(`The data directory ${data} is in use by process ${process.pid}`);
  } finally {
    lock.release();
  }
});

test("a server starts on what was imported", async () => {
  await importDir();
  const database = await openDatabase(realVfs, { dataDir: data, walDir: join(data, "wal") });
  expect(database.state).toBe("writable");
  await database.close();
});
