/**
 * What does a sample cost that arrives by remote write, for series that are known?
 *
 * Fifty targets of a thousand series each. All servers get the same ready-made bodies (remote write 1.0, snappy, one sample
 * a series), one server after the other, in rounds whose order rotates; a server that is not measured is stopped, so that
 * nothing of it runs on the core they share. What a stopped server put off, it does, and is charged for, in its next round.
 * Series are created and the code is warmed up before the first round. CPU is the process's own, all threads, user and
 * system; latency is of requests at full load, one in flight on each connection.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { budgets, judge, type Verdict } from "./support/budgets.ts";
import { cpuSeconds, type MemoryUsage } from "./support/process-usage.ts";
import type { Benchmark, BenchOptions, Outcome, Row, Section } from "./support/report.ts";
import {
  BenchServer,
  chosen,
  diskUse,
  prometheus,
  tsdb,
  victoriaMetrics,
  withWorkspace,
  type DiskUse,
  type Product,
} from "./support/servers.ts";
import { median, quantile, sum } from "./support/statistics.ts";
import { prepare, sendAll, type PreparedRequest } from "./support/write-load.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import { SCRAPE_INTERVAL_MS, Workload } from "./workloads/write-requests.ts";

const TARGETS = 50;
/** Of a round: a million samples. */
const SCRAPES = 20;
/** Enough for V8's optimizing compiler, and for every series to have chunks that are read and written alike. */
const WARM_UP_SCRAPES = 20;
/** What a server does after its last answer, before it is stopped. */
const SETTLE_MS = 200;

interface RoundFigures {
  readonly samplesPerSecond: number;
  readonly cpuPerMillion: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of the load's own core that it used: near 1, the load was the limit, not the server. */
  readonly loadCpu: number;
  readonly retries: number;
}

export const ingest: Benchmark = {
  name: "ingest",
  question: "What does a sample of a known series cost that arrives by remote write?",
  async run(options) {
    const sections: Section[] = [];
    const verdicts: Verdict[] = [];
    for (const samplesPerRequest of options.requestSizes) {
      const { section, verdicts: more } = await measureSize(options, samplesPerRequest);
      sections.push(section);
      verdicts.push(...more);
    }
    const notes = [
      `workload: 50,000 series of ${TARGETS} node_exporter-like targets, ${options.connections} connections, medians of ` +
        `${roundsOf(options)} rounds of ${(TARGETS * SCRAPES) / (options.isQuick ? 4 : 1)} thousand samples for each server`,
    ];
    return { sections, verdicts, notes } satisfies Outcome;
  },
};

const roundsOf = ({ rounds, isQuick }: BenchOptions): number => rounds ?? (isQuick ? 2 : 5);

function products({ servers, profileDir }: BenchOptions): Product[] {
  const ours = [tsdb({ sync: "always", profileDir }), tsdb({ sync: "interval", profileDir })];
  return chosen([...ours, victoriaMetrics(), prometheus()], servers);
}

async function measureSize(
  options: BenchOptions,
  samplesPerRequest: number,
): Promise<{ readonly section: Section; readonly verdicts: readonly Verdict[] }> {
  const rounds = roundsOf(options);
  const scrapes = options.isQuick ? SCRAPES / 4 : SCRAPES;
  const scrapesInAll = WARM_UP_SCRAPES + rounds * scrapes;
  const startMs = Date.now() - (scrapesInAll + 4) * SCRAPE_INTERVAL_MS;
  const workload = new Workload({ population: nodeExporter, targetCount: TARGETS, startMs });
  const nextRequests = (count: number): PreparedRequest[] =>
    Array.from({ length: count }, () => workload.nextScrape({ samplesPerRequest }).map(prepare).toArray()).flat();

  return withWorkspace("ingest", async (workspace) => {
    const warmUp = nextRequests(WARM_UP_SCRAPES);
    const runners: Runner[] = [];
    for (const product of products(options)) {
      options.progress(`${samplesPerRequest} samples a request: warming up ${product.name}`);
      const server = await BenchServer.start(product, workspace);
      await sendAll(warmUp, { port: server.port, connections: options.connections });
      await sleep(SETTLE_MS);
      runners.push({ server, rounds: [], diskBefore: diskUse(server) });
      server.pause();
    }
    for (let round = 0; round < rounds; round++) {
      const requests = nextRequests(scrapes);
      for (let i = 0; i < runners.length; i++) {
        const { server, rounds: done } = runners[(i + round) % runners.length]!;
        const figures = await measureRound(server, requests, options.connections);
        done.push(figures);
        options.progress(
          `${samplesPerRequest} samples a request, round ${round + 1} of ${rounds}, ${server.name}: ` +
            `${figures.cpuPerMillion.toFixed(3)} CPU-s a million, ${(figures.samplesPerSecond / 1e6).toFixed(2)} M/s`,
        );
      }
    }
    const results = runners.map((runner) => resultOf(runner, rounds * scrapes * workload.seriesCount));
    for (const { server } of runners) await (options.profileDir === undefined ? server.kill() : server.stop());
    return { section: sectionOf(samplesPerRequest, results), verdicts: verdictsOf(samplesPerRequest, results) };
  });
}

/** A server and what was measured of it so far. */
interface Runner {
  readonly server: BenchServer;
  readonly rounds: RoundFigures[];
  readonly diskBefore: DiskUse;
}

async function measureRound(
  server: BenchServer,
  requests: readonly PreparedRequest[],
  connections: number,
): Promise<RoundFigures> {
  const cpuBefore = server.cpuSeconds();
  server.resume();
  const ownBefore = cpuSeconds(process.pid);
  const { sampleCount, seconds, latenciesMs, retries } = await sendAll(requests, { port: server.port, connections });
  const ownCpu = cpuSeconds(process.pid) - ownBefore;
  await sleep(SETTLE_MS);
  server.pause();
  const cpu = server.cpuSeconds() - cpuBefore;
  return {
    samplesPerSecond: sampleCount / seconds,
    cpuPerMillion: (cpu / sampleCount) * 1e6,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    loadCpu: ownCpu / seconds,
    retries,
  };
}

interface ServerResult {
  readonly product: Product;
  readonly rounds: readonly RoundFigures[];
  readonly memory: MemoryUsage;
  readonly walPerSample: number;
  readonly diskPerSample: number;
}

function resultOf({ server, rounds, diskBefore }: Runner, sampleCount: number): ServerResult {
  const { walBytes, allBytes } = diskUse(server);
  return {
    product: server.product,
    rounds,
    memory: server.memory(),
    walPerSample: (walBytes - diskBefore.walBytes) / sampleCount,
    diskPerSample: (allBytes - diskBefore.allBytes) / sampleCount,
  };
}

const medianOf = ({ rounds }: ServerResult, of: (round: RoundFigures) => number): number => median(rounds.map(of));

function sectionOf(samplesPerRequest: number, results: readonly ServerResult[]): Section {
  const rows = results.map((result): Row => {
    const cpus = result.rounds.map(({ cpuPerMillion }) => cpuPerMillion);
    return {
      server: result.product.name,
      "CPU-s/M": medianOf(result, ({ cpuPerMillion }) => cpuPerMillion),
      least: Math.min(...cpus),
      most: Math.max(...cpus),
      "M samples/s": medianOf(result, ({ samplesPerSecond }) => samplesPerSecond / 1e6),
      "p50 ms": medianOf(result, ({ p50Ms }) => p50Ms),
      "p99 ms": medianOf(result, ({ p99Ms }) => p99Ms),
      "RSS MB": result.memory.rssBytes / 1e6,
      "peak MB": result.memory.peakRssBytes / 1e6,
      "WAL B/sample": result.walPerSample,
      "disk B/sample": result.diskPerSample,
      "load's core %": Math.round(100 * medianOf(result, ({ loadCpu }) => loadCpu)),
      retries: sum(result.rounds.map(({ retries }) => retries)),
    };
  });
  return { title: `${samplesPerRequest} samples a request`, rows };
}

function verdictsOf(samplesPerRequest: number, results: readonly ServerResult[]): Verdict[] {
  const ours = results.filter(({ product }) => product.peer === undefined);
  const peers = results.filter(({ product }) => product.peer !== undefined);
  return ours.flatMap((result) =>
    peers.flatMap((peer) => {
      const name = peer.product.peer!;
      const what = `${samplesPerRequest} a request, ${result.product.name}`;
      const cpu = (of: ServerResult) => medianOf(of, ({ cpuPerMillion }) => cpuPerMillion);
      const p99 = (of: ServerResult) => medianOf(of, ({ p99Ms }) => p99Ms);
      return [
        judge(budgets.writeCpu[name], what, cpu(result), cpu(peer)),
        judge(budgets.writeP99[name], what, p99(result), p99(peer)),
      ];
    }),
  );
}
