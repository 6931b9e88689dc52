/**
 * A day in the life of a server, in less time: targets are scraped, some are replaced every hour, queries are asked. Memory,
 * disk, open files and series must level off, and at the end every sample must be there. Prints a line each simulated half
 * hour, then a figure line; ends with 1 when something still grows, or is missing.
 *
 *   node e2e/day/main.ts [--series 100000] [--churn 5] [--speed 10] [--hours 24] [--retention-size 1GB] [--flag FLAG]...
 *
 * `--churn` is the share of the series that is replaced in an hour, in per cent; `--speed` how many times faster than the
 * clock the day goes by; `--retention-size` what the blocks may take, less than what is written; `--flag` a further flag of
 * the server. At the default speed a day takes 2.4 hours.
 */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { diskBytes, memoryUsage, cpuSeconds } from "../../bench/support/process-usage.ts";
import { queryNumber } from "../../bench/support/timed-query.ts";
import { prepare, sendAll } from "../../bench/support/write-load.ts";
import { nodeExporter } from "../../bench/workloads/node-exporter.ts";
import { SCRAPE_INTERVAL_MS, Workload } from "../../bench/workloads/write-requests.ts";
import { metricsOf } from "../support/http.ts";
import { startTsdb, type Tsdb } from "../support/tsdb.ts";
import { inWorkspace, type Workspace } from "../support/workspace.ts";

const HOUR_MS = 3_600_000;
const REPORT_MS = HOUR_MS / 2;
const CONNECTIONS = 4;
const SERIES_PER_TARGET = 1000;
/** What the last third of the day may take more than the middle one, and still be level. */
const GROWTH_MAX = 1.1;

const { values: flags } = parseArgs({
  options: {
    series: { type: "string", default: "100000" },
    churn: { type: "string", default: "5" },
    speed: { type: "string", default: "10" },
    hours: { type: "string", default: "24" },
    "retention-size": { type: "string", default: "1GB" },
    flag: { type: "string", multiple: true, default: [] },
  },
});
const targetCount = Number(flags.series) / SERIES_PER_TARGET;
const speed = Number(flags.speed);
const hours = Number(flags.hours);

/** What is looked at, and must level off. */
interface Reading {
  readonly hour: number;
  readonly rssMb: number;
  readonly headMb: number;
  readonly diskMb: number;
  readonly files: number;
  readonly headSeries: number;
}

/** A target and what was written of it: its labels never come again once it is replaced. */
class Target {
  readonly workload: Workload;
  readonly pod: string;

  constructor(pod: string, startMs: number) {
    this.pod = pod;
    const population = {
      ...nodeExporter,
      targetLabels: () => ({ instance: `${pod}:9100`, job: "node-exporter", pod, cluster: "day" }),
    };
    this.workload = new Workload({ population, targetCount: 1, startMs, seed: startMs });
  }
}

await inWorkspace("day", main);

async function main(workspace: Workspace): Promise<number> {
  const server = await startTsdb(workspace, {
    flags: [
      // The day lies in the past, so that its last sample is not in the future: by age nothing could be deleted of it.
      "--retention=60d",
      `--retention-size=${flags["retention-size"]}`,
      "--compaction-interval=30s",
      "--query-max-series=1000000",
      ...flags.flag,
    ],
  });
  const startMs = Math.floor(Date.now() / SCRAPE_INTERVAL_MS) * SCRAPE_INTERVAL_MS - hours * HOUR_MS;
  let podNumber = 0;
  const begin = (atMs: number): Target => new Target(`pod-${String(podNumber++).padStart(6, "0")}`, atMs);
  const targets = Array.from({ length: targetCount }, () => begin(startMs));
  const readings: Reading[] = [];
  const wallStartMs = performance.now();
  let [sampleCount, behindMs, owed] = [0, 0, 0];

  for (let timeMs = startMs; timeMs < startMs + hours * HOUR_MS; timeMs += SCRAPE_INTERVAL_MS) {
    const elapsedMs = timeMs - startMs;
    await sendAll(
      targets.flatMap(({ workload }, lane) =>
        [...workload.nextScrape({ samplesPerRequest: SERIES_PER_TARGET })].map((body) => prepare({ ...body, lane })),
      ),
      { port: Number(new URL(server.url).port), connections: CONNECTIONS },
    );
    sampleCount += targetCount * SERIES_PER_TARGET;
    // Replacements are spread over the hour.
    owed += (targetCount * Number(flags.churn)) / 100 / (HOUR_MS / SCRAPE_INTERVAL_MS);
    for (; owed >= 1; owed--) {
      targets.shift();
      targets.push(begin(timeMs + SCRAPE_INTERVAL_MS));
    }
    if (elapsedMs % REPORT_MS === 0 && elapsedMs > 0) readings.push(await look(server, elapsedMs / HOUR_MS, timeMs));
    const dueMs = wallStartMs + elapsedMs / speed;
    if (performance.now() < dueMs) await sleep(dueMs - performance.now());
    else behindMs = Math.max(behindMs, performance.now() - dueMs);
  }
  const problems = [...(await missing(server, targets)), ...growth(readings)];
  for (const problem of problems) console.log(`  ${problem}`);
  console.log(
    `${hours} h at ${speed}x: ${sampleCount} samples, ${podNumber * SERIES_PER_TARGET} series in all, ` +
      `${cpuSeconds(server.program.pid).toFixed(0)} CPU s, peak ${(memoryUsage(server.program.pid).peakRssBytes / 1e6).toFixed(0)} MB, ` +
      `at most ${(behindMs / 1000).toFixed(1)} s behind; ${problems.length} problems`,
  );
  return problems.length === 0 ? 0 : 1;
}

async function look({ program, url, dataDir }: Tsdb, hour: number, timeMs: number): Promise<Reading> {
  const metrics = await metricsOf(url);
  const reading: Reading = {
    hour,
    rssMb: memoryUsage(program.pid).rssBytes / 1e6,
    headMb: (metrics.get("tsdb_memory_alloc_bytes") ?? NaN) / 1e6,
    diskMb: diskBytes(dataDir) / 1e6,
    files: readdirSync(`/proc/${program.pid}/fd`).length,
    headSeries: metrics.get("prometheus_tsdb_head_series") ?? NaN,
  };
  const rate = await queryNumber(url, `count(rate(node_cpu_seconds_total[5m]))`, timeMs);
  console.log(
    `${hour.toFixed(1).padStart(5)} h  ${reading.rssMb.toFixed(0)} MB, head ${reading.headMb.toFixed(0)} MB, ` +
      `${reading.headSeries} series in it, disk ${reading.diskMb.toFixed(0)} MB, ${reading.files} files; ${rate} rates`,
  );
  return reading;
}

/** Targets whose samples of the last hours are not all there. */
async function missing({ url }: Tsdb, targets: readonly Target[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { pod, workload } of targets.filter((_, i) => i % 10 === 0)) {
    const scrapes = Math.min(workload.scrapeCount, (2 * HOUR_MS) / SCRAPE_INTERVAL_MS);
    const window = (scrapes * SCRAPE_INTERVAL_MS) / 1000;
    const metric = "node_memory_MemFree_0_bytes";
    const found = await queryNumber(
      url,
      `sum(count_over_time(${metric}{pod="${pod}"}[${window}s]))`,
      workload.newestMs,
    );
    if (found !== scrapes) problems.push(`${pod}: ${found} samples of ${metric} where ${scrapes} were written`);
  }
  return problems;
}

/** What is still growing in the last third of the day. */
function growth(readings: readonly Reading[]): string[] {
  const third = Math.floor(readings.length / 3);
  return (["rssMb", "headMb", "diskMb", "files", "headSeries"] as const).flatMap((key) => {
    // The disk fills up to its limit and falls by a whole block: how full it was on average depends on when a third ends.
    const judge = key === "diskMb" ? most : mean;
    const [middle, last] = [readings.slice(third, 2 * third), readings.slice(2 * third)].map((part) =>
      judge(part.map((reading) => reading[key])),
    ) as [number, number];
    return last <= GROWTH_MAX * middle ? [] : [`${key} still grows: ${middle.toFixed(0)}, then ${last.toFixed(0)}`];
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

function most(values: readonly number[]): number {
  return Math.max(...values);
}
