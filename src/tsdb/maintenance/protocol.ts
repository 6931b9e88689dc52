/**
 * What can be asked of maintenance: the work on blocks that is too long for the main thread. A job is plain, cloneable data,
 * so that it can be sent to a worker; what it answers is too.
 *
 * A job never deletes what others may read. It writes whole new blocks (or replaces a tombstones file) and answers with what
 * it made; the main thread then publishes a view that has the new and lacks the old, and asks for the removal of the old
 * once nobody reads it.
 */
import type { BlockDamage } from "../block/damages.ts";
import type { BlockMeta } from "../block/meta.ts";
import type { HeadAttachment } from "../head/head-storage.ts";
import type { MissingRange } from "../storage.ts";

export type MaintenanceJob =
  /** Looks at the blocks directory: removes half-made and half-removed blocks, opens the others. */
  | { readonly kind: "load" }
  | FlushJob
  | CompactJob
  | DeleteJob
  | SnapshotJob
  /** Reads every byte of a block and checks it against its checksums, manifest and itself. */
  | { readonly kind: "verify"; readonly ulid: string }
  /** Moves a block to `quarantine/` with a file that says why. */
  | { readonly kind: "quarantine"; readonly ulid: string; readonly reason: string }
  | { readonly kind: "remove"; readonly ulids: readonly string[] };

/** Brings what the head has before a time to blocks, one for each range that it touches. */
export interface FlushJob {
  readonly kind: "flush";
  readonly head: HeadAttachment;
  /** Exclusive, ms. */
  readonly beforeMs: number;
  /** Late samples and deletes of later WAL records are left for the next flush. */
  readonly sequence: number;
  readonly blockRangeMs: number;
  /** Of the volume, left alone. */
  readonly reserveBytes: number;
}

/** Merges blocks into one, without what their tombstones hide; a single source is written anew for that alone. */
export interface CompactJob {
  readonly kind: "compact";
  /** In the order in which their samples count: the first has its way (compareBlocks in compact/plan.ts). */
  readonly sources: readonly string[];
  /** Whether float chunks may be packed, as far as it pays. */
  readonly packed: boolean;
  readonly reserveBytes: number;
}

/** Marks samples of blocks as deleted, and finds the series of the head that match: there the main thread deletes. */
export interface DeleteJob {
  readonly kind: "delete";
  /** Absent: blocks only. */
  readonly head?: HeadAttachment;
  readonly ulids: readonly string[];
  /** Series selectors as they were given. */
  readonly selectors: readonly string[];
  /** Inclusive, ms. */
  readonly mint: number;
  readonly maxt: number;
  /** Counts, and changes nothing. */
  readonly isDryRun: boolean;
}

/** Copies blocks, and what the head has, to a directory that an unmodified Prometheus opens. */
export interface SnapshotJob {
  readonly kind: "snapshot";
  /** Of the directory under `<data>/snapshots/`. */
  readonly name: string;
  readonly ulids: readonly string[];
  /** Absent: blocks only. */
  readonly head: Omit<FlushJob, "kind"> | undefined;
  readonly reserveBytes: number;
}

export interface LoadedBlock {
  readonly meta: BlockMeta;
  readonly sizeBytes: number;
  /** Whether some of its samples are deleted and still there. */
  readonly hasTombstones: boolean;
  /** Why not all of it can be read: queries are warned of what they miss, and it is merged with nothing. */
  readonly damage?: string | undefined;
}

export interface JobResults {
  readonly load: {
    readonly blocks: readonly LoadedBlock[];
    /** All that lie in `quarantine/`, those that were moved there just now and those from before. */
    readonly quarantined: readonly MissingRange[];
  };
  readonly flush: { readonly blocks: readonly LoadedBlock[] };
  /** No block when nothing was left. */
  readonly compact: { readonly block: LoadedBlock | undefined };
  readonly delete: {
    /** Blocks whose tombstones were replaced; in a dry run, that would be. */
    readonly ulids: readonly string[];
    readonly seriesCount: number;
    readonly sampleCount: number;
    /** Series of the head that match and may have samples in the range. */
    readonly headRefs: Uint32Array;
  };
  readonly snapshot: { readonly name: string; readonly sizeBytes: number };
  readonly verify: { readonly damages: readonly BlockDamage[]; readonly bytesRead: number };
  /** The range is the widest possible where the block's meta.json cannot be read. */
  readonly quarantine: MissingRange;
  readonly remove: undefined;
}

export type JobKind = MaintenanceJob["kind"];
export type JobOf<K extends JobKind> = Extract<MaintenanceJob, { readonly kind: K }>;

/** How far a job is, for whoever waits: of `total` units (bytes or series, as `unit` says) `done` are done. */
export interface JobProgress {
  readonly done: number;
  readonly total: number;
  readonly unit: "bytes" | "series" | "blocks";
}

export interface RunJobOptions {
  /** Aborted: the job stops at its next look, and leaves nothing half-made that counts. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: JobProgress) => void;
  /** A block is about to get its name. When the job fails after it, the block may be there: a clean-up can fail, a thread end. */
  readonly onNaming?: (ulid: string) => void;
}

/** Runs jobs: in worker threads (runner-threads.ts), or at once, in tests (runner-inline.ts). */
export interface MaintenanceRunner {
  /** @throws TsdbError as the job fails; CANCELED when it was stopped, BLOCK_CORRUPT naming the block */
  run<K extends JobKind>(job: JobOf<K>, options?: RunJobOptions): Promise<JobResults[K]>;
  /** Stops what runs and ends the threads. */
  close(): Promise<void>;
}
