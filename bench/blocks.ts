/**
 * What do samples cost once they lie in blocks: bytes on disk, and queries over a day and over a month of them?
 *
 * Three sets of series are written in order of time, to all servers alike: node_exporter-like targets (mixed data) and a
 * thousand counters over the last day, and two hundred counters over thirty days, scraped once a minute. Then each server
 * merges what it has as far as it does by itself: ours is told to (POST /api/v1/admin/compact), VictoriaMetrics too
 * (/internal/force_merge), Prometheus gets the time. Bytes a sample are those of the blocks' files, divided by the samples in
 * them: of all blocks, and of those that were merged (level 2 and above), as most are in a database that has run for longer
 * than a day. What is still in a head counts for neither. VictoriaMetrics has no head and was told to merge all: all of its
 * files count, both times.
 *
 * Cold: the server has just been started and has answered one query that reads nothing, and the system's file cache is
 * empty. Warm: the same query again, in rounds.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { metricsOf } from "../e2e/support/http.ts";
import { until } from "../e2e/support/until.ts";
import type { Workspace } from "../e2e/support/workspace.ts";
import { budgets, judgeServers } from "./support/budgets.ts";
import { diskBytes } from "./support/process-usage.ts";
import { noTimes, timeByTurns, timeQuery, type QueryTimes, type RepeatedQuery } from "./support/query-rounds.ts";
import type { Benchmark, BenchOptions, Row, Section } from "./support/report.ts";
import { compareAnswers } from "./support/same-answers.ts";
import {
  BenchServer,
  chosen,
  prometheus,
  tsdb,
  victoriaMetrics,
  withWorkspace,
  type Product,
} from "./support/servers.ts";
import { median, quantile } from "./support/statistics.ts";
import type { Query } from "./support/timed-query.ts";
import { prepare, sendAll } from "./support/write-load.ts";
import { httpRequests } from "./workloads/http-requests.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import type { Population } from "./workloads/population.ts";
import { Workload } from "./workloads/write-requests.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MINUTE_MS = 60_000;
/** Written before the next piece of time is begun; Prometheus takes what is at most an hour behind its newest sample. */
const PIECE_MS = HOUR_MS / 2;
const SAMPLES_PER_REQUEST = 60_000;

/** Two hundred of the counters, under a name of their own. */
const monthly: Population = {
  ...httpRequests,
  series: httpRequests.series
    .slice(0, 200)
    .map(({ labels, kind }) => ({ labels: { ...labels, __name__: "api_calls_total" }, kind })),
};

const TSDB_FLAGS = ["--query-max-series=1000000", "--query-max-samples=100000000", "--retention=60d"];
const VICTORIA_METRICS_FLAGS = ["-retentionPeriod=3"];
const PROMETHEUS_FLAGS = ["--storage.tsdb.retention.time=60d"];

/** Starts what a first query starts. */
const READS_NOTHING: RepeatedQuery = { query: "vector(0)", timeMs: Date.UTC(2026, 0, 1), repeats: 1 };

/** CPU time is counted in hundredths of a second. */
const WARM_REPEATS = 3;

interface Case {
  readonly query: string;
  readonly rangeMs: number;
  readonly stepMs: number;
  readonly isBudget: boolean;
}

interface Size {
  readonly bytes: number;
  readonly samples: number;
}

/** Of all blocks, and of those that were merged. */
interface Sizes {
  readonly all: Size;
  readonly merged: Size;
}

export const blocks: Benchmark = {
  name: "blocks",
  question: "What do samples cost once they lie in blocks: on disk, and in queries over a day and a month?",
  run: (options) =>
    withWorkspace("blocks", async (workspace) => {
      const servers: BenchServer[] = [];
      for (const product of chosen(
        [
          tsdb({ flags: TSDB_FLAGS, profileDir: options.profileDir }),
          victoriaMetrics(VICTORIA_METRICS_FLAGS),
          prometheus(PROMETHEUS_FLAGS),
        ],
        options.servers,
      ))
        servers.push(await BenchServer.start(product, workspace));
      const spans = options.isQuick
        ? { dayMs: DAY_MS / 4, monthMs: 3 * DAY_MS, targetCount: 1 }
        : { dayMs: DAY_MS, monthMs: 30 * DAY_MS, targetCount: 10 };
      const { endMs, sampleCount } = await load(servers, spans, options);
      for (const server of servers) await settle(server, options);
      const sizes = servers.map((server) => sizesOf(server, sampleCount));
      const written = servers.map((server, i) => writtenRow(server, sizes[i]!));

      const cases = casesOver(spans);
      const queries = cases.map(({ query, rangeMs, stepMs }): Query => ({
        query,
        timeMs: endMs,
        range: { lengthMs: rangeMs, stepMs },
      }));
      const notes = await compareAnswers(servers, queries);
      for (const server of servers) await server.stop();
      const products = servers.map(({ product }) => product);
      const cold = await measureCold(products, workspace, queries, options);
      const warm = await measureWarm(products, workspace, queries, options);
      return {
        sections: [
          { title: "Written and merged", rows: written },
          ...cases.map((asked, i) => querySection(asked, servers, cold, warm, i)),
        ],
        verdicts: [
          ...judgeServers(
            budgets.blockBytes,
            "mixed data",
            servers,
            sizes.map(({ merged }) => merged.bytes / merged.samples),
          ),
          ...cases.flatMap(({ isBudget, query }, i) => {
            const cpuMs = warm.map((ofServer) => median(ofServer[i]!.cpuMs));
            return isBudget ? judgeServers(budgets.rangeQuery, `${query}, in blocks`, servers, cpuMs) : [];
          }),
        ],
        notes: [...notes, `${sampleCount.toLocaleString("en-US")} samples; ours with ${TSDB_FLAGS.join(" ")}`],
      };
    }),
};

interface Spans {
  readonly dayMs: number;
  readonly monthMs: number;
  readonly targetCount: number;
}

function casesOver({ dayMs, monthMs }: Spans): Case[] {
  const day = { rangeMs: dayMs, stepMs: MINUTE_MS, isBudget: false };
  const month = { rangeMs: monthMs, stepMs: HOUR_MS, isBudget: false };
  return [
    { ...day, query: "sum(rate(http_requests_total[5m]))", isBudget: true },
    { ...day, query: "max by (handler) (max_over_time(http_requests_total[1h]))" },
    { ...month, query: "sum by (code) (rate(api_calls_total[1h]))" },
    { ...month, query: "max by (handler) (max_over_time(api_calls_total[6h]))" },
    { ...month, query: "api_calls_total" },
  ];
}

/** Each server is started anew for each query of each round. @returns for each product, for each query */
async function measureCold(
  products: readonly Product[],
  workspace: Workspace,
  queries: readonly Query[],
  { isQuick, progress }: BenchOptions,
): Promise<QueryTimes[][]> {
  const measured = products.map(() => queries.map(noTimes));
  const rounds = isQuick ? 1 : 3;
  for (const [i, query] of queries.entries()) {
    for (let round = 0; round < rounds; round++)
      for (const [p, product] of products.entries()) {
        const server = await BenchServer.start(product, workspace);
        await sleep(1000);
        await timeQuery(server, READS_NOTHING, noTimes());
        dropFileCache();
        await timeQuery(server, { ...query, repeats: 1 }, measured[p]![i]!);
        await server.stop();
      }
    progress(`${query.query} cold`);
  }
  return measured;
}

async function measureWarm(
  products: readonly Product[],
  workspace: Workspace,
  queries: readonly Query[],
  { isQuick, progress, rounds = isQuick ? 2 : 10 }: BenchOptions,
): Promise<QueryTimes[][]> {
  const servers: BenchServer[] = [];
  for (const product of products) servers.push(await BenchServer.start(product, workspace));
  const repeated = queries.map((query) => ({ ...query, repeats: WARM_REPEATS }));
  const measured = await timeByTurns(servers, repeated, rounds, progress);
  for (const server of servers) await server.stop();
  return measured;
}

/** Writes all sets, piece of time by piece of time. */
async function load(
  servers: readonly BenchServer[],
  { monthMs, dayMs, targetCount }: Spans,
  { connections, progress }: BenchOptions,
): Promise<{ readonly endMs: number; readonly sampleCount: number }> {
  const endMs = Math.floor(Date.now() / PIECE_MS) * PIECE_MS;
  const sets = [
    new Workload({ population: monthly, targetCount: 1, startMs: endMs - monthMs, intervalMs: MINUTE_MS }),
    new Workload({ population: httpRequests, targetCount: 1, startMs: endMs - dayMs }),
    new Workload({ population: nodeExporter, targetCount, startMs: endMs - dayMs }),
  ];
  let sampleCount = 0;
  for (let pieceEndMs = endMs - monthMs + PIECE_MS; pieceEndMs <= endMs; pieceEndMs += PIECE_MS) {
    for (const workload of sets) {
      if (pieceEndMs <= workload.startMs) continue;
      const samplesPerSeries = PIECE_MS / workload.intervalMs;
      const requests = workload
        .nextScrape({ samplesPerSeries, samplesPerRequest: SAMPLES_PER_REQUEST })
        .map(prepare)
        .toArray();
      await Promise.all(servers.map(({ port }) => sendAll(requests, { port, connections })));
      sampleCount += workload.seriesCount * samplesPerSeries;
    }
    if (pieceEndMs % DAY_MS < PIECE_MS) progress(`${sampleCount} samples, ${(endMs - pieceEndMs) / DAY_MS} days to go`);
  }
  return { endMs, sampleCount };
}

/** Brings what was written to the form in which a server that runs for long has it. */
async function settle({ product, url, dataDir }: BenchServer, { progress }: BenchOptions): Promise<void> {
  progress(`${product.name} merges`);
  if (product.peer === "VictoriaMetrics") {
    await fetch(`${url}/internal/force_flush`);
    await fetch(`${url}/internal/force_merge`);
    await until(
      "VictoriaMetrics to merge",
      async () => {
        const metrics = await metricsOf(url);
        return metrics.get("vm_active_force_merges") === 0 ? true : undefined;
      },
      { timeoutMs: 300_000, everyMs: 500 },
    );
  } else if (product.peer === "Prometheus") {
    let [before, quiet] = [-1, 0];
    await until(
      "Prometheus to compact its head and blocks",
      async () => {
        const count = (await metricsOf(url)).get("prometheus_tsdb_compactions_total") ?? 0;
        quiet = count === before ? quiet + 1 : 0;
        before = count;
        // It looks once a minute.
        return quiet > 75 ? true : undefined;
      },
      { timeoutMs: 900_000, everyMs: 1000 },
    );
  } else {
    const response = await fetch(`${url}/api/v1/admin/compact`, { method: "POST" });
    if (!response.ok) throw new Error(`admin/compact: ${await response.text()}`);
    // Blocks that were merged go when no query reads them any more.
    await until(
      "merged blocks to go",
      async () => (blockDirs(dataDir).some(({ hasSuccessor }) => hasSuccessor) ? undefined : true),
      { timeoutMs: 60_000, everyMs: 500 },
    );
  }
  await sleep(3000);
}

interface BlockDir {
  readonly path: string;
  readonly samples: number;
  readonly isMerged: boolean;
  /** Whether another block was made from it. */
  readonly hasSuccessor: boolean;
}

/** The blocks of a Prometheus, or of ours. */
function blockDirs(dataDir: string): BlockDir[] {
  const root = existsSync(join(dataDir, "blocks")) ? join(dataDir, "blocks") : dataDir;
  const metas = readdirSync(root)
    .filter((name) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name) && existsSync(join(root, name, "meta.json")))
    .map((name) => ({
      path: join(root, name),
      ...(JSON.parse(readFileSync(join(root, name, "meta.json"), "utf8")) as {
        readonly ulid: string;
        readonly stats: { readonly numSamples: number };
        readonly compaction: { readonly level: number; readonly parents?: readonly { readonly ulid: string }[] };
      }),
    }));
  const parents = new Set(metas.flatMap(({ compaction }) => (compaction.parents ?? []).map(({ ulid }) => ulid)));
  return metas.map(({ path, ulid, stats, compaction }) => ({
    path,
    samples: stats.numSamples,
    isMerged: compaction.level > 1,
    hasSuccessor: parents.has(ulid),
  }));
}

function sizesOf({ product, dataDir }: BenchServer, sampleCount: number): Sizes {
  if (product.peer === "VictoriaMetrics") {
    const all = { bytes: diskBytes(dataDir), samples: sampleCount };
    return { all, merged: all };
  }
  const dirs = blockDirs(dataDir).filter(({ hasSuccessor }) => !hasSuccessor);
  const sizeOf = (some: readonly BlockDir[]): Size => ({
    bytes: some.reduce((sum, { path }) => sum + diskBytes(path), 0),
    samples: some.reduce((sum, { samples }) => sum + samples, 0),
  });
  return { all: sizeOf(dirs), merged: sizeOf(dirs.filter(({ isMerged }) => isMerged)) };
}

const writtenRow = (server: BenchServer, { all, merged }: Sizes): Row => ({
  server: server.name,
  "B a sample": all.bytes / all.samples,
  "merged B a sample": merged.bytes / merged.samples,
  "MB in blocks": all.bytes / 1e6,
  "M samples": all.samples / 1e6,
  "M merged": merged.samples / 1e6,
  "CPU s so far": server.cpuSeconds(),
  "RSS MB": server.memory().rssBytes / 1e6,
  "peak MB": server.memory().peakRssBytes / 1e6,
});

/** Needs root; without it "cold" only means a server that was just started. */
function dropFileCache(): void {
  if (process.getuid?.() === 0) writeFileSync("/proc/sys/vm/drop_caches", "3");
}

const querySection = (
  { query, rangeMs, stepMs }: Case,
  servers: readonly BenchServer[],
  cold: readonly (readonly QueryTimes[])[],
  warm: readonly (readonly QueryTimes[])[],
  i: number,
): Section => ({
  title: `${query} over ${rangeMs / DAY_MS} d, step ${stepMs / 1000} s`,
  rows: servers.map((server, s) => ({
    server: server.name,
    "cold ms": median(cold[s]![i]!.latenciesMs),
    "cold CPU ms": median(cold[s]![i]!.cpuMs),
    "warm CPU ms": median(warm[s]![i]!.cpuMs),
    "warm p50 ms": quantile(warm[s]![i]!.latenciesMs, 0.5),
    "warm p99 ms": quantile(warm[s]![i]!.latenciesMs, 0.99),
  })),
});
