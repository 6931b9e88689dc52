/** The database as others see it: options, states, and what it tells of itself. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Vfs } from "../../base/vfs.ts";
import type { HeadAttachment } from "../head/head-storage.ts";
import type { MaintenanceRunner } from "../maintenance/protocol.ts";
import type { MissingRange, WriteRequest, WriteResult } from "../storage.ts";
import type { RetentionChange, RetentionKey, RetentionSettings } from "./retention-policy.ts";
import type { KnownBlock } from "./block-set.ts";
import type { MergeReport } from "./compactor.ts";
import type { JobCounts, RunningJob } from "./job-board.ts";
import type { ReplayProgress } from "./replay.ts";
import type { DatabaseState, DiskStatus, StateFacts } from "./states.ts";
import type { HeldView } from "./views.ts";

export type { KnownBlock } from "./block-set.ts";
export type { RunningJob } from "./job-board.ts";
export type { RetentionChange } from "./retention-policy.ts";
export type { DatabaseState, StateFacts } from "./states.ts";

export interface DatabaseOptions {
  readonly dataDir: string;
  /** Default: `<dataDir>/wal`. */
  readonly walDir: string;
  readonly vfs: Vfs;
  readonly clock: Clock;
  readonly log: Logger;
  /** kernel/load.ts. */
  readonly kernel: WebAssembly.Module;
  /** 16 random bytes, for the hash of label sets. */
  readonly hashKeys: Uint8Array;
  readonly wal: {
    readonly enabled: boolean;
    readonly sync: "always" | "interval";
    readonly syncIntervalMs: number;
    readonly segmentBytesMax: number;
  };
  /** Size at which a new head chunk file is begun; 128 MiB when absent. */
  readonly chunkFileBytesMax?: number;
  /** As configured; what was set over the API goes before it. */
  readonly retention: RetentionSettings;
  /** Configured to take no writes; it may be made read-only over the API all the same. */
  readonly isReadOnly?: boolean;
  /** Space kept free on the volume; undefined: by its size. */
  readonly diskReserveBytes: number | undefined;
  /** How much older than the newest sample a late one may be; absent or 0: none is taken. */
  readonly outOfOrderWindowMs?: number;
  readonly maintenance: MaintenanceSettings;
  /** Runs what maintenance asks for; closed with the database. */
  readonly runner: MaintenanceRunner;
  /** So many random bytes. */
  readonly random: (count: number) => Uint8Array;
  /** Kernel memory the head may take; at or above it new series are refused. */
  readonly memtableBytesMax: number;
  readonly limits: {
    readonly bodyBytesMax: number; // compressed
    readonly decodedBytesMax: number;
    readonly seriesPerRequestMax: number;
    readonly labelsPerSeriesMax: number;
    readonly labelNameBytesMax: number;
    readonly labelValueBytesMax: number;
  };
}

/** What a reload of the configuration may change while the database runs. */
export type ReloadableOptions = Pick<DatabaseOptions, "retention" | "isReadOnly" | "diskReserveBytes" | "maintenance">;

export interface MaintenanceSettings {
  readonly compaction: {
    readonly enabled: boolean;
    /** Between two looks for blocks to merge or to delete. */
    readonly intervalMs: number;
    readonly concurrency: number;
  };
  /** Whether merged blocks may use the packed encoding. */
  readonly packed: boolean;
  /** In which every block is read through once; 0: never. */
  readonly scrubIntervalMs: number;
}

/** Damage that replay found and could not undo: what is lost, named. */
export interface DamageReport {
  readonly file: string;
  readonly offsetBytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly message: string;
}

/** Counters and gauges as plain numbers, copied into metrics at scrape time. */
export interface DatabaseStats {
  readonly samplesIngestedTotal: number;
  readonly duplicatesTotal: number;
  readonly rejectedTotal: Readonly<Record<string, number>>;
  readonly requestsRefusedTotal: Readonly<Record<string, number>>;
  readonly headSeries: number;
  readonly headChunks: number;
  readonly headMinTime: number | undefined;
  readonly headMaxTime: number | undefined;
  readonly headMemoryBytes: number;
  /** Samples out of order: in the head now, and taken since the start. */
  readonly headLateSamples: number;
  readonly lateSamplesTotal: number;
  readonly seriesCreatedTotal: number;
  readonly walSizeBytes: number;
  readonly walSegment: number;
  readonly walSyncsTotal: number;
  readonly walSyncFailuresTotal: number;
  readonly walSyncSecondsTotal: number;
  readonly walBytesWrittenTotal: number;
  readonly walCorruptionsTotal: number;
  readonly chunksWrittenTotal: number;
  readonly chunkFileBytes: number;
  readonly replaySeconds: number;
  readonly maintenance: MaintenanceStats;
  /** Undefined where the system does not tell. */
  readonly disk: DiskStatus | undefined;
}

/** The database as HTTP and main see it. */
export interface DatabaseApi {
  readonly state: DatabaseState;
  /** What the text of a state speaks of (db/states.ts). */
  readonly facts: StateFacts;
  readonly replay: ReplayProgress;
  readonly damage: readonly DamageReport[];
  /** Opens, replays, and resolves when writable. Probes and status work meanwhile. */
  start(): Promise<void>;
  /** Refuses new writes, syncs, closes. Idempotent. */
  close(): Promise<void>;
  /**
   * @throws TsdbError BAD_REQUEST, BODY_TOO_LARGE, OVERLOADED, NOT_READY, READ_ONLY; nothing of the request is then
   * promised (after OVERLOADED and READ_ONLY some of it may be stored)
   */
  write(request: WriteRequest): Promise<WriteResult>;
  /** A free reader slot for a query worker; undefined when all are taken. */
  attach(): HeadAttachment | undefined;
  /** Frees the slot of a worker that ended, so that nothing waits for it. */
  detach(slot: number): void;
  /** What a query sees that begins now; to be released when it has ended. */
  acquireView(): HeldView;
  stats(): DatabaseStats;
  reconfigure(options: ReloadableOptions): void;
  readonly admin: AdminApi;
}

/** What an operator may ask of a database that is open. @throws TsdbError NOT_READY while it is not */
export interface AdminApi {
  /** Takes no writes until `setReadOnly(false)`, restarts included. */
  setReadOnly(isReadOnly: boolean): Promise<void>;
  readonly retention: RetentionInForce;
  /** In force at once and over a restart, until the configuration says something else. */
  setRetention(change: RetentionChange): Promise<void>;
  readonly blocks: readonly KnownBlock[];
  /** Blocks that are set aside as damaged. */
  readonly missing: readonly MissingRange[];
  readonly jobs: readonly RunningJob[];
  /** @throws TsdbError READ_ONLY while the database is read-only by hand, as the others that change blocks */
  compact(): Promise<CompactReport>;
  /** @throws TsdbError BAD_QUERY when a selector does not parse */
  deleteSeries(request: DeleteRequest): Promise<DeleteReport>;
  cleanTombstones(): Promise<CompactReport>;
  snapshot(skipHead: boolean): Promise<SnapshotReport>;
  /** A query found this block damaged: it is verified, and set aside if that is so. */
  suspect(ulid: string): void;
}

export interface DeleteRequest {
  /** As they were given. */
  readonly selectors: readonly string[];
  /** Inclusive, ms. */
  readonly mint: number;
  readonly maxt: number;
  /** Counts, and changes nothing. */
  readonly isDryRun: boolean;
}

export interface DeleteReport {
  /** ULIDs of the blocks that have something of it. */
  readonly blocks: readonly string[];
  /** In blocks. */
  readonly seriesCount: number;
  readonly sampleCount: number;
  /** Series of the head that match and may have samples in the range. */
  readonly headSeriesCount: number;
}

export interface CompactReport {
  /** ULIDs of blocks that were cut from the head. */
  readonly cut: readonly string[];
  readonly merges: readonly MergeReport[];
  /** Past the retention. */
  readonly deletedBlocks: number;
}

export interface SnapshotReport {
  /** Of the directory under `<data>/snapshots/`. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface MaintenanceStats {
  readonly blocks: number;
  readonly blockBytes: number;
  readonly blocksWithTombstones: number;
  readonly blocksDamaged: number;
  readonly blocksQuarantined: number;
  readonly blockMinTime: number | undefined;
  readonly blockMaxTime: number | undefined;
  readonly retentionDeletionsTotal: { readonly age: number; readonly size: number };
  readonly scrubbedTotal: number;
  readonly jobs: Readonly<Record<"flush" | "compact" | "delete" | "snapshot" | "verify" | "remove", JobCounts>>;
}

export interface RetentionInForce {
  readonly settings: RetentionSettings;
  /** Which of them were set over the API. */
  readonly overridden: Readonly<Record<RetentionKey, boolean>>;
}
