/**
 * Data on their way in and out through the command line, with promtool at the other end: a day of more than a thousand
 * series, with everything that text and blocks can get wrong, comes back sample for sample.
 */
import { copyFileSync, createWriteStream, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { runTsdb, type Run } from "../test/support/run-tsdb.ts";
import { readBlocks, writeDay } from "./blocks/files.ts";
import { dayBefore, dayOfSamples, type DaySeries, sampleCountOf, samplesByLabels } from "./blocks/population.ts";
import { openMetrics, parseDump, promtool } from "./blocks/promtool.ts";
import { Workspace } from "./support/workspace.ts";

const workspace = new Workspace("import-export");
const { startMs, endMs } = dayBefore(Date.now());
const numbersOnly = { exactNaNs: false };
let failed = false;
let series: DaySeries[];
/** The same without stale markers, which text has no word for. */
let ofText: DaySeries[];
/** Of promtool, made of the text. */
const theirs = workspace.path("promtool");
const text = workspace.path("day.om");

beforeAll(async () => {
  series = dayOfSamples(startMs, endMs, 7);
  const out = createWriteStream(text);
  for (const line of openMetrics(series)) if (!out.write(line)) await once(out, "drain");
  out.end();
  await once(out, "finish");
  promtool(["tsdb", "create-blocks-from", "openmetrics", text, theirs], workspace.path("created.txt"));
  ofText = await dump(theirs);
  expect(ofText.length).toBeGreaterThan(1000);
});
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

async function dump(dir: string): Promise<DaySeries[]> {
  // It looks for a log, too.
  mkdirSync(join(dir, "wal"), { recursive: true });
  const file = workspace.path("dump.txt");
  promtool(["tsdb", "dump", dir], file);
  return parseDump(file);
}

async function tsdb(...args: string[]): Promise<Run> {
  const run = await runTsdb(args);
  expect(run.code, `tsdb ${args.join(" ")}: ${run.stderr}`).toBe(0);
  return run;
}

test("text is imported as promtool imports it, in whatever order its lines are", async () => {
  const data = workspace.path("from-text");
  const run = await tsdb("import", "openmetrics", text, "--data-dir", data, "-o", "json");
  expect(JSON.parse(run.stdout)).toMatchObject({ samples: sampleCountOf(ofText), repeated: 0 });
  expect(samplesByLabels(await dump(join(data, "blocks")), numbersOnly)).toEqual(samplesByLabels(ofText, numbersOnly));
  await tsdb("verify", "--data-dir", data);

  const lines = readFileSync(text, "utf8").trimEnd().split("\n").slice(0, -1).toReversed();
  const shuffled = workspace.path("reversed");
  const reversed = await runTsdb(["import", "openmetrics", "-", "--data-dir", shuffled], {
    stdin: `${lines.join("\n")}\n# EOF\n`,
  });
  expect(reversed.code, reversed.stderr).toBe(0);
  expect(samplesByLabels(await dump(join(shuffled, "blocks")), numbersOnly)).toEqual(
    samplesByLabels(ofText, numbersOnly),
  );
});

test("blocks of promtool are imported, merged, exported as text, and promtool makes the same blocks of it", async () => {
  const data = workspace.path("from-blocks");
  await tsdb("import", "prometheus-dir", theirs, "--data-dir", data);
  await tsdb("verify", "--data-dir", data);
  expect(samplesByLabels(readBlocks(join(data, "blocks")).series, numbersOnly)).toEqual(
    samplesByLabels(ofText, numbersOnly),
  );
  await tsdb("compact", "--data-dir", data);
  await tsdb("verify", "--data-dir", data);
  const exported = workspace.path("exported.om");
  await tsdb("export", "openmetrics", "--data-dir", data, "-o", exported);
  const again = workspace.path("promtool-again");
  promtool(["tsdb", "create-blocks-from", "openmetrics", exported, again], workspace.path("again.txt"));
  expect(samplesByLabels(await dump(again), numbersOnly)).toEqual(samplesByLabels(ofText, numbersOnly));
});

test("blocks of ours, packed, come out as Prometheus reads them, and back again bit for bit", async () => {
  const data = workspace.path("ours");
  await writeDay(join(data, "blocks"), series, startMs, endMs);
  const before = samplesByLabels(series, { exactNaNs: true });
  const csv = workspace.path("before.csv");
  await tsdb("export", "csv", "--data-dir", data, "-o", csv);
  await tsdb("compact", "--data-dir", data, "--packed", "on");
  const merged = JSON.parse((await tsdb("inspect", "--data-dir", data, "-o", "json")).stdout) as {
    blocks: { meta: { ulid: string; compaction: { level: number } } }[];
  };
  expect(merged.blocks.some(({ meta }) => meta.compaction.level > 1)).toBe(true);

  const out = workspace.path("exported");
  await tsdb("export", "prometheus-dir", "--data-dir", data, "-o", out);
  expect(samplesByLabels(readBlocks(out).series, { exactNaNs: true })).toEqual(before);
  expect(samplesByLabels(await dump(out), numbersOnly)).toEqual(samplesByLabels(series, numbersOnly));

  const back = workspace.path("back");
  await tsdb("import", "prometheus-dir", out, "--data-dir", back);
  await tsdb("verify", "--data-dir", back);
  const after = workspace.path("after.csv");
  await tsdb("export", "csv", "--data-dir", back, "-o", after);
  expect(readFileSync(after).equals(readFileSync(csv))).toBe(true);
});

test("a block of promtool with one bit wrong is refused, and the others with it", async () => {
  const ulid = readdirSync(theirs).find((name) => name !== "wal");
  const damaged = workspace.path("damaged");
  mkdirSync(join(damaged, ulid!, "chunks"), { recursive: true });
  for (const name of ["meta.json", "index", "tombstones", "chunks/000001"])
    copyFileSync(join(theirs, ulid!, name), join(damaged, ulid!, name));
  const file = join(damaged, ulid!, "chunks/000001");
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 4;
  const out = createWriteStream(file);
  out.end(bytes);
  await once(out, "finish");
  const run = await runTsdb(["import", "prometheus-dir", damaged, "--data-dir", workspace.path("refused")]);
  expect(run.code).toBe(3);
  expect(run.stderr).toContain(file);
  expect(readdirSync(workspace.path("refused/blocks"))).toEqual([]);
});
