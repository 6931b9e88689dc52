/**
 * Blocks between us and Prometheus: what we write promtool and a real Prometheus read, and what promtool and a real
 * Prometheus write we read, a day of more than a thousand series, sample for sample.
 */
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { blockDirsIn, deleteInFirstBlock, readBlocks, writeDay } from "./blocks/files.ts";
import { dayBefore, dayOfSamples, type DaySeries, sampleCountOf, samplesByLabels } from "./blocks/population.ts";
import { encodeHistograms } from "./blocks/histograms.ts";
import { openMetrics, parseDump, promtool } from "./blocks/promtool.ts";
import { dayQueries } from "./blocks/queries.ts";
import { dayRequests } from "./blocks/requests.ts";
import { askBoth } from "./prometheus/ask-both.ts";
import { ask } from "./support/http.ts";
import { startPrometheus, type Prometheus } from "./support/prometheus.ts";
import { postWrite } from "./support/remote-write.ts";
import { startTsdb } from "./support/tsdb.ts";
import { until } from "./support/until.ts";
import { Workspace } from "./support/workspace.ts";

const HOUR_MS = 3_600_000;

const workspace = new Workspace("blocks");
let failed = false;
let series: DaySeries[];
const { startMs, endMs } = dayBefore(Date.now());

beforeAll(() => {
  series = dayOfSamples(startMs, endMs, 4);
  expect(series.length).toBeGreaterThan(1000);
});
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

/** Prometheus leaves blocks as they are when none may be larger than those there are. */
const keepBlocks = [
  "--storage.tsdb.retention.time=10y",
  "--storage.tsdb.min-block-duration=2h",
  "--storage.tsdb.max-block-duration=2h",
];
const noTargets = (): string => "scrape_configs: []\n";

test("promtool lists, analyses and dumps our blocks, every sample of them", async () => {
  const dir = workspace.path("ours");
  // It looks for a log, too.
  mkdirSync(`${dir}/wal`, { recursive: true });
  const blockCount = await writeDay(dir, series, startMs, endMs);
  expect(blockCount).toBe(12);
  promtool(["tsdb", "list", dir], workspace.path("list.txt"));
  const listed = readFileSync(workspace.path("list.txt"), "utf8").trim().split("\n").slice(1);
  expect(listed.length).toBe(blockCount);
  promtool(["tsdb", "analyze", "--extended", dir], workspace.path("analyze.txt"));
  expect(readFileSync(workspace.path("analyze.txt"), "utf8")).toMatch(/Total Series: 1\d{3}\n/);
  promtool(["tsdb", "dump", dir], workspace.path("dump.txt"));
  const dumped = await parseDump(workspace.path("dump.txt"));
  expect(sampleCountOf(dumped)).toBe(sampleCountOf(series));
  expect(samplesByLabels(dumped, { exactNaNs: false })).toEqual(samplesByLabels(series, { exactNaNs: false }));
  console.log(`${sampleCountOf(series)} samples of ${series.length} series in ${blockCount} blocks`);
});

test("promtool leaves out what our tombstones say is deleted", async () => {
  const dir = workspace.path("ours-deleted");
  mkdirSync(`${dir}/wal`, { recursive: true });
  const limits = series.filter(({ labels }) => labels.some(([, value]) => value === "day_limit"));
  await writeDay(dir, limits, startMs, endMs);
  const deleted = { mint: startMs + 1_800_000, maxt: startMs + 5_400_000 };
  expect(await deleteInFirstBlock(dir, deleted.mint, deleted.maxt)).toBe(limits.length);
  promtool(["tsdb", "dump", dir], workspace.path("deleted.txt"));
  const kept = limits.map((one): DaySeries => {
    const times = one.times.filter((time) => time < deleted.mint || time > deleted.maxt);
    return { labels: one.labels, times, values: new Float64Array(times.length).fill(one.values[0]!) };
  });
  expect(samplesByLabels(await parseDump(workspace.path("deleted.txt")), { exactNaNs: true })).toEqual(
    samplesByLabels(kept, { exactNaNs: true }),
  );
});

test("a real Prometheus opens our blocks and answers as a server that was sent the samples", async () => {
  const prometheus = await startPrometheus(workspace, { name: "ours", config: noTargets, flags: keepBlocks });
  const tsdb = await startTsdb(workspace);
  await send(tsdb.url, series);
  const { differing, identicalCount } = await askBoth(prometheus.url, tsdb.url, dayQueries(startMs, endMs));
  console.log(`${dayQueries(startMs, endMs).length} requests, ${identicalCount} answered byte for byte the same`);
  expect(differing).toEqual([]);
  expect(prometheus.program.log()).not.toMatch(/level=(WARN|ERROR)/);
});

test("blocks that promtool makes of OpenMetrics text are sound, and hold what was in the text", async () => {
  const dir = workspace.path("theirs");
  const file = workspace.path("day.om");
  const withoutStale = series.filter(({ labels }) => !labels.some(([, value]) => value === "day_flapping"));
  const out = createWriteStream(file);
  let piece = "";
  for (const line of openMetrics(withoutStale)) {
    piece += line;
    if (piece.length > 1 << 20 && !out.write(piece)) await once(out, "drain");
    if (piece.length > 1 << 20) piece = "";
  }
  out.end(piece);
  await once(out, "finish");
  promtool(["tsdb", "create-blocks-from", "openmetrics", file, dir], workspace.path("created.txt"));
  expect(blockDirsIn(dir).length).toBeGreaterThanOrEqual(12);
  const read = readBlocks(dir).series;
  expect(sampleCountOf(read)).toBe(sampleCountOf(withoutStale));
  expect(samplesByLabels(read, { exactNaNs: false })).toEqual(samplesByLabels(withoutStale, { exactNaNs: false }));
});

test("blocks of a real Prometheus are sound, and hold what it was sent, bit for bit, but for what it deleted", async () => {
  const prometheus = await startPrometheus(workspace, {
    name: "theirs-live",
    config: noTargets,
    flags: [...keepBlocks, "--web.enable-remote-write-receiver", "--web.enable-admin-api"],
  });
  await send(prometheus.url, series);
  const whole = readBlocks(await snapshotOf(prometheus, "theirs-live"));
  expect(samplesByLabels(whole.series, { exactNaNs: true })).toEqual(samplesByLabels(series, { exactNaNs: true }));

  const deleted = { from: startMs + 3_600_000, to: startMs + 5 * 3_600_000 };
  const { status } = await ask(prometheus.url, {
    path: "/api/v1/admin/tsdb/delete_series",
    method: "POST",
    parameters: [
      ["match[]", "day_limit"],
      ["start", String(deleted.from / 1000)],
      ["end", String(deleted.to / 1000)],
    ],
  });
  expect(status).toBe(204);
  const rest = readBlocks(await snapshotOf(prometheus, "theirs-live"));
  const expected = series.map((one): DaySeries => {
    if (!one.labels.some(([, value]) => value === "day_limit")) return one;
    const kept = [...one.times].filter((time) => time < deleted.from || time > deleted.to);
    return { ...one, times: Float64Array.from(kept), values: new Float64Array(kept.length).fill(one.values[0]!) };
  });
  expect(samplesByLabels(rest.series, { exactNaNs: true })).toEqual(samplesByLabels(expected, { exactNaNs: true }));
  console.log(`${rest.tombstoneCount} tombstones`);
});

test("native histograms of a real Prometheus are kept apart, counted, and their blocks are sound", async () => {
  const name = "theirs-histograms";
  const prometheus = await startPrometheus(workspace, {
    name,
    config: noTargets,
    flags: [...keepBlocks, "--web.enable-remote-write-receiver", "--web.enable-admin-api"],
  });
  const times = Array.from({ length: 300 }, (_, i) => startMs + 15_000 * i);
  const { status, text } = await postWrite(prometheus.url, encodeHistograms(3, times));
  expect(status, text).toBeLessThan(300);
  // Sound means that the samples of all chunks are as many as meta.json says.
  const { series: read, opaqueChunkCount } = readBlocks(await snapshotOf(prometheus, name));
  expect([read.length, opaqueChunkCount > 0]).toEqual([0, true]);
});

test("a real Prometheus compacts our blocks, and what it makes of them is sound here and holds every sample", async () => {
  const name = "compacted";
  // What it merges depends on the hour at which the day ends: here, two hours into a range of six, all but the newest block.
  const day = dayBefore(Math.floor((endMs - 2 * HOUR_MS) / (6 * HOUR_MS)) * 6 * HOUR_MS + 2 * HOUR_MS);
  const written = dayOfSamples(day.startMs, day.endMs, 4);
  await writeDay(workspace.path(name), written, day.startMs, day.endMs);
  const prometheus = await startPrometheus(workspace, {
    name,
    config: noTargets,
    flags: ["--storage.tsdb.retention.time=10y"],
  });
  // It looks once a minute, and plans until nothing is left to do.
  await until("a compaction", () => (blockDirsIn(workspace.path(name)).length <= 5 ? true : undefined), {
    timeoutMs: 240_000,
  });
  await prometheus.program.stop("SIGTERM", 60_000);
  const { series: read } = readBlocks(workspace.path(name));
  expect(samplesByLabels(read, { exactNaNs: true })).toEqual(samplesByLabels(written, { exactNaNs: true }));
  console.log(`12 blocks became ${blockDirsIn(workspace.path(name)).length}`);
});

async function snapshotOf(prometheus: Prometheus, name: string): Promise<string> {
  const answer = await ask(prometheus.url, { path: "/api/v1/admin/tsdb/snapshot", method: "POST", parameters: [] });
  expect(answer.status, answer.text).toBe(200);
  const { data } = JSON.parse(answer.text) as { readonly data: { readonly name: string } };
  return `${workspace.path(name)}/snapshots/${data.name}`;
}

async function send(url: string, sent: readonly DaySeries[]): Promise<void> {
  for (const request of dayRequests(sent, startMs, endMs)) {
    const { status, text } = await postWrite(url, request);
    if (status >= 300) throw new Error(`a write was answered ${status}: ${text}`);
  }
}
