/**
 * Every setting of `tsdb start`, once: where it stands in the file, its flag, its default, what it does. The variable of a
 * flag follows from it: --data-dir is TSDB_DATA_DIR. Everything else about configuration (the Config type, the command
 * line, the checks, docs/reference/configuration.md) is made from this table.
 *
 * No flag may be called `port`, `service-...` or `port-...`: in Kubernetes a Service named tsdb puts TSDB_PORT,
 * TSDB_SERVICE_HOST and their like into the environment of every pod.
 */
import {
  directory,
  durationMs,
  durationMsOrNone,
  httpPath,
  listenAddress,
  oneOf,
  optionalListenAddress,
  sizeBytes,
  sizeBytesOrAuto,
  trueOrFalse,
  wholeNumber,
  type Kind,
} from "./kinds.ts";

export interface Setting<T> {
  readonly kind: Kind<T>;
  /** Section and key in the YAML file; a key alone stands in no section. */
  readonly key: string;
  /** Name on the command line, without dashes. */
  readonly flag: string;
  /** As a user would write it; or where it comes from. */
  readonly default: string | DerivedDefault;
  readonly description: string;
  /** Whether SIGHUP applies a changed value; otherwise the process must be restarted. */
  readonly reloadable: boolean;
}

export interface DerivedDefault {
  /** In words, for help and reference. */
  readonly says: string;
  from(given: DefaultSource): string;
}
export interface DefaultSource extends Surroundings {
  readonly dataDir: string;
}
/** Where the process runs. */
export interface Surroundings {
  readonly coreCount: number;
  /** Whether a person reads its output. */
  readonly isTerminal: boolean;
}

const setting = <T>(
  kind: Kind<T>,
  key: string,
  flag: string,
  standard: string | DerivedDefault,
  description: string,
): Setting<T> => ({
  kind,
  key,
  flag,
  default: standard,
  description,
  reloadable: false,
});
const reloadable = <T>(given: Setting<T>): Setting<T> => ({ ...given, reloadable: true });

const sizeOfRequest = sizeBytes("1KiB", "1GiB");
const count = wholeNumber(1, 1_000_000_000);

export const settings = {
  server: {
    listen: setting(
      listenAddress,
      "server.listen",
      "listen",
      ":8080",
      "Address of the HTTP API; an empty host means all interfaces",
    ),
    probeListen: setting(
      optionalListenAddress,
      "server.probe_listen",
      "probe-listen",
      ":8081",
      'Address that serves only /-/healthy, /-/ready and /-/state; "" disables it',
    ),
    readTimeoutMs: setting(
      durationMs,
      "server.read_timeout",
      "read-timeout",
      "30s",
      "Time a client may take to send a request",
    ),
    writeTimeoutMs: setting(
      durationMs,
      "server.write_timeout",
      "write-timeout",
      "30s",
      "Time a client may stop taking an answer before it is cut off",
    ),
    connectionsMax: setting(
      wholeNumber(1, 1_000_000),
      "server.max_connections",
      "max-connections",
      "512",
      "Connections that may be open at once",
    ),
  },
  storage: {
    dataDir: setting(
      directory,
      "storage.data_dir",
      "data-dir",
      "./data",
      "Data directory; one process at a time holds it",
    ),
    retentionMs: reloadable(
      setting(
        durationMs,
        "storage.retention",
        "retention",
        "30d",
        "Samples older than this are deleted, block by block, and refused when written",
      ),
    ),
    retentionBytesMax: reloadable(
      setting(
        sizeBytes("0", "1024TiB"),
        "storage.retention_size",
        "retention-size",
        "0",
        "Bytes that all data may take; beyond it the oldest blocks are deleted; 0 is no limit",
      ),
    ),
    retentionPercentMax: reloadable(
      setting(
        wholeNumber(0, 100),
        "storage.retention_percent",
        "retention-percent",
        "0",
        "Percent of the volume that all data may take; beyond it the oldest blocks are deleted; 0 is no limit",
      ),
    ),
    diskReserveBytes: reloadable(
      setting(
        sizeBytesOrAuto,
        "storage.disk_reserve",
        "disk-reserve",
        "auto",
        "Space kept free on the volume; with less, writes get 503 until there is more; `auto` is 5 % of the volume, from 64MiB to 1GiB",
      ),
    ),
    isReadOnly: reloadable(
      setting(
        trueOrFalse,
        "storage.read_only",
        "read-only",
        "false",
        "Take no writes; queries are answered, and files are left alone",
      ),
    ),
    outOfOrderWindowMs: setting(
      durationMsOrNone,
      "storage.out_of_order_window",
      "out-of-order-window",
      "24h",
      "How far behind the newest sample a late one may be; 0 refuses all that are older than their series' newest",
    ),
    packed: reloadable(
      setting(
        oneOf("on", "off"),
        "storage.packed",
        "packed",
        "on",
        "Whether merged blocks may use the packed encoding, which other programs do not read; snapshots never do",
      ),
    ),
    scrubIntervalMs: reloadable(
      setting(
        durationMsOrNone,
        "storage.scrub_interval",
        "scrub-interval",
        "24h",
        "How often every block is read and checked against its checksums; 0 is never",
      ),
    ),
    memtableBytesMax: setting(
      sizeBytes("4MiB", "3.5GiB"),
      "storage.memtable_size",
      "memtable-size",
      "256MB",
      "Memory that the newest samples may take; at this size new series get 503 and known series go on",
    ),
  },
  wal: {
    enabled: setting(
      trueOrFalse,
      "wal.enabled",
      "wal-enabled",
      "true",
      "Write-ahead log; without it a crash loses what is only in memory",
    ),
    dir: setting(
      directory,
      "wal.dir",
      "wal-dir",
      { says: "`wal` in the data directory", from: ({ dataDir }) => `${dataDir.replace(/\/+$/, "")}/wal` },
      "Directory of the write-ahead log",
    ),
    segmentBytesMax: setting(
      sizeBytes("1MiB", "1GiB"),
      "wal.segment_size",
      "wal-segment-size",
      "128MB",
      "Size at which a new segment of the log is begun",
    ),
    sync: setting(
      oneOf("always", "interval"),
      "wal.sync",
      "wal-sync",
      "always",
      "When a write is answered: `always` once it is on disk, `interval` at once (a power cut may lose the last wal.sync_interval)",
    ),
    syncIntervalMs: setting(
      durationMs,
      "wal.sync_interval",
      "wal-sync-interval",
      "1s",
      "Time between two syncs when wal.sync is `interval`",
    ),
  },
  compaction: {
    enabled: reloadable(
      setting(
        trueOrFalse,
        "compaction.enabled",
        "compaction-enabled",
        "true",
        "Merge blocks in the background; without it they are merged only when POST /api/v1/admin/compact asks for it",
      ),
    ),
    intervalMs: reloadable(
      setting(
        durationMs,
        "compaction.interval",
        "compaction-interval",
        "5m",
        "Time between two looks for blocks to merge or to delete",
      ),
    ),
    concurrency: reloadable(
      setting(
        wholeNumber(1, 64),
        "compaction.concurrency",
        "compaction-concurrency",
        "1",
        "Merges that may run at once",
      ),
    ),
  },
  query: {
    timeoutMs: setting(durationMs, "query.timeout", "query-timeout", "2m", "Time after which a query is stopped"),
    concurrencyMax: setting(
      wholeNumber(1, 1024),
      "query.max_concurrency",
      "query-max-concurrency",
      { says: "number of cores", from: ({ coreCount }) => String(coreCount) },
      "Queries that run at once; more wait their turn",
    ),
    samplesMax: setting(
      count,
      "query.max_samples",
      "query-max-samples",
      "50000000",
      "Samples one query may hold in memory",
    ),
    seriesMax: setting(count, "query.max_series", "query-max-series", "100000", "Series one query may select"),
    memoryBytesMax: setting(
      sizeBytes("16MiB", "3.5GiB"),
      "query.max_memory",
      "query-max-memory",
      "256MB",
      "Memory one query may take",
    ),
    lookbackDeltaMs: setting(
      durationMs,
      "query.lookback_delta",
      "query-lookback-delta",
      "5m",
      "How far back an instant selector looks for a sample",
    ),
    pointsMax: setting(count, "query.max_points", "query-max-points", "11000", "Steps a range query may have"),
  },
  limits: {
    bodyBytesMax: setting(
      sizeOfRequest,
      "limits.max_body_size",
      "max-body-size",
      "8MiB",
      "Size of a write request as it is sent (compressed)",
    ),
    decodedBytesMax: setting(
      sizeOfRequest,
      "limits.max_decoded_size",
      "max-decoded-size",
      "32MiB",
      "Size of a write request once decompressed",
    ),
    seriesPerRequestMax: setting(
      wholeNumber(1, 50_000),
      "limits.max_series_per_request",
      "max-series-per-request",
      "50000",
      "Series in one write request",
    ),
    labelsPerSeriesMax: setting(
      wholeNumber(1, 1000),
      "limits.max_labels_per_series",
      "max-labels-per-series",
      "40",
      "Labels of one series, its name included",
    ),
    labelNameBytesMax: setting(
      wholeNumber(1, 65_535),
      "limits.max_label_name_length",
      "max-label-name-length",
      "256",
      "Bytes in a label name",
    ),
    labelValueBytesMax: setting(
      wholeNumber(1, 65_535),
      "limits.max_label_value_length",
      "max-label-value-length",
      "4096",
      "Bytes in a label value",
    ),
  },
  logging: {
    level: reloadable(
      setting(
        oneOf("debug", "info", "warn", "error"),
        "logging.level",
        "log-level",
        "info",
        "Least serious messages that are logged",
      ),
    ),
    format: setting(
      oneOf("json", "text"),
      "logging.format",
      "log-format",
      { says: "`json`, on a terminal `text`", from: ({ isTerminal }) => (isTerminal ? "text" : "json") },
      "`json`: one object a line; `text`: for people",
    ),
    output: setting(oneOf("stdout", "stderr"), "logging.output", "log-output", "stdout", "Where the log goes"),
  },
  metrics: {
    enabled: setting(trueOrFalse, "metrics.enabled", "metrics-enabled", "true", "Serve the database's own metrics"),
    path: setting(httpPath, "metrics.path", "metrics-path", "/metrics", "Path of the database's own metrics"),
  },
  /** Keys that stand in no section. */
  root: {
    isManaged: reloadable(
      setting(
        trueOrFalse,
        "managed",
        "managed",
        "false",
        "Settings come from this file alone: POST /api/v1/admin/retention answers 409 and names the key to change",
      ),
    ),
  },
};

type Settings = typeof settings;
type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** The configuration in force. */
export type Config = {
  readonly [Section in keyof Settings]: {
    readonly [Name in keyof Settings[Section]]: ValueOf<Settings[Section][Name]>;
  };
};

export interface NamedSetting extends Setting<unknown> {
  /** Where the value stands in a Config. */
  readonly section: string;
  readonly name: string;
}

/** All settings in the order of the table. */
export const allSettings: readonly NamedSetting[] = Object.entries(settings).flatMap(([section, ofSection]) =>
  Object.entries<Setting<unknown>>(ofSection).map(([name, given]) => ({ ...given, section, name })),
);

/** The environment variable of a setting. */
export const variableOf = ({ flag }: { readonly flag: string }): string =>
  `TSDB_${flag.toUpperCase().replaceAll("-", "_")}`;

/** A default as help and reference show it. */
export const defaultText = (given: Setting<unknown>): string =>
  typeof given.default === "string" ? given.default : given.default.says;
