/**
 * A minute and a half of life that two servers know: a Prometheus that scrapes, and the server it writes to. Scraping has
 * stopped and everything is sent before anything is compared, so both have the same samples or one of them is wrong.
 */
import { metricsOf, sumOf } from "../support/http.ts";
import { startNodeExporter } from "../support/node-exporter.ts";
import { startPrometheus } from "../support/prometheus.ts";
import type { Prometheus } from "../support/prometheus.ts";
import { until } from "../support/until.ts";
import type { Workspace } from "../support/workspace.ts";
import { BEATS_MIN, startSyntheticTarget } from "./synthetic-target.ts";

export interface Recording {
  readonly prometheus: Prometheus;
  readonly moments: Moments;
  /** Samples that Prometheus has, and so has sent. */
  readonly sampleCount: number;
}

/** ms since the epoch */
export interface Moments {
  /** Just before anything is scraped. */
  readonly startMs: number;
  /** Just after the first scrape of the synthetic target. */
  readonly firstScrapeMs: number;
  /** When the synthetic target fails. */
  readonly outageMs: number;
  /** Just before scraping stops: the synthetic target has been scraped and shows all that it has. */
  readonly lastScrapeMs: number;
  /** After the last scrape and the stale markers that follow it. */
  readonly endMs: number;
}

/** @param receiverUrl the server that is written to */
export async function record(workspace: Workspace, receiverUrl: string): Promise<Recording> {
  const target = await startSyntheticTarget();
  try {
    const nodeExporter = await startNodeExporter(workspace);
    const startMs = Date.now();
    const prometheus = await startPrometheus(workspace, {
      config: (port) =>
        remoteWriteConfig([receiverUrl]) +
        scrapeConfigs({ synthetic: target.address, node: nodeExporter.address, self: `127.0.0.1:${port}` }),
    });
    await until("the first scrape", () => (target.beats > 0 ? true : undefined), SLOW);
    const firstScrapeMs = Date.now();
    await until("the outage of the target", () => (target.beats >= OUTAGE_BEAT ? true : undefined), SLOW);
    const outageMs = Date.now();
    await until("enough scrapes", () => (target.beats >= BEATS_MIN ? true : undefined), SLOW);
    const lastScrapeMs = Date.now();
    await prometheus.reload(remoteWriteConfig([receiverUrl]));
    const sampleCount = await drained(prometheus);
    const moments = { startMs, firstScrapeMs, outageMs, lastScrapeMs, endMs: Date.now() };
    return { prometheus, moments, sampleCount };
  } finally {
    await target.close();
  }
}

const OUTAGE_BEAT = 138;
const SLOW = { timeoutMs: 240_000 };

/** Writes to each of the servers. */
export const remoteWriteConfig = (receiverUrls: readonly string[]): string =>
  `\nremote_write:${receiverUrls
    .map(
      (url) => `
  - url: ${url}/api/v1/write
    queue_config:
      batch_send_deadline: 500ms
      min_backoff: 30ms
      max_backoff: 1s`,
    )
    .join("")}\n`;

interface Addresses {
  readonly synthetic: string;
  readonly node: string;
  readonly self: string;
}

// Four times a second, so that a minute fills chunks of 120 samples; what costs CPU is asked less often.
const scrapeConfigs = ({ synthetic, node, self }: Addresses): string => `
scrape_configs:
  - job_name: synthetic
    scrape_interval: 250ms
    scrape_timeout: 250ms
    static_configs: [{ targets: ["${synthetic}"], labels: { zone: "ä-1" } }]
  - job_name: other
    scrape_interval: 1s
    scrape_timeout: 1s
    metrics_path: /other
    static_configs: [{ targets: ["${synthetic}"] }]
  - job_name: gone
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{ targets: ["127.0.0.1:1"] }]
  - job_name: node
    scrape_interval: 2s
    scrape_timeout: 2s
    static_configs: [{ targets: ["${node}"] }]
  - job_name: prometheus
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{ targets: ["${self}"] }]
`;

/** Waits until nothing is appended any more and all that was appended is sent. @returns how many samples that are */
export async function drained({ url, program }: Prometheus, { receiverCount = 1 } = {}): Promise<number> {
  let appended = -1;
  let unchangedSince = performance.now();
  let unsettled = "";
  const probe = async (): Promise<number | undefined> => {
    const metrics = await metricsOf(url);
    const before = appended;
    appended = sumOf(metrics, "prometheus_tsdb_head_samples_appended_total");
    if (appended !== before) unchangedSince = performance.now();
    const count = (name: string) => sumOf(metrics, `prometheus_remote_storage_samples_${name}`);
    // Every attempt counts as sent, those that are repeated too.
    const settled = count("total") - count("retried_total") + count("dropped_total");
    const pending = count("pending");
    unsettled = `${appended} appended, ${settled} settled by ${receiverCount} receivers, ${pending} pending`;
    const isQuiet = performance.now() - unchangedSince > QUIET_MS;
    return isQuiet && pending === 0 && settled === receiverCount * appended ? appended : undefined;
  };
  try {
    return await program.whileRunning("remote write to drain", probe, DRAIN_TIMEOUT_MS);
  } catch (thrown) {
    throw new Error(`not everything was sent: ${unsettled}`, { cause: thrown });
  }
}

const DRAIN_TIMEOUT_MS = 120_000;
/** Longer than stale markers come after the last scrape: two intervals of the slowest job and a bit. */
const QUIET_MS = 6000;
