/**
 * What queries and writes see of stored data.
 *
 * Writes: one request body in, one WriteResult out, which resolves only when what it says is durable in the mode the
 * database runs in. Good samples of a request are kept when others are refused.
 *
 * Queries: a query opens a Querier on one consistent view, selects series by matchers, and reads
 * their samples as batches of encoded chunks. Where a series lives (head, out-of-order head, block, a fake in a test)
 * shows nowhere: labels arrive as ids of the query's own LabelTable, samples as chunk bytes in the query's own memory.
 *
 *   matchers ──select──▶ SeriesSelection ──next──▶ ChunkBatch (bytes in PrivateMemory) ──decode──▶ columns
 *
 * Everything here is synchronous and runs in a query worker (or in a test). All times are inclusive ms since the epoch.
 */
import type { CodecExports } from "./kernel/codec-exports.ts";
import type { Matcher } from "./model/matcher.ts";
import type { LabelTable } from "./promql/label-table.ts";

/** Chunk encodings, numbered as in Prometheus' chunk files. */
export const CHUNK_XOR = 1;
/** Prometheus' second, which is read and never written. */
export const CHUNK_XOR2 = 4;
/** Our own, in blocks of compaction level 2 and above (docs/format/packed-chunk.md). */
export const CHUNK_PACKED = 0x81;
/** Samples that were merged or masked on the way; never on disk: count u32, 4 B unused, times f64[], values f64[]. */
export const CHUNK_RAW = 0xff;

/**
 * What a query sees: these blocks, and of the head what is not in them. The main thread hands it out with each query and
 * keeps the files of its blocks until the query has ended.
 */
export interface View {
  /** In the order in which they count where two have a sample at one time: the first has its way, before the head. */
  readonly blocks: readonly BlockRef[];
  /** In-order samples of the head before this time are in the blocks. */
  readonly headFloorMs: number;
  /** What is lost or set aside: a query whose range touches one of these says so in a warning. */
  readonly missing: readonly MissingRange[];
}

/** The view of a database without blocks. */
export const HEAD_ONLY: View = { blocks: [], headFloorMs: Number.NEGATIVE_INFINITY, missing: [] };

/** A block that was found damaged and set aside: its samples are not served. */
export interface MissingRange {
  readonly ulid: string;
  readonly minTime: number;
  /** Exclusive. */
  readonly maxTime: number;
  readonly reason: string;
}

export interface BlockRef {
  readonly ulid: string;
  readonly minTime: number;
  /** Exclusive. */
  readonly maxTime: number;
  /** Goes up when the block's tombstones are replaced. */
  readonly tombstonesVersion: number;
}

export interface Storage {
  /**
   * Opens a view of all series with samples in [mint, maxt] as of now.
   * @throws TsdbError NOT_READY while the database cannot be read
   */
  querier(context: QueryContext): Querier;
}

export interface QueryContext {
  /** The query's own label ids; a Querier interns every label it hands out here. */
  readonly labels: LabelTable;
  /** Called inside every loop that grows with the data; throws TsdbError when the query must stop. */
  readonly budget: Budget;
}

/** What one query may use. Each call adds to what was used before and throws when a limit, the deadline or an abort is hit. */
export interface Budget {
  addSeries(count: number): void;
  addSamples(count: number): void;
  addBytes(count: number): void;
  /** Deadline and abort only; cheap enough for every few thousand steps of any loop. */
  check(): void;
}

export interface Querier {
  /** Series that match all matchers and may have samples in the range. Series without any in it may be among them. */
  select(matchers: readonly Matcher[], mint: number, maxt: number): SeriesSelection;
  /** Names of all labels of series that match (all series when there are no matchers), in UTF-8 byte order. */
  labelNames(matchers: readonly Matcher[], mint: number, maxt: number): string[];
  /** Values of one label over the series that match, in UTF-8 byte order. */
  labelValues(name: string, matchers: readonly Matcher[], mint: number, maxt: number): string[];
  /** What could not be read, as warnings for the user: a damaged chunk with its time range. Never silently less data. */
  readonly warnings: readonly string[];
  close(): void;
}

export interface SeriesSelection {
  /** Known before any sample is read, so that operators can number series and group them up front. */
  readonly seriesCount: number;
  /** Label pair ids (LabelTable.pairId) of series `i`, ordered by label name. Valid while the query lives. */
  labels(i: number): Uint32Array;
  /**
   * Writes the chunks of the next few series (at least one, whole series only) into `into`. Series come in index order,
   * a series' chunks in time order, not overlapping.
   * @returns false when all series were read
   */
  next(into: ChunkBatch): boolean;
}

/** A region of the query's memory for chunks, and the kernel that works there. */
export interface ChunkMemory {
  readonly kernel: CodecExports;
  /** Reserves room for `bytes` more bytes plus slack; returns the address, or undefined when the batch is full. */
  reserve(bytes: number): number | undefined;
  /** Copies chunk bytes to an address that `reserve` gave. */
  store(address: number, chunk: Uint8Array): void;
  /** What lies at an address, as the memory itself; valid until something is reserved. */
  view(address: number, bytes: number): Uint8Array;
}

/**
 * A region that batches are written to, and where what lies in it. Series `firstSeries + i` has the chunks numbered
 * `chunkStart[i]` up to, not including, `chunkStart[i + 1]`; chunk `c` is `chunkBytes[c]` bytes long, at address
 * `chunkAddress[c]` of the memory. The bytes of each chunk are followed by at least 16 readable bytes of slack.
 */
export interface ChunkBatch extends ChunkMemory {
  firstSeries: number;
  seriesCount: number;
  readonly chunkStart: number[];
  readonly chunkAddress: number[];
  readonly chunkBytes: number[];
  readonly encoding: number[];
}

/** A write request as it came: snappy-compressed remote write 1.0, or the JSON body of docs/reference/http-api.md. */
export interface WriteRequest {
  readonly format: "remote-write" | "json";
  /** The body; the database copies what it needs before it returns control. */
  readonly body: Uint8Array;
}

/** Why a sample was refused. Names are metric label values (`tsdb_insert_errors_total{reason}`) and never change. */
export type RejectReason =
  | "out_of_order" // older than the series' newest sample, with storage.out_of_order_window 0
  | "duplicate" // the series' newest timestamp with another value
  | "too_far_in_future" // more than 10 minutes ahead of the clock
  | "too_old" // older than the retention, or older than the series' newest and than the out-of-order window
  | "labels_invalid" // no metric name, an empty or repeated name, not UTF-8
  | "label_count" // more labels than the limit
  | "label_name_length"
  | "label_value_length"
  | "series_limit" // a new series while the head is full; the same request succeeds once there is room
  | "unsupported"; // histograms, until they can be stored

export interface Rejection {
  readonly reason: RejectReason;
  /** How many samples of this request were refused for it. */
  readonly count: number;
  /** The first few, as sentences: series, timestamp and, where it helps, what it collided with. */
  readonly examples: readonly string[];
}

export interface WriteResult {
  /** Samples now stored, those that were already there included. */
  readonly accepted: number;
  /** Of these, how many repeated the series' newest sample. */
  readonly duplicates: number;
  /** Empty when all is well. When it names series_limit the sender must try again (503), otherwise not (400). */
  readonly rejections: readonly Rejection[];
}
