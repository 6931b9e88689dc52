/**
 * A real Prometheus writes while the servers it writes to are stopped, killed and started again. Whatever it had to send
 * twice or late, in the end it has no sample that they lack, and they have none that it lacks.
 */
import { afterAll, afterEach, expect, test } from "vitest";
import { compare } from "./prometheus/compare.ts";
import { drained, remoteWriteConfig } from "./prometheus/recording.ts";
import { startSyntheticTarget } from "./prometheus/synthetic-target.ts";
import { ask } from "./support/http.ts";
import { freePort } from "./support/ports.ts";
import { startPrometheus } from "./support/prometheus.ts";
import { startTsdb } from "./support/tsdb.ts";
import type { Tsdb, TsdbOptions } from "./support/tsdb.ts";
import { sleep, until } from "./support/until.ts";
import { Workspace } from "./support/workspace.ts";

const workspace = new Workspace("restarts");
let failed = false;
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

const KILLS = 6;
/** Between a start and the next stop. */
const UPTIME_MS = 4000;

/** A server under one address for the whole test, whichever process it is. */
class RestartedServer {
  readonly options: TsdbOptions;
  #tsdb: Tsdb;
  private constructor(tsdb: Tsdb, options: TsdbOptions) {
    this.#tsdb = tsdb;
    this.options = options;
  }

  static async start(options: TsdbOptions): Promise<RestartedServer> {
    const withPort = { ...options, port: await freePort() };
    return new RestartedServer(await startTsdb(workspace, withPort), withPort);
  }

  get url(): string {
    return this.#tsdb.url;
  }

  async restart(signal: "SIGTERM" | "SIGKILL", downMs: number): Promise<void> {
    const exit = await this.#tsdb.program.stop(signal);
    const isAsAsked = signal === "SIGTERM" ? exit.code === 0 : exit.signal === signal;
    if (!isAsAsked) throw new Error(`${this.options.name} ended with ${JSON.stringify(exit)} after ${signal}`);
    await sleep(downMs);
    this.#tsdb = await startTsdb(workspace, this.options);
  }
}

test("no sample is lost or made up while the receiver is stopped and killed, in both sync modes", async () => {
  const target = await startSyntheticTarget();
  try {
    const servers = await Promise.all([
      RestartedServer.start({ name: "always", flags: ["--wal-sync=always"] }),
      RestartedServer.start({ name: "interval", flags: ["--wal-sync=interval", "--wal-sync-interval=300ms"] }),
    ]);
    const remoteWrites = remoteWriteConfig(servers.map(({ url }) => url));
    const prometheus = await startPrometheus(workspace, {
      config: (port) => remoteWrites + scrapeConfigs(target.address, port),
    });
    await until("the first scrapes", () => (target.beats > 4 ? true : undefined));
    for (let i = 0; i < KILLS; i++) {
      await sleep(UPTIME_MS + 500 * i);
      const signal = i % 3 === 0 ? "SIGTERM" : "SIGKILL";
      // Now and then it stays away long enough for the sender to back off.
      const downMs = i % 2 === 0 ? 0 : 2500;
      await Promise.all(servers.map((server) => server.restart(signal, downMs)));
    }
    await sleep(UPTIME_MS);
    await prometheus.reload(remoteWrites);
    const sampleCount = await drained(prometheus, { receiverCount: servers.length });

    const time = (Date.now() / 1000).toFixed(3);
    const queries = [`{job="synthetic"}[10m]`, `{job="prometheus"}[10m]`];
    for (const query of queries) {
      const request = { path: "/api/v1/query", parameters: [["query", query] as const, ["time", time] as const] };
      const theirs = await ask(prometheus.url, request);
      expect(theirs.status).toBe(200);
      for (const server of servers) {
        const { differences } = compare(theirs, await ask(server.url, request), false);
        expect(differences, `${query} on ${server.options.name}`).toEqual([]);
      }
    }
    console.log(`${KILLS} restarts of each of ${servers.length} servers, ${sampleCount} samples, 0 lost, 0 made up`);
  } finally {
    await target.close();
  }
});

/** With relabelling as people use it: what is dropped or renamed before it is stored is so on both sides. */
const scrapeConfigs = (target: string, port: number): string => `
scrape_configs:
  - job_name: synthetic
    scrape_interval: 250ms
    scrape_timeout: 250ms
    static_configs: [{ targets: ["${target}"] }]
    metric_relabel_configs:
      - { action: drop, source_labels: [__name__], regex: "synthetic_special" }
      - { action: replace, source_labels: [shard], target_label: part, replacement: "p-$1" }
      - { action: labeldrop, regex: shard }
  - job_name: prometheus
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{ targets: ["127.0.0.1:${port}"] }]
`;
