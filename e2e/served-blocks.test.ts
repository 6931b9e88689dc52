/**
 * The server itself and its blocks beside Prometheus and its own, a day of more than a thousand series: what the server cut
 * and merged is served as it was sent and opens in an unmodified Prometheus, by its directory or as a snapshot; blocks of
 * Prometheus and of promtool, imported, are served as Prometheus serves them.
 */
import { cpSync, createWriteStream, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { realVfs } from "../src/base/vfs.ts";
import { readBlockMeta } from "../src/tsdb/block/block-reader.ts";
import { CHUNK_PACKED } from "../src/tsdb/storage.ts";
import { runTsdb } from "../test/support/run-tsdb.ts";
import { blocksOf, dataOf, post } from "./admin/client.ts";
import { blockDirsIn } from "./blocks/files.ts";
import {
  dayBefore,
  dayOfSamples,
  type DaySeries,
  RANGE_MS,
  sampleCountOf,
  samplesByLabels,
} from "./blocks/population.ts";
import { openMetrics, parseDump, promtool } from "./blocks/promtool.ts";
import { dayQueries } from "./blocks/queries.ts";
import { dayRequests } from "./blocks/requests.ts";
import { askBoth } from "./prometheus/ask-both.ts";
import { startPrometheus, type Prometheus } from "./support/prometheus.ts";
import { postWrite } from "./support/remote-write.ts";
import { startTsdb, type Tsdb } from "./support/tsdb.ts";
import { Workspace } from "./support/workspace.ts";

const workspace = new Workspace("served-blocks");
const { startMs, endMs } = dayBefore(Date.now());
const numbersOnly = { exactNaNs: false };
let failed = false;
let series: DaySeries[];
let requests: Uint8Array<ArrayBuffer>[];
let plain: Tsdb;
let packed: Tsdb;

beforeAll(() => {
  series = dayOfSamples(startMs, endMs, 11);
  expect(series.length).toBeGreaterThan(1000);
  requests = dayRequests(series, startMs, endMs);
});
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

/** Over blocks that are there; it leaves them as they are, since none may be larger. */
const openPrometheus = (name: string, ...flags: string[]): Promise<Prometheus> =>
  startPrometheus(workspace, {
    name,
    config: () => "scrape_configs: []\n",
    flags: [
      "--storage.tsdb.retention.time=10y",
      "--storage.tsdb.min-block-duration=2h",
      "--storage.tsdb.max-block-duration=2h",
      ...flags,
    ],
  });

async function send(url: string, order: readonly number[]): Promise<void> {
  for (const i of order) {
    const { status, text } = await postWrite(url, requests[i]!);
    if (status >= 300) throw new Error(`a write was answered ${status}: ${text}`);
  }
}
const inOrder = (): number[] => requests.map((_, i) => i);
/** Some requests overtake the one before: what that one brings comes late. */
const withLateOnes = (): number[] => inOrder().map((i) => (i % 8 === 4 ? i + 1 : i % 8 === 5 ? i - 1 : i));

async function serve(name: string, packing: "on" | "off"): Promise<Tsdb> {
  const tsdb = await startTsdb(workspace, { name, flags: [`--packed=${packing}`] });
  await send(tsdb.url, withLateOnes());
  interface Report {
    readonly cut: readonly string[];
  }
  await dataOf<Report>(post(tsdb.url, "/api/v1/admin/compact"));
  const { blocks } = await blocksOf(tsdb.url);
  const levels = blocks.map(({ compaction: { level } }) => level);
  expect(Math.max(...levels)).toBeGreaterThan(1);
  const stored = blocks.reduce((sum, { stats }) => sum + stats.numSamples, 0);
  const complete = endMs - RANGE_MS;
  expect(stored).toBe(series.reduce((sum, { times }) => sum + times.filter((time) => time < complete).length, 0));
  const isPacked = blockDirsIn(join(tsdb.dataDir, "blocks")).some((dir) =>
    readBlockMeta(realVfs, dir).manifest!.encodings.includes(CHUNK_PACKED),
  );
  expect(isPacked).toBe(packing === "on");
  console.log(`packed ${packing}: ${stored} samples in ${blocks.length} blocks, levels ${levels.join()}`);
  return tsdb;
}

async function expectSame(theirUrl: string, ourUrl: string, untilMs: number): Promise<void> {
  const asked = dayQueries(startMs, untilMs);
  const { differing, identicalCount } = await askBoth(theirUrl, ourUrl, asked);
  console.log(`${asked.length} requests, ${identicalCount} answered byte for byte the same`);
  expect(differing).toEqual([]);
}

async function expectDump(dir: string, expected: readonly DaySeries[]): Promise<void> {
  // It looks for a log, too.
  mkdirSync(join(dir, "wal"), { recursive: true });
  promtool(["tsdb", "dump", dir], workspace.path("dump.txt"));
  const dumped = await parseDump(workspace.path("dump.txt"));
  expect(sampleCountOf(dumped)).toBe(sampleCountOf(expected));
  expect(samplesByLabels(dumped, numbersOnly)).toEqual(samplesByLabels(expected, numbersOnly));
}

test("with packed off, Prometheus opens a copy of the blocks that the server made, and answers as the server", async () => {
  plain = await serve("plain", "off");
  const copy = workspace.path("copy");
  cpSync(join(plain.dataDir, "blocks"), copy, { recursive: true });
  const prometheus = await openPrometheus("copy");
  // The last two hours are still in the head.
  await expectSame(prometheus.url, plain.url, endMs - RANGE_MS);
  expect(prometheus.program.log()).not.toMatch(/level=(WARN|ERROR)/);
  await prometheus.program.stop();
});

test("with packed on, a snapshot with what the head has opens in promtool and in Prometheus, sample for sample", async () => {
  packed = await serve("packed", "on");
  const { name } = await dataOf<{ readonly name: string }>(post(packed.url, "/api/v1/admin/tsdb/snapshot"));
  const dir = workspace.path("snapshot");
  cpSync(join(packed.dataDir, "snapshots", name), dir, { recursive: true });
  await expectDump(dir, series);
  const blockCount = readdirSync(dir).length - 1;
  promtool(["tsdb", "list", dir], workspace.path("list.txt"));
  expect(readFileSync(workspace.path("list.txt"), "utf8").trim().split("\n").length - 1).toBe(blockCount);
  promtool(["tsdb", "analyze", "--extended", dir], workspace.path("analyze.txt"));
  expect(readFileSync(workspace.path("analyze.txt"), "utf8")).toMatch(/Total Series: \d+\n/);
  const prometheus = await openPrometheus("snapshot");
  await expectSame(prometheus.url, packed.url, endMs);
  await expectSame(prometheus.url, plain.url, endMs);
  expect(prometheus.program.log()).not.toMatch(/level=(WARN|ERROR)/);
  await Promise.all([prometheus.program.stop(), plain.program.stop(), packed.program.stop()]);
});

/** Imports blocks and serves them. */
async function serveImported(name: string, dir: string): Promise<Tsdb> {
  const run = await runTsdb(["import", "prometheus-dir", dir, "--data-dir", workspace.path(name)]);
  expect(run.code, run.stderr).toBe(0);
  return startTsdb(workspace, { name });
}

test("blocks of a real Prometheus are served with the answers that it gives", async () => {
  const prometheus = await openPrometheus("theirs", "--web.enable-remote-write-receiver", "--web.enable-admin-api");
  await send(prometheus.url, inOrder());
  const { name } = await dataOf<{ readonly name: string }>(post(prometheus.url, "/api/v1/admin/tsdb/snapshot"));
  const tsdb = await serveImported("of-theirs", join(workspace.path("theirs"), "snapshots", name));
  await expectSame(prometheus.url, tsdb.url, endMs);
  // Merged and packed by us they say the same.
  await dataOf(post(tsdb.url, "/api/v1/admin/compact"));
  await expectSame(prometheus.url, tsdb.url, endMs);
  await Promise.all([prometheus.program.stop(), tsdb.program.stop()]);
});

test("blocks of promtool are served with the answers that Prometheus gives of them", async () => {
  const file = workspace.path("day.om");
  const out = createWriteStream(file);
  // Text has no word for stale markers.
  const ofText = series.filter(({ labels }) => !labels.some(([, value]) => value === "day_flapping"));
  for (const line of openMetrics(ofText)) if (!out.write(line)) await once(out, "drain");
  out.end();
  await once(out, "finish");
  const dir = workspace.path("promtool");
  promtool(["tsdb", "create-blocks-from", "openmetrics", file, dir], workspace.path("created.txt"));
  const tsdb = await serveImported("of-promtool", dir);
  const prometheus = await openPrometheus("promtool");
  await expectSame(prometheus.url, tsdb.url, endMs);
  await Promise.all([prometheus.program.stop(), tsdb.program.stop()]);
});
