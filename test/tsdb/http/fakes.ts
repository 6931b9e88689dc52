/** A database and a query runner that do as a test says, and apps built on them. */
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { onTestFinished } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import type {
  AdminApi,
  CompactReport,
  DamageReport,
  DatabaseApi,
  DatabaseState,
  DatabaseStats,
  DeleteReport,
  DeleteRequest,
  KnownBlock,
  RetentionInForce,
  RunningJob,
  SnapshotReport,
} from "../../../src/tsdb/db.ts";
import type { RetentionChange } from "../../../src/tsdb/db/retention-policy.ts";
import type { DiskStatus, StateFacts } from "../../../src/tsdb/db/states.ts";
import { buildApp } from "../../../src/tsdb/http/app.ts";
import { HEAD_ONLY } from "../../../src/tsdb/storage.ts";
import { DEFAULT_HTTP_OPTIONS } from "../../../src/tsdb/http/deps.ts";
import type { AppDeps, ConfigView, HttpOptions } from "../../../src/tsdb/http/deps.ts";
import type { QueryAnswer, QueryPoolStats, QueryRunner, RunOptions } from "../../../src/tsdb/query/pool.ts";
import type { CardinalityStats, QueryJob } from "../../../src/tsdb/query/protocol.ts";
import type { JobCounts } from "../../../src/tsdb/db/job-board.ts";
import type { MissingRange, WriteRequest, WriteResult } from "../../../src/tsdb/storage.ts";

const noJobs: JobCounts = { doneTotal: 0, failedTotal: 0, canceledTotal: 0, secondsTotal: 0 };

export const emptyStats: DatabaseStats = {
  samplesIngestedTotal: 0,
  duplicatesTotal: 0,
  rejectedTotal: {},
  requestsRefusedTotal: {},
  headSeries: 0,
  headChunks: 0,
  headMinTime: undefined,
  headMaxTime: undefined,
  headMemoryBytes: 0,
  headLateSamples: 0,
  lateSamplesTotal: 0,
  seriesCreatedTotal: 0,
  walSizeBytes: 0,
  walSegment: 0,
  walSyncsTotal: 0,
  walSyncFailuresTotal: 0,
  walSyncSecondsTotal: 0,
  walBytesWrittenTotal: 0,
  walCorruptionsTotal: 0,
  chunksWrittenTotal: 0,
  chunkFileBytes: 0,
  replaySeconds: 0,
  maintenance: {
    blocks: 0,
    blockBytes: 0,
    blocksWithTombstones: 0,
    blocksDamaged: 0,
    blocksQuarantined: 0,
    blockMinTime: undefined,
    blockMaxTime: undefined,
    retentionDeletionsTotal: { age: 0, size: 0 },
    scrubbedTotal: 0,
    jobs: {
      flush: noJobs,
      compact: noJobs,
      delete: noJobs,
      snapshot: noJobs,
      verify: noJobs,
      remove: noJobs,
    },
  },
  disk: undefined,
};

export const cardinality: CardinalityStats = {
  seriesCount: 2,
  labelPairCount: 3,
  chunkCount: 4,
  minTime: 1000,
  maxTime: 2000,
  seriesCountByMetricName: [{ name: "up", value: 2 }],
  labelValueCountByLabelName: [],
  memoryInBytesByLabelName: [],
  seriesCountByLabelValuePair: [],
};

export class FakeAdmin implements AdminApi {
  isReadOnly = false;
  retention: RetentionInForce = {
    settings: { ageMs: 30 * 86_400_000, sizeBytesMax: 0, volumePercentMax: 0 },
    overridden: { ageMs: false, sizeBytesMax: false, volumePercentMax: false },
  };
  readonly retentionChanges: RetentionChange[] = [];
  blocks: KnownBlock[] = [];
  missing: MissingRange[] = [];
  jobs: RunningJob[] = [];
  readonly deletes: DeleteRequest[] = [];
  readonly snapshots: { readonly skipHead: boolean }[] = [];
  cleanings = 0;
  merges: CompactReport["merges"] = [];
  deleted: DeleteReport = { blocks: [], seriesCount: 0, sampleCount: 0, headSeriesCount: 0 };

  async compact(): Promise<CompactReport> {
    return { cut: [], merges: this.merges, deletedBlocks: 0 };
  }

  async deleteSeries(request: DeleteRequest): Promise<DeleteReport> {
    this.deletes.push(request);
    return this.deleted;
  }

  async cleanTombstones(): Promise<CompactReport> {
    this.cleanings++;
    return { cut: [], merges: [], deletedBlocks: 0 };
  }

  suspect(): void {}

  async snapshot(skipHead: boolean): Promise<SnapshotReport> {
    this.snapshots.push({ skipHead });
    return { name: "20260101T000000Z-0102030405060708", sizeBytes: 7 };
  }

  async setReadOnly(isReadOnly: boolean): Promise<void> {
    this.isReadOnly = isReadOnly;
  }

  async setRetention(change: RetentionChange): Promise<void> {
    this.retentionChanges.push(change);
  }
}

export class FakeDatabase implements DatabaseApi {
  state: DatabaseState = "writable";
  replay = { segmentsTotal: 4, segmentsDone: 1, bytesTotal: 400, bytesDone: 100, entries: 17, durationMs: 5 };
  isConfiguredReadOnly = false;
  damage: DamageReport[] = [];
  disk: DiskStatus | undefined;
  statistics: DatabaseStats = emptyStats;
  readonly writes: WriteRequest[] = [];
  answer: (request: WriteRequest) => Promise<WriteResult> = async () => ({
    accepted: 1,
    duplicates: 0,
    rejections: [],
  });

  get facts(): StateFacts {
    const { state, replay, disk } = this;
    const obstacles = {
      isFaulty: state === "readonly-fault",
      isDiskFull: state === "readonly-disk",
      isManual: state === "readonly-manual",
      isConfigured: this.isConfiguredReadOnly,
    };
    return { replay, obstacles, disk };
  }

  start = async (): Promise<void> => {};
  close = async (): Promise<void> => {};
  attach = (): undefined => undefined;
  detach = (): void => {};
  acquireView = () => ({ view: HEAD_ONLY, release: (): void => {} });
  stats = (): DatabaseStats => this.statistics;
  reconfigure = (): void => {};
  readonly admin = new FakeAdmin();

  write(request: WriteRequest): Promise<WriteResult> {
    this.writes.push({ format: request.format, body: Uint8Array.from(request.body) });
    return this.answer(request);
  }
}

export class FakeQueries implements QueryRunner {
  readonly jobs: QueryJob[] = [];
  readonly options: RunOptions[] = [];
  answer: (job: QueryJob, options: RunOptions) => Promise<QueryAnswer> = async () =>
    Buffer.from('{"status":"success","data":[]}');

  run(job: QueryJob, options: RunOptions): Promise<QueryAnswer> {
    this.jobs.push(job);
    this.options.push(options);
    return this.answer(job, options);
  }

  stats = (): QueryPoolStats => ({ size: 2, running: 1, waiting: 0, workersStartedTotal: 1, workersLostTotal: 0 });
}

export interface TestApp {
  readonly app: FastifyInstance;
  readonly database: FakeDatabase;
  readonly queries: FakeQueries;
  readonly config: { -readonly [Key in keyof ConfigView]: ConfigView[Key] };
}

export function fakeDeps(options: Partial<HttpOptions> = {}): AppDeps & Omit<TestApp, "app"> {
  return {
    database: new FakeDatabase(),
    queries: new FakeQueries(),
    clock: { ...systemClock, nowMs: () => 1_700_000_000_123 },
    log: silentLogger,
    build: { version: "0.1.0", revision: "abc", formatVersion: 1, runtime: "node v26" },
    config: {
      flags: () => ({ "data-dir": "./data" }),
      yaml: () => "storage:\n  data_dir: ./data\n",
      hash: () => "h4sh",
      fileHash: () => "f1le",
      origin: () => "default",
      isManaged: () => false,
      loaded: () => ({ isSuccessful: true, atMs: 1_700_000_000_000 }),
      reload: () => ({ applied: { "logging.level": "debug" }, needRestart: {} }),
    },
    runtime: {
      startedAtMs: 1_700_000_000_000,
      workingDir: "/",
      hostname: "host",
      walSync: "always",
    },
    options: { ...DEFAULT_HTTP_OPTIONS, ...options },
  };
}

export function testApp(options: Partial<HttpOptions> = {}): TestApp {
  const deps = fakeDeps(options);
  const app = buildApp(deps);
  onTestFinished(() => app.close());
  return { app, database: deps.database, queries: deps.queries, config: deps.config };
}

/** The parsed body of an answer; tests say what they expect of it. */
export const bodyOf = (response: { json(): unknown }): Record<string, unknown> =>
  response.json() as Record<string, unknown>;

/** The port of an app that listens. */
export async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: "127.0.0.1", port: 0 });
  return (app.server.address() as AddressInfo).port;
}
