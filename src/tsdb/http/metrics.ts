/**
 * What /metrics shows. The rows of `metricRows` are the whole list of our own metrics, docs/reference/metrics.md is checked
 * against it; Node's default metrics come on top. Nothing is counted in prom-client: the hot paths add to plain numbers,
 * which are read when somebody scrapes. The names of Prometheus' mixin that cost nothing are served as aliases.
 */
import { Registry, collectDefaultMetrics } from "prom-client";
import type { Metric, OpenMetricsContentType } from "prom-client";
import type { DatabaseApi, DatabaseStats } from "../db.ts";
import type { JobCounts } from "../db/job-board.ts";
import { databaseStates } from "../db/states.ts";
import type { QueryPoolStats } from "../query/pool.ts";
import { DurationHistogram } from "./duration-histogram.ts";
import type { BuildInfo } from "./deps.ts";

/** What the HTTP side counts itself. */
export class HttpCounters {
  readonly insertDuration = new DurationHistogram([
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  ]);
  readonly queryDuration = new DurationHistogram([
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
  ]);
  /** Write requests refused before the database saw them, by reason. */
  readonly writesRefused = new Counts();
  readonly queries = new Counts();
  readonly queryErrors = new Counts();
  /** By route, then by status code. */
  readonly requests = new Map<string, Counts>();
  bodyBytesInFlight = 0;

  countRequest(route: string, status: number): void {
    let counts = this.requests.get(route);
    if (counts === undefined) this.requests.set(route, (counts = new Counts()));
    counts.add(String(status));
  }
}

/** Plain counters by one label. */
export class Counts {
  readonly #counts = new Map<string, number>();

  add(key: string, count = 1): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  [Symbol.iterator] = (): MapIterator<[string, number]> => this.#counts.entries();
}

/** Where the rows read from, once per scrape. */
export interface MetricSources {
  readonly stats: DatabaseStats;
  readonly database: DatabaseApi;
  readonly counters: HttpCounters;
  readonly pool: QueryPoolStats;
  readonly build: BuildInfo;
  readonly configLoaded: { readonly isSuccessful: boolean; readonly atMs: number };
}

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
  /** When it is not the metric's own name, as in a histogram. */
  readonly metricName?: string;
}

export interface MetricRow {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly help: string;
  /** A number, the samples of a metric with labels, or undefined when there is nothing to show. */
  readonly read: (sources: MetricSources, name: string) => number | readonly Sample[] | undefined;
}

const counter = (name: string, help: string, read: MetricRow["read"]): MetricRow => ({
  name,
  type: "counter",
  help,
  read,
});
const gauge = (name: string, help: string, read: MetricRow["read"]): MetricRow => ({ name, type: "gauge", help, read });
const histogram = (name: string, help: string, of: (sources: MetricSources) => DurationHistogram): MetricRow => ({
  name,
  type: "histogram",
  help,
  read: (sources) => of(sources).samples(name),
});

const byLabel = (label: string, counts: Iterable<readonly [string, number]>): Sample[] =>
  Array.from(counts, ([key, value]) => ({ labels: { [label]: key }, value }));

const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);

const ofJobs = ({ maintenance }: DatabaseStats, count: keyof JobCounts): Sample[] =>
  byLabel(
    "kind",
    Object.entries(maintenance.jobs).map(([kind, counts]) => [kind, counts[count]]),
  );

const oldest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

const buildInfo: MetricRow["read"] = ({ build }) => [
  { labels: { version: build.version, revision: build.revision, goversion: build.runtime }, value: 1 },
];

const walSyncSummary: MetricRow["read"] = ({ stats }, name) => [
  { metricName: `${name}_sum`, value: stats.walSyncSecondsTotal },
  { metricName: `${name}_count`, value: stats.walSyncsTotal },
];

export const metricRows: readonly MetricRow[] = [
  // Write path
  counter("tsdb_samples_ingested_total", "Samples stored.", ({ stats }) => stats.samplesIngestedTotal),
  counter(
    "tsdb_duplicate_samples_total",
    "Samples that repeated their series' newest one; accepted.",
    ({ stats }) => stats.duplicatesTotal,
  ),
  counter(
    "tsdb_late_samples_total",
    "Samples stored that were older than their series' newest one.",
    ({ stats }) => stats.lateSamplesTotal,
  ),
  histogram(
    "tsdb_insert_duration_seconds",
    "Time from a write request's whole body to its answer.",
    ({ counters }) => counters.insertDuration,
  ),
  counter(
    "tsdb_insert_errors_total",
    "Samples refused, by reason; and for the reasons that start with request_, write requests refused whole.",
    ({ stats, counters }) => [
      ...byLabel("reason", Object.entries(stats.rejectedTotal)),
      ...byLabel("reason", requestReasons(stats, counters)),
    ],
  ),
  gauge(
    "tsdb_write_body_bytes_in_flight",
    "Bytes of write requests being received or handled.",
    ({ counters }) => counters.bodyBytesInFlight,
  ),

  // Storage
  gauge("tsdb_head_series", "Series in the head.", ({ stats }) => stats.headSeries),
  gauge("tsdb_head_chunks", "Chunks of the head, open and full.", ({ stats }) => stats.headChunks),
  gauge("tsdb_head_memory_bytes", "Kernel memory in use by the head.", ({ stats }) => stats.headMemoryBytes),
  gauge("tsdb_head_late_samples", "Late samples in the head.", ({ stats }) => stats.headLateSamples),
  gauge("tsdb_head_min_time_seconds", "Oldest timestamp in the head.", ({ stats }) => seconds(stats.headMinTime)),
  gauge("tsdb_head_max_time_seconds", "Newest timestamp in the head.", ({ stats }) => seconds(stats.headMaxTime)),
  counter("tsdb_head_series_created_total", "Series created.", ({ stats }) => stats.seriesCreatedTotal),
  counter(
    "tsdb_head_chunks_written_total",
    "Full chunks appended to the head chunk files.",
    ({ stats }) => stats.chunksWrittenTotal,
  ),
  gauge("tsdb_head_chunk_files_bytes", "Size of the head chunk files.", ({ stats }) => stats.chunkFileBytes),
  gauge("tsdb_blocks_total", "Blocks on disk.", ({ stats }) => stats.maintenance.blocks),
  gauge("tsdb_blocks_bytes", "Size of the blocks.", ({ stats }) => stats.maintenance.blockBytes),
  gauge(
    "tsdb_blocks_with_tombstones",
    "Blocks of which something is deleted and still on disk.",
    ({ stats }) => stats.maintenance.blocksWithTombstones,
  ),
  gauge(
    "tsdb_blocks_damaged",
    "Blocks of which not all can be read; what can be is served.",
    ({ stats }) => stats.maintenance.blocksDamaged,
  ),
  gauge(
    "tsdb_blocks_quarantined",
    "Blocks that were found damaged and set aside.",
    ({ stats }) => stats.maintenance.blocksQuarantined,
  ),
  counter(
    "tsdb_blocks_scrubbed_total",
    "Blocks that were read through.",
    ({ stats }) => stats.maintenance.scrubbedTotal,
  ),
  counter("tsdb_maintenance_jobs_total", "Jobs that were done, by kind.", ({ stats }) => ofJobs(stats, "doneTotal")),
  counter("tsdb_maintenance_failures_total", "Jobs that failed, by kind.", ({ stats }) => ofJobs(stats, "failedTotal")),
  counter("tsdb_maintenance_seconds_total", "Time that jobs took, by kind.", ({ stats }) =>
    ofJobs(stats, "secondsTotal"),
  ),
  counter("tsdb_retention_deletions_total", "Blocks deleted, by the limit that they were past.", ({ stats }) =>
    byLabel("reason", Object.entries(stats.maintenance.retentionDeletionsTotal)),
  ),
  gauge(
    "tsdb_disk_free_bytes",
    "Free space on the volume of the data directory.",
    ({ stats }) => stats.disk?.freeBytes,
  ),
  gauge("tsdb_disk_total_bytes", "Size of the volume of the data directory.", ({ stats }) => stats.disk?.totalBytes),
  gauge(
    "tsdb_disk_reserve_bytes",
    "Space kept free: with less, no writes are taken.",
    ({ stats }) => stats.disk?.reserveBytes,
  ),
  gauge("tsdb_wal_size_bytes", "Size of the write-ahead log.", ({ stats }) => stats.walSizeBytes),
  gauge("tsdb_wal_segment", "Number of the segment being written.", ({ stats }) => stats.walSegment),
  counter("tsdb_wal_syncs_total", "fdatasync calls of the write-ahead log.", ({ stats }) => stats.walSyncsTotal),
  counter(
    "tsdb_wal_sync_failures_total",
    "fdatasync calls of the write-ahead log that failed.",
    ({ stats }) => stats.walSyncFailuresTotal,
  ),
  counter(
    "tsdb_wal_sync_seconds_total",
    "Time spent in fdatasync of the write-ahead log.",
    ({ stats }) => stats.walSyncSecondsTotal,
  ),
  counter(
    "tsdb_wal_written_bytes_total",
    "Bytes written to the write-ahead log.",
    ({ stats }) => stats.walBytesWrittenTotal,
  ),
  counter(
    "tsdb_wal_corruptions_total",
    "Damaged places found in the write-ahead log.",
    ({ stats }) => stats.walCorruptionsTotal,
  ),
  gauge("tsdb_wal_replay_duration_seconds", "How long the last replay took.", ({ stats }) => stats.replaySeconds),
  gauge("tsdb_state", "1 for the state that the database is in.", ({ database }) =>
    databaseStates.map((state) => ({ labels: { state }, value: database.state === state ? 1 : 0 })),
  ),

  // Query path
  counter("tsdb_queries_total", "Queries asked, by kind.", ({ counters }) => byLabel("kind", counters.queries)),
  histogram(
    "tsdb_query_duration_seconds",
    "Time from a query to the start of its answer, waiting included.",
    ({ counters }) => counters.queryDuration,
  ),
  counter("tsdb_query_errors_total", "Queries that failed, by error code.", ({ counters }) =>
    byLabel("code", counters.queryErrors),
  ),
  gauge("tsdb_queries_running", "Queries in a worker.", ({ pool }) => pool.running),
  gauge("tsdb_queries_waiting", "Queries that wait for a worker.", ({ pool }) => pool.waiting),
  counter("tsdb_query_workers_started_total", "Query workers started.", ({ pool }) => pool.workersStartedTotal),
  counter(
    "tsdb_query_workers_lost_total",
    "Query workers that died or had to be ended.",
    ({ pool }) => pool.workersLostTotal,
  ),

  // Process
  gauge(
    "tsdb_goroutines",
    "Active handles and timers: Node has no goroutines.",
    () => process.getActiveResourcesInfo().length,
  ),
  gauge(
    "tsdb_memory_alloc_bytes",
    "Memory in use: JavaScript heap, buffers, and the head's kernel memory.",
    ({ stats }) => {
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers + stats.headMemoryBytes;
    },
  ),
  gauge("tsdb_build_info", "1, with the version as labels.", buildInfo),
  counter("tsdb_http_requests_total", "HTTP requests answered, by route and status.", ({ counters }) =>
    requestSamples(counters),
  ),

  // What Prometheus' own dashboards and alerts read
  gauge("prometheus_build_info", "Alias of tsdb_build_info.", buildInfo),
  gauge("prometheus_tsdb_head_series", "Alias of tsdb_head_series.", ({ stats }) => stats.headSeries),
  gauge("prometheus_tsdb_head_chunks", "Alias of tsdb_head_chunks.", ({ stats }) => stats.headChunks),
  counter(
    "prometheus_tsdb_head_series_created_total",
    "Alias of tsdb_head_series_created_total.",
    ({ stats }) => stats.seriesCreatedTotal,
  ),
  counter("prometheus_tsdb_head_samples_appended_total", "Alias of tsdb_samples_ingested_total.", ({ stats }) => [
    { labels: { type: "float" }, value: stats.samplesIngestedTotal },
  ]),
  counter(
    "prometheus_tsdb_head_out_of_order_samples_appended_total",
    "Alias of tsdb_late_samples_total.",
    ({ stats }) => [{ labels: { type: "float" }, value: stats.lateSamplesTotal }],
  ),
  counter(
    "prometheus_tsdb_out_of_order_samples_total",
    'Alias of tsdb_insert_errors_total{reason="out_of_order"}.',
    ({ stats }) => [{ labels: { type: "float" }, value: stats.rejectedTotal["out_of_order"] ?? 0 }],
  ),
  counter(
    "prometheus_tsdb_too_old_samples_total",
    'Alias of tsdb_insert_errors_total{reason="too_old"}.',
    ({ stats }) => [{ labels: { type: "float" }, value: stats.rejectedTotal["too_old"] ?? 0 }],
  ),
  gauge("prometheus_tsdb_head_min_time_seconds", "Alias of tsdb_head_min_time_seconds.", ({ stats }) =>
    seconds(stats.headMinTime),
  ),
  gauge("prometheus_tsdb_head_max_time_seconds", "Alias of tsdb_head_max_time_seconds.", ({ stats }) =>
    seconds(stats.headMaxTime),
  ),
  gauge("prometheus_tsdb_lowest_timestamp_seconds", "Oldest timestamp stored.", ({ stats }) =>
    seconds(oldest(stats.maintenance.blockMinTime, stats.headMinTime)),
  ),
  gauge("prometheus_tsdb_blocks_loaded", "Alias of tsdb_blocks_total.", ({ stats }) => stats.maintenance.blocks),
  gauge(
    "prometheus_tsdb_storage_blocks_bytes",
    "Alias of tsdb_blocks_bytes.",
    ({ stats }) => stats.maintenance.blockBytes,
  ),
  counter(
    "prometheus_tsdb_compactions_total",
    'Alias of tsdb_maintenance_jobs_total{kind="compact"} and {kind="flush"} together, as Prometheus counts.',
    ({ stats }) => stats.maintenance.jobs.compact.doneTotal + stats.maintenance.jobs.flush.doneTotal,
  ),
  counter(
    "prometheus_tsdb_compactions_failed_total",
    "The same of tsdb_maintenance_failures_total.",
    ({ stats }) => stats.maintenance.jobs.compact.failedTotal + stats.maintenance.jobs.flush.failedTotal,
  ),
  counter(
    "prometheus_tsdb_time_retentions_total",
    'Alias of tsdb_retention_deletions_total{reason="age"}.',
    ({ stats }) => stats.maintenance.retentionDeletionsTotal.age,
  ),
  counter(
    "prometheus_tsdb_size_retentions_total",
    'Alias of tsdb_retention_deletions_total{reason="size"}.',
    ({ stats }) => stats.maintenance.retentionDeletionsTotal.size,
  ),
  gauge("prometheus_tsdb_wal_segment_current", "Alias of tsdb_wal_segment.", ({ stats }) => stats.walSegment),
  gauge("prometheus_tsdb_wal_storage_size_bytes", "Alias of tsdb_wal_size_bytes.", ({ stats }) => stats.walSizeBytes),
  counter(
    "prometheus_tsdb_wal_corruptions_total",
    "Alias of tsdb_wal_corruptions_total.",
    ({ stats }) => stats.walCorruptionsTotal,
  ),
  {
    name: "prometheus_tsdb_wal_fsync_duration_seconds",
    type: "summary",
    help: "Time spent in fdatasync of the write-ahead log, and how often.",
    read: walSyncSummary,
  },
  gauge(
    "prometheus_tsdb_data_replay_duration_seconds",
    "Alias of tsdb_wal_replay_duration_seconds.",
    ({ stats }) => stats.replaySeconds,
  ),
  gauge("prometheus_engine_queries", "Alias of tsdb_queries_running.", ({ pool }) => pool.running),
  gauge("prometheus_engine_queries_concurrent_max", "Query workers at most.", ({ pool }) => pool.size),
  gauge(
    "prometheus_config_last_reload_successful",
    "1 when the config in force is the newest that was given.",
    ({ configLoaded }) => Number(configLoaded.isSuccessful),
  ),
  gauge(
    "prometheus_config_last_reload_success_timestamp_seconds",
    "When the config in force was read.",
    ({ configLoaded }) => seconds(configLoaded.atMs),
  ),
];

function* requestReasons(stats: DatabaseStats, counters: HttpCounters): Generator<[string, number]> {
  for (const [reason, count] of Object.entries(stats.requestsRefusedTotal))
    yield [`request_${reason.toLowerCase()}`, count];
  for (const [reason, count] of counters.writesRefused) yield [`request_${reason}`, count];
}

const requestSamples = ({ requests }: HttpCounters): Sample[] =>
  [...requests].flatMap(([handler, codes]) =>
    Array.from(codes, ([code, value]) => ({ labels: { handler, code }, value })),
  );

/** Prints metrics in the format that an Accept header asks for. */
export class MetricsPage {
  readonly #text = new Registry();
  readonly #openMetrics = new Registry<OpenMetricsContentType>();
  readonly #sources: () => MetricSources;

  constructor(sources: () => MetricSources) {
    this.#sources = sources;
    this.#openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    collectDefaultMetrics({ register: this.#text });
    // Gauges whose names end like a counter's; tsdb_goroutines has their number.
    for (const kind of ["handles", "requests", "resources"])
      for (const name of [`nodejs_active_${kind}`, `nodejs_active_${kind}_total`]) this.#text.removeSingleMetric(name);
    for (const metric of this.#text.getMetricsAsArray()) this.#register(metric as unknown as PrintableMetric);
    let current: { readonly sources: MetricSources } | undefined;
    // All rows of one scrape read the same numbers.
    const once = (): MetricSources => {
      if (current === undefined) {
        current = { sources: this.#sources() };
        queueMicrotask(() => (current = undefined));
      }
      return current.sources;
    };
    for (const row of metricRows) this.#register(printable(row, once));
  }

  /** @param accept the request's Accept header */
  async print(accept: string | undefined): Promise<{ readonly contentType: string; readonly body: string }> {
    const registry = accept?.includes("application/openmetrics-text") ? this.#openMetrics : this.#text;
    return { contentType: registry.contentType, body: await registry.metrics() };
  }

  #register(metric: PrintableMetric): void {
    this.#text.registerMetric(metric as unknown as Metric);
    // An OpenMetrics registry cuts "_total" off the names of the counters it holds, so it gets objects of its own.
    const name = metric.type === "counter" ? metric.name.replace(/_total$/, "") : metric.name;
    const twin: PrintableMetric = { ...pick(metric), name, get: async () => ({ ...(await metric.get()), name }) };
    this.#openMetrics.registerMetric(twin as unknown as Metric);
  }
}

/** The part of prom-client's Metric that its Registry uses. */
interface PrintableMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  get(): Promise<object>;
}

const pick = ({ type, help }: PrintableMetric) => ({ type, help });

const printable = ({ name, type, help, read }: MetricRow, sources: () => MetricSources): PrintableMetric => ({
  name,
  type,
  help,
  async get() {
    const value = read(sources(), name);
    const samples = value === undefined ? [] : typeof value === "number" ? [{ value }] : value;
    return { name, type, help, values: samples.map((sample) => ({ labels: {}, ...sample })) };
  },
});
