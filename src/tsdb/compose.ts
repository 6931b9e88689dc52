/** Puts a database, its query workers and its HTTP apps together as a configuration says; opens and listens to nothing. */
import type { FastifyInstance } from "fastify";
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path/posix";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { formatDurationMs } from "../base/duration.ts";
import type { Logger } from "../base/logger.ts";
import { realVfs } from "../base/vfs.ts";
import { formatOrigin, toYaml, type Config, type ConfigInForce, type SettingValue } from "./config.ts";
import { Database, type DatabaseApi, type DatabaseState, type ReloadableOptions } from "./db.ts";
import { buildApp } from "./http/app.ts";
import { buildProbeApp } from "./http/probe.ts";
import type { AppDeps, ConfigView, HttpOptions } from "./http/deps.ts";
import { loadKernelModule } from "./kernel/load.ts";
import { ThreadRunner } from "./maintenance/runner-threads.ts";
import { QueryPool } from "./query/pool.ts";
import { FORMAT_VERSION, revision, version } from "./version.ts";

export interface Composition {
  readonly database: DatabaseApi;
  readonly app: FastifyInstance;
  readonly probeApp: FastifyInstance;
  readonly lifecycle: Lifecycle;
  readonly closeQueries: () => Promise<void>;
}

/** Whether the process is on its way out: requests in flight still reach the database then, new ones do not. */
export interface Lifecycle {
  stop(): void;
}

export interface CompositionDeps {
  readonly live: ConfigInForce;
  readonly log: Logger;
  readonly clock: Clock;
}

const MiB = 1024 * 1024;

export function compose({ live, log, clock }: CompositionDeps): Composition {
  const { config } = live.current;
  const kernel = loadKernelModule();
  const runner = new ThreadRunner({
    entry: new URL("./maintenance/worker.ts", import.meta.url),
    module: kernel,
    dataDir: config.storage.dataDir,
    // Threads are started when they are needed: how many merges run at once is for the database to say.
    concurrency: 64,
    heapMegabytesMax: 512,
    stopGraceMs: 5_000,
    idleMsMax: 60_000,
    clock,
    log,
  });
  const database = new Database({
    dataDir: config.storage.dataDir,
    walDir: config.wal.dir,
    vfs: realVfs,
    clock,
    log,
    kernel,
    hashKeys: randomBytes(16),
    random: randomBytes,
    runner,
    wal: config.wal,
    ...reloadableOptions(config),
    outOfOrderWindowMs: config.storage.outOfOrderWindowMs,
    memtableBytesMax: config.storage.memtableBytesMax,
    limits: config.limits,
  });
  const queries = new QueryPool({
    entry: new URL("./query/worker.ts", import.meta.url),
    size: config.query.concurrencyMax,
    queueLengthMax: 20 * config.query.concurrencyMax,
    queueWaitMsMax: 10_000,
    writeTimeoutMs: config.server.writeTimeoutMs,
    stopGraceMs: 2_000,
    heapMegabytesMax: Math.max(64, config.query.memoryBytesMax / MiB),
    limits: {
      samplesMax: config.query.samplesMax,
      seriesMax: config.query.seriesMax,
      memoryBytesMax: config.query.memoryBytesMax,
    },
    blocks: {
      dir: join(config.storage.dataDir, "blocks"),
      cacheBytesMax: Math.max(8 * MiB, (256 * MiB) / config.query.concurrencyMax),
    },
    attach: () => database.attach(),
    detach: (slot) => database.detach(slot),
    acquireView: () => database.acquireView(),
    onDamage: (ulid) => database.admin.suspect(ulid),
    clock,
    log,
  });

  live.onReload((next) => database.reconfigure(reloadableOptions(next)));
  let isStopping = false;
  const deps: AppDeps = {
    database: servedDatabase(database, () => isStopping),
    queries,
    clock,
    log,
    build: { version, revision, formatVersion: FORMAT_VERSION, runtime: `node ${process.version}` },
    config: configView(live),
    runtime: {
      startedAtMs: clock.nowMs(),
      workingDir: process.cwd(),
      hostname: hostname(),
      walSync: walSyncText(config.wal),
    },
    options: httpOptions(config),
  };
  return {
    database,
    app: buildApp(deps),
    probeApp: buildProbeApp(deps),
    lifecycle: { stop: () => void (isStopping = true) },
    closeQueries: () => queries.close(),
  };
}

/** The database as HTTP sees it: "stopping" from the first signal on, while the database itself still ends its work. */
function servedDatabase(database: DatabaseApi, isStopping: () => boolean): DatabaseApi {
  const stateNow = (): DatabaseState => (isStopping() && database.state !== "stopped" ? "stopping" : database.state);
  return {
    get state() {
      return stateNow();
    },
    get facts() {
      return database.facts;
    },
    get replay() {
      return database.replay;
    },
    get damage() {
      return database.damage;
    },
    start: () => database.start(),
    close: () => database.close(),
    write: (request) => database.write(request),
    attach: () => database.attach(),
    detach: (slot) => database.detach(slot),
    acquireView: () => database.acquireView(),
    stats: () => database.stats(),
    reconfigure: (options) => database.reconfigure(options),
    get admin() {
      return database.admin;
    },
  };
}

const reloadableOptions = ({ storage, compaction }: Config): ReloadableOptions => ({
  retention: {
    ageMs: storage.retentionMs,
    sizeBytesMax: storage.retentionBytesMax,
    volumePercentMax: storage.retentionPercentMax,
  },
  isReadOnly: storage.isReadOnly,
  diskReserveBytes: storage.diskReserveBytes === "auto" ? undefined : storage.diskReserveBytes,
  maintenance: {
    compaction,
    packed: storage.packed === "on",
    scrubIntervalMs: storage.scrubIntervalMs,
  },
});

const configView = (live: ConfigInForce): ConfigView => ({
  flags: () => Object.fromEntries(live.current.values.map(({ setting, text }) => [setting.flag, text])),
  yaml: () => toYaml(live.current.values),
  hash: () => live.current.hash,
  fileHash: () => live.current.fileHash,
  origin(key) {
    const found = live.current.values.find(({ setting }) => setting.key === key);
    assert(found !== undefined, "there is such a setting");
    return formatOrigin(found.origin);
  },
  isManaged: () => live.current.config.root.isManaged,
  loaded: () => ({ isSuccessful: live.current.isNewest, atMs: live.current.atMs }),
  reload() {
    const { applied, needRestart } = live.reload();
    return { applied: valuesByKey(applied), needRestart: valuesByKey(needRestart) };
  },
});

const valuesByKey = (values: readonly SettingValue[]): Readonly<Record<string, string>> =>
  Object.fromEntries(values.map(({ setting, text }) => [setting.key, text]));

const httpOptions = ({ server, limits, query, metrics }: Config): HttpOptions => ({
  server,
  bodyBytesMax: limits.bodyBytesMax,
  // Room for a few of the largest requests at once, and for many of the usual size.
  bodyBytesInFlightMax: Math.max(64 * MiB, 4 * limits.bodyBytesMax),
  query: {
    timeoutMs: query.timeoutMs,
    lookbackDeltaMs: query.lookbackDeltaMs,
    textBytesMax: 16 * 1024,
    pointsMax: query.pointsMax,
  },
  metricsPath: metrics.enabled ? metrics.path : undefined,
});

function walSyncText({ enabled, sync, syncIntervalMs }: Config["wal"]): string {
  if (!enabled) return "off";
  return sync === "always" ? "always" : `interval ${formatDurationMs(syncIntervalMs)}`;
}
