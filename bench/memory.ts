/**
 * How much memory do active series take, and what does creating them cost?
 *
 * Two sizes: 100,000 series with 720 samples each (six full chunks), and a million with 240 (a full chunk and an open one).
 * All servers get the same requests side by side. The first scrape creates the series, one sample each; the rest come ten
 * samples a series and request, which is not how senders send, but fills chunks in minutes and leaves the same state.
 * RSS is read when a server has been left alone for a while. At the end ours must count every series and every sample.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expectAllSamples } from "./support/count-samples.ts";
import { budgets, judgeServers, type Verdict } from "./support/budgets.ts";
import type { Benchmark, BenchOptions, Row, Section } from "./support/report.ts";
import { BenchServer, chosen, diskUse, prometheus, tsdb, victoriaMetrics, withWorkspace } from "./support/servers.ts";
import { prepare, sendAll, type PreparedRequest } from "./support/write-load.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import { SCRAPE_INTERVAL_MS, Workload } from "./workloads/write-requests.ts";

interface Size {
  readonly targetCount: number;
  readonly samplesPerSeries: number;
  /** Whether the budget is about this size. */
  readonly isBudget: boolean;
}

const SIZES: readonly Size[] = [
  { targetCount: 100, samplesPerSeries: 720, isBudget: false },
  { targetCount: 1000, samplesPerSeries: 240, isBudget: true },
];
const QUICK_SIZES: readonly Size[] = [{ targetCount: 20, samplesPerSeries: 240, isBudget: false }];

const SERIES_PER_REQUEST = 1000;
const SAMPLES_PER_SERIES = 10;
/** Bodies made before they are sent; bounds the load's own memory. */
const REQUESTS_AT_ONCE = 64;
/** Garbage collectors give back what the load needed, maintenance ends what it began. */
const SETTLE_MS = 15_000;

/** What a user must set for so many series, and for a query that reads all of them. */
const TSDB_FLAGS = [
  "--memtable-size=1500MiB",
  "--query-max-series=2000000",
  "--query-max-samples=1000000000",
  "--query-max-memory=1500MiB",
];

export const memory: Benchmark = {
  name: "memory",
  question: "How much memory do active series take, and what does creating them cost?",
  async run(options) {
    const sections: Section[] = [];
    const verdicts: Verdict[] = [];
    for (const size of options.isQuick ? QUICK_SIZES : SIZES) {
      const { section, verdicts: more } = await measureSize(options, size);
      sections.push(section);
      verdicts.push(...more);
    }
    return { sections, verdicts, notes: [`ours with ${TSDB_FLAGS.join(" ")}; node_exporter-like targets, 15 s apart`] };
  },
};

interface Result {
  readonly server: BenchServer;
  readonly creationCpu: number;
  readonly restCpu: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
  readonly walBytes: number;
  readonly allBytes: number;
}

function measureSize(
  options: BenchOptions,
  { targetCount, samplesPerSeries, isBudget }: Size,
): Promise<{ readonly section: Section; readonly verdicts: readonly Verdict[] }> {
  return withWorkspace("memory", async (workspace) => {
    const startMs = Date.now() - (samplesPerSeries + 4) * SCRAPE_INTERVAL_MS;
    const workload = new Workload({ population: nodeExporter, targetCount, startMs });
    const servers: BenchServer[] = [];
    for (const product of chosen([tsdb({ flags: TSDB_FLAGS }), victoriaMetrics(), prometheus()], options.servers))
      servers.push(await BenchServer.start(product, workspace));

    const startCpu = servers.map((server) => server.cpuSeconds());
    await sendScrapes(servers, workload, 1, options);
    options.progress(`${workload.seriesCount} series created`);
    const createdCpu = servers.map((server) => server.cpuSeconds());
    while (workload.scrapeCount < samplesPerSeries) {
      await sendScrapes(
        servers,
        workload,
        Math.min(SAMPLES_PER_SERIES, samplesPerSeries - workload.scrapeCount),
        options,
      );
      options.progress(`${workload.scrapeCount} of ${samplesPerSeries} samples of ${workload.seriesCount} series`);
    }
    await sleep(SETTLE_MS);
    const results = servers.map((server, i): Result => ({
      server,
      creationCpu: createdCpu[i]! - startCpu[i]!,
      restCpu: server.cpuSeconds() - createdCpu[i]!,
      ...server.memory(),
      ...diskUse(server),
    }));
    const countSeconds: number[] = [];
    for (const { product, url } of servers)
      // That the peers keep what they are given is theirs to prove; at a million series it takes them minutes.
      countSeconds.push(product.peer === undefined ? await expectAllSamples(url, workload) : NaN);
    for (const server of servers) await server.kill();

    const title = `${workload.seriesCount.toLocaleString("en-US")} series, ${samplesPerSeries} samples each`;
    const sampleCount = workload.seriesCount * samplesPerSeries;
    const rows = results.map((result, i): Row => ({
      ...rowOf(result, workload.seriesCount, sampleCount),
      "all counted in s": countSeconds[i]!,
    }));
    return { section: { title, rows }, verdicts: isBudget ? verdictsOf(title, results) : [] };
  });
}

/** Sends the next scrapes to all servers, a few requests at a time. */
async function sendScrapes(
  servers: readonly BenchServer[],
  workload: Workload,
  samplesPerSeries: number,
  { connections }: BenchOptions,
): Promise<void> {
  const shape = { samplesPerSeries, samplesPerRequest: SERIES_PER_REQUEST * samplesPerSeries };
  const send = (requests: readonly PreparedRequest[]) =>
    Promise.all(servers.map(({ port }) => sendAll(requests, { port, connections })));
  let ready: PreparedRequest[] = [];
  for (const body of workload.nextScrape(shape)) {
    if (ready.push(prepare(body)) < REQUESTS_AT_ONCE) continue;
    await send(ready);
    ready = [];
  }
  await send(ready);
}

function rowOf(result: Result, seriesCount: number, sampleCount: number): Row {
  const { server, creationCpu, restCpu, rssBytes, peakRssBytes, walBytes, allBytes } = result;
  return {
    server: server.name,
    "RSS MB": rssBytes / 1e6,
    "peak MB": peakRssBytes / 1e6,
    "B/series": rssBytes / seriesCount,
    "us CPU to create": (creationCpu / seriesCount) * 1e6,
    "CPU s for the rest": restCpu,
    "WAL B/sample": walBytes / sampleCount,
    "disk B/sample": allBytes / sampleCount,
  };
}

function verdictsOf(what: string, results: readonly Result[]): Verdict[] {
  const servers = results.map(({ server }) => server);
  return judgeServers(
    budgets.memory,
    what,
    servers,
    results.map(({ rssBytes }) => rssBytes),
  );
}
