/**
 * How fast is the write-ahead log read again after a crash?
 *
 * Ours and Prometheus get the same ten million samples of 50,000 series, are killed, and started again three times. Time is
 * what the server itself says its replay took; the time from the start of the process until it was ready stands beside it.
 * After each replay all samples must be there. Memory while replaying is held against the peak while running.
 * (VictoriaMetrics has no log: what it held in memory is gone.)
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expectAllSamples } from "./support/count-samples.ts";
import { budgets, judge } from "./support/budgets.ts";
import type { Benchmark, BenchOptions, Row } from "./support/report.ts";
import { BenchServer, chosen, diskUse, prometheus, tsdb, withWorkspace, type Product } from "./support/servers.ts";
import { median } from "./support/statistics.ts";
import { prepare, sendAll } from "./support/write-load.ts";
import type { Workspace } from "../e2e/support/workspace.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import { SCRAPE_INTERVAL_MS, Workload } from "./workloads/write-requests.ts";

const TARGETS = 50;
const SCRAPES = 200;
const QUICK_SCRAPES = 20;
const SETTLE_MS = 3000;

interface Result extends Measured {
  /** CPU of a start with nothing to replay. */
  readonly emptyCpuSeconds: number;
}

interface Measured {
  readonly product: Product;
  readonly walBytes: number;
  readonly runningPeakBytes: number;
  readonly replays: readonly Replay[];
}

interface Replay {
  /** As the server logs it. */
  readonly seconds: number;
  readonly readySeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

export const replay: Benchmark = {
  name: "replay",
  question: "How fast is the write-ahead log read again after a crash?",
  run: (options) =>
    withWorkspace("replay", async (workspace) => {
      const scrapes = options.isQuick ? QUICK_SCRAPES : SCRAPES;
      const startMs = Date.now() - (scrapes + 4) * SCRAPE_INTERVAL_MS;
      const workload = new Workload({ population: nodeExporter, targetCount: TARGETS, startMs });
      const servers: BenchServer[] = [];
      const emptyCpu: number[] = [];
      for (const product of chosen([tsdb(), prometheus()], options.servers)) {
        const server = await BenchServer.start(product, workspace);
        emptyCpu.push(server.cpuSeconds());
        servers.push(server);
      }
      for (let scrape = 0; scrape < scrapes; scrape++) {
        const requests = workload.nextScrape({ samplesPerRequest: 1000 }).map(prepare).toArray();
        for (const { port } of servers) await sendAll(requests, { port, connections: options.connections });
        if ((scrape + 1) % 20 === 0) options.progress(`${scrape + 1} of ${scrapes} scrapes written`);
      }
      await sleep(SETTLE_MS);
      const results: Result[] = [];
      for (const [i, server] of servers.entries())
        results.push({ emptyCpuSeconds: emptyCpu[i]!, ...(await measure(server, workspace, workload, options)) });

      const sampleCount = scrapes * workload.seriesCount;
      const [ours, peer] = [results.find(({ product }) => !product.peer), results.find(({ product }) => product.peer)];
      const rate = (result: Result, cost: (replayed: Replay, of: Result) => number) =>
        sampleCount / median(result.replays.map((replayed) => cost(replayed, result)));
      const verdict = (what: string, cost: (replayed: Replay, of: Result) => number) =>
        ours && peer ? [judge(budgets.replay.Prometheus, what, rate(ours, cost), rate(peer, cost))] : [];
      return {
        sections: [
          { title: `${sampleCount / 1e6} M samples`, rows: results.map((result) => rowOf(result, sampleCount)) },
        ],
        verdicts: [
          ...verdict("time as logged", ({ seconds }) => seconds),
          ...verdict(
            "CPU, beyond an empty start",
            ({ cpuSeconds }, { emptyCpuSeconds }) => cpuSeconds - emptyCpuSeconds,
          ),
        ],
        notes: [`workload: ${workload.seriesCount} series, 1,000 samples a record, process killed; medians`],
      };
    }),
};

async function measure(
  running: BenchServer,
  workspace: Workspace,
  workload: Workload,
  { rounds, isQuick, progress }: BenchOptions,
): Promise<Measured> {
  const { product } = running;
  const runningPeakBytes = running.memory().peakRssBytes;
  const { walBytes } = diskUse(running);
  const replays: Replay[] = [];
  let server = running;
  for (let round = 0; round < (rounds ?? (isQuick ? 1 : 3)); round++) {
    await server.kill();
    server = await BenchServer.start(product, workspace);
    const cpuSeconds = server.cpuSeconds();
    const { peakRssBytes } = server.memory();
    const seconds = loggedReplaySeconds(server);
    progress(`${product.name} replayed in ${seconds} s, ready after ${server.startSeconds.toFixed(2)} s`);
    await expectAllSamples(server.url, workload);
    replays.push({ seconds, readySeconds: server.startSeconds, cpuSeconds, peakBytes: peakRssBytes });
  }
  await server.kill();
  return { product, walBytes, runningPeakBytes, replays };
}

/** What ours says in `duration_ms` of "replaying WAL", and Prometheus in `total_replay_duration`. */
function loggedReplaySeconds({ product, program }: BenchServer): number {
  if (product.peer === undefined) {
    const lines = program.log().split("\n");
    const line = lines.findLast((text) => text.includes('"replaying WAL"') && text.includes("duration_ms"));
    if (line === undefined) throw new Error("the log does not say how long replay took");
    return (JSON.parse(line) as { readonly duration_ms: number }).duration_ms / 1000;
  }
  const durations = [...program.log().matchAll(/total_replay_duration=(\S+)/g)];
  return goDurationSeconds(durations.at(-1)?.[1] ?? "");
}

/** A duration as Go prints it: 1m2.5s, 950.1ms. */
function goDurationSeconds(text: string): number {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, µs: 1e-6, ns: 1e-9 };
  const parts = [...text.matchAll(/([\d.]+)(h|ms|m|s|µs|ns)/g)];
  if (parts.length === 0) throw new Error(`"${text}" is not a duration`);
  return parts.reduce((seconds, [, number, unit]) => seconds + Number(number) * units[unit!]!, 0);
}

function rowOf({ product, walBytes, runningPeakBytes, replays, emptyCpuSeconds }: Result, sampleCount: number): Row {
  const of = (pick: (replayed: Replay) => number) => median(replays.map(pick));
  const seconds = of((replayed) => replayed.seconds);
  return {
    server: product.name,
    "M samples/s": sampleCount / seconds / 1e6,
    "replay s": seconds,
    "ready after s": of(({ readySeconds }) => readySeconds),
    "CPU s": of(({ cpuSeconds }) => cpuSeconds),
    "CPU s of an empty start": emptyCpuSeconds,
    "WAL B/sample": walBytes / sampleCount,
    "peak MB replaying": of(({ peakBytes }) => peakBytes) / 1e6,
    "peak MB running": runningPeakBytes / 1e6,
  };
}
