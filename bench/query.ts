/**
 * What does a query cost?
 *
 * Range queries over one day of a thousand counters (5,760 samples each), step a minute, and instant queries over a
 * hundred node_exporter-like targets (100,000 series of 28 samples, 25,600 of them CPU times). All servers get the
 * same data by remote write, in order of time. What is older goes to blocks, as it does by itself every two hours:
 * ours is told to, Prometheus is given the time. VictoriaMetrics' cache of results is switched off. Queries come one
 * after the other on one connection, in rounds; a server that is not asked is stopped. What ours answers must be what
 * Prometheus answers, within 1e-9.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { metricsOf } from "../e2e/support/http.ts";
import { until } from "../e2e/support/until.ts";
import { budgets, judgeServers } from "./support/budgets.ts";
import { timeByTurns, type QueryTimes, type RepeatedQuery } from "./support/query-rounds.ts";
import type { Benchmark, BenchOptions, Row } from "./support/report.ts";
import { compareAnswers } from "./support/same-answers.ts";
import { BenchServer, chosen, prometheus, tsdb, victoriaMetrics, withWorkspace } from "./support/servers.ts";
import { median, quantile } from "./support/statistics.ts";
import { prepare, sendAll } from "./support/write-load.ts";
import { httpRequests } from "./workloads/http-requests.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import { SCRAPE_INTERVAL_MS, Workload } from "./workloads/write-requests.ts";

const DAY_MS = 86_400_000;
const QUICK_RANGE_MS = DAY_MS / 8;
const STEP_MS = 60_000;
const NODE_TARGETS = 100;
const NODE_SCRAPES = 28;

interface Case {
  readonly query: string;
  readonly kind: "range" | "instant";
  readonly repeats: number;
  readonly budget?: "rangeQuery" | "instantQuery";
}

const CASES: readonly Case[] = [
  { query: "sum(rate(http_requests_total[5m]))", kind: "range", repeats: 2, budget: "rangeQuery" },
  { query: "sum by (instance, code) (rate(http_requests_total[5m]))", kind: "range", repeats: 2 },
  { query: "max by (handler) (max_over_time(http_requests_total[1h]))", kind: "range", repeats: 2 },
  { query: "rate(http_requests_total[5m])", kind: "range", repeats: 1 },
  { query: "sum by (mode) (rate(node_cpu_seconds_total[5m]))", kind: "instant", repeats: 10, budget: "instantQuery" },
  { query: "avg by (instance) (node_cpu_seconds_total)", kind: "instant", repeats: 10 },
  { query: 'count by (__name__) ({job="node-exporter"})', kind: "instant", repeats: 5 },
];

/** What a user must set to select 100,000 series and a bit in one query, or to read as many samples at once. */
const TSDB_FLAGS = ["--query-max-series=1000000", "--query-max-samples=100000000"];

export const query: Benchmark = {
  name: "query",
  question: "What does a query cost?",
  run: (options) =>
    withWorkspace("query", async (workspace) => {
      const servers: BenchServer[] = [];
      for (const product of chosen(
        [tsdb({ flags: TSDB_FLAGS, profileDir: options.profileDir }), victoriaMetrics(), prometheus()],
        options.servers,
      ))
        servers.push(await BenchServer.start(product, workspace));
      const rangeMs = options.isQuick ? QUICK_RANGE_MS : DAY_MS;
      const endMs = await load(servers, rangeMs, options);
      for (const server of servers) await settle(server, options);

      const queries = CASES.map(({ query: text, kind, repeats }): RepeatedQuery => ({
        query: text,
        repeats,
        timeMs: endMs,
        ...(kind === "range" ? { range: { lengthMs: rangeMs, stepMs: STEP_MS } } : {}),
      }));
      const differences = await compareAnswers(servers, queries);
      const rounds = options.rounds || (options.isQuick ? 2 : 8);
      const measured = await timeByTurns(servers, queries, rounds, options.progress);
      for (const server of servers) await server.stop();
      return {
        sections: CASES.map(({ query: text, kind }, i) => ({
          title: `${kind} query: ${text}`,
          rows: servers.map((server, s) => rowOf(server, measured[s]![i]!)),
        })),
        verdicts: CASES.flatMap(({ budget, query: text }, i) => {
          const cpuMs = measured.map((ofServer) => median(ofServer[i]!.cpuMs));
          return budget === undefined ? [] : judgeServers(budgets[budget], text, servers, cpuMs);
        }),
        notes: [
          ...differences,
          `range of ${rangeMs / 3_600_000} h, step ${STEP_MS / 1000} s; ours with ${TSDB_FLAGS.join(" ")}`,
        ],
      };
    }),
};

/** Writes both data sets to all servers. @returns the time that queries end at: the newest sample */
async function load(
  servers: readonly BenchServer[],
  rangeMs: number,
  { connections, progress }: BenchOptions,
): Promise<number> {
  const now = Date.now();
  const counters = new Workload({
    population: httpRequests,
    targetCount: 1,
    startMs: now - rangeMs - SCRAPE_INTERVAL_MS,
  });
  const nodes = new Workload({
    population: nodeExporter,
    targetCount: NODE_TARGETS,
    startMs: now - NODE_SCRAPES * SCRAPE_INTERVAL_MS,
  });
  const sets = [
    { workload: counters, scrapes: rangeMs / SCRAPE_INTERVAL_MS, samplesPerSeries: 60 },
    { workload: nodes, scrapes: NODE_SCRAPES, samplesPerSeries: 7 },
  ];
  for (const { workload, scrapes, samplesPerSeries } of sets) {
    const shape = { samplesPerSeries, samplesPerRequest: workload.seriesPerTarget * samplesPerSeries };
    while (workload.scrapeCount < scrapes) {
      const requests = workload.nextScrape(shape).map(prepare).toArray();
      await Promise.all(servers.map(({ port }) => sendAll(requests, { port, connections })));
    }
    progress(`${workload.seriesCount} series with ${workload.scrapeCount} samples each written`);
  }
  return Math.floor(Math.max(counters.newestMs, nodes.newestMs) / 1000) * 1000;
}

/** Brings what was written to the form in which a server that runs for a while has it. */
async function settle({ product, url }: BenchServer, { progress }: BenchOptions): Promise<void> {
  progress(`${product.name} settles`);
  if (product.peer === undefined) {
    const response = await fetch(`${url}/api/v1/admin/compact`, { method: "POST" });
    if (!response.ok) throw new Error(`${product.name} does not compact: ${await response.text()}`);
  }
  if (product.peer === "VictoriaMetrics") await fetch(`${url}/internal/force_flush`);
  if (product.peer === "Prometheus") {
    const everyMs = 1000;
    const timeoutMs = 240_000;
    const chunkRangeMs = 2 * 3_600_000;
    const isCompact = async () => {
      const metrics = await metricsOf(url);
      const [mint, maxt] = [metrics.get("prometheus_tsdb_head_min_time"), metrics.get("prometheus_tsdb_head_max_time")];
      return maxt! - mint! < 1.5 * chunkRangeMs ? true : undefined;
    };
    await until("Prometheus to compact its head", isCompact, { timeoutMs, everyMs });
  }
  await sleep(3000);
}

const rowOf = (server: BenchServer, { latenciesMs, cpuMs, answerBytes }: QueryTimes): Row => ({
  server: server.name,
  "CPU ms": median(cpuMs),
  "p50 ms": quantile(latenciesMs, 0.5),
  "p99 ms": quantile(latenciesMs, 0.99),
  "answer kB": answerBytes / 1000,
  queries: latenciesMs.length,
});
