/**
 * What the kernel exports for the head's memory: tables, ingest, WAL records, selection. Constants are WebAssembly globals
 * (`.value`); their meaning is in assembly/layout.ts. Functions that readers may call say so.
 */

/** An exported constant: a header address (H_...), a field offset or a limit. */
export interface Constant {
  readonly value: number;
}

/** Names of the exported constants, as assembly/layout-exports.ts has them. */
export const HEAD_CONSTANTS = [
  "EXAMPLES",
  "EXAMPLE_LAST_TIMESTAMP_MS",
  "EXAMPLE_REASON",
  "EXAMPLE_SERIES_ROW",
  "EXAMPLE_SIZE",
  "EXAMPLE_TIMESTAMP_MS",
  "EXAMPLE_VALUE",
  "CHUNK_RECORD_ADDRESS",
  "CHUNK_RECORD_DATA_BYTES",
  "CHUNK_RECORD_ENCODING",
  "CHUNK_RECORD_FILE_INDEX",
  "CHUNK_RECORD_MAXT",
  "CHUNK_RECORD_MINT",
  "CHUNK_RECORD_OFFSET",
  "CHUNK_RECORD_SERIES",
  "CHUNK_RECORD_SIZE",
  "H_ACCEPTED",
  "H_BODY",
  "H_CELLS_RECLAIMED",
  "H_CHUNKS_SEALED",
  "H_CHUNK_FILE_BYTES_MAX",
  "H_CHUNK_FILE_INDEX",
  "H_CHUNK_FILE_OFFSET",
  "H_DECODED",
  "H_DUPLICATES",
  "H_DUPLICATES_TOTAL",
  "H_EPOCH",
  "H_EXAMPLE_COUNT",
  "H_FLOOR_MS",
  "H_FLUSHED_MS",
  "H_FLUSHED_SEQUENCE",
  "H_FULL_CHUNKS",
  "H_HEAP_END",
  "H_HEAP_NEXT",
  "H_IGNORE_READERS",
  "H_IGNORE_VIEWS",
  "H_LABELS_PER_SERIES_MAX",
  "H_LABEL_NAME_BYTES_MAX",
  "H_LABEL_VALUE_BYTES_MAX",
  "H_LATE_ROWS",
  "H_LATE_ROWS_TOTAL",
  "H_MAX_TIME_MS",
  "H_MEMORY_BYTES_MAX",
  "H_MIN_TIME_MS",
  "H_OPEN_CHUNKS",
  "H_OUT_OF_ORDER_MS",
  "H_PAIRS_FREE",
  "H_PAIRS_GONE",
  "H_PAIR_NEXT",
  "H_PENDING_BYTES",
  "H_RECORD_MAX_TIME_MS",
  "H_RETENTION_MS",
  "H_SAMPLES_TOTAL",
  "H_SEAL_COUNT",
  "H_SERIES_COLLECTED",
  "H_SERIES_COUNT",
  "H_SERIES_CREATED",
  "H_SERIES_NEXT",
  "H_SERIES_PER_REQUEST_MAX",
  "H_SERIES_ROWS",
  "H_VIEW_LIMBO_COUNT",
  "H_WAL_ACTIVE",
  "H_WAL_BUFFER_0",
  "H_WAL_BUFFER_1",
  "H_WAL_BUFFER_BYTES",
  "H_WAL_DECLARED_BYTES",
  "H_WAL_ENABLED",
  "H_WAL_ENCODED",
  "H_WAL_SEQUENCE",
  "H_WAL_USED",
  "PENDING_BYTES_MAX",
  "READER_SLOTS",
  "REJECT_COUNTS",
  "SEAL_BLOCK_FILE_INDEX",
  "SEAL_BLOCK_SIZE",
  "SEAL_BLOCK_START_OFFSET",
  "SEAL_BLOCK_USED_BYTES",
  "SEAL_CONTROL",
  "SERIES_ROW_MESSAGE",
  "SERIES_ROW_MESSAGE_BYTES",
  "SERIES_ROW_SIZE",
  "WINDOW_REFS",
] as const;

export type HeadConstants = Readonly<Record<(typeof HEAD_CONSTANTS)[number], number>>;

/** What ingest answers instead of 0 when it did nothing of a request (assembly/layout.ts, INGEST_). */
export const INGEST = {
  ok: 0,
  malformed: -1,
  tooLarge: -2,
  tooManySeries: -3,
  tooManySamples: -4,
  overloaded: -5,
} as const;

/** What replayRecord and loadChunk answer (assembly/replay.ts). */
export const REPLAY = { ok: 0, malformed: -1, full: -2, sealFirst: -3 } as const;

/** What collectSome answers (assembly/collect.ts). */
export const COLLECT = { done: 0, more: 1, unsynced: 2 } as const;

/** What deleteSamples answers when there is no room. */
export const DELETE_OVERLOADED = -1;

/** CHUNK_RECORD_ENCODING of a record that says what is deleted of the series' chunks that are not raw. */
export const ENCODING_DELETED = 0;

/** reencodePending is done. */
export const REENCODE_DONE = 0xffff_ffff;

export interface HeadExports {
  /** Lays out a new, zero memory. False when it is too small. */
  createHead(hashKey0: bigint, hashKey1: bigint, bodyBytesMax: number, decodedBytesMax: number): number;

  // The writer.
  /** Stores the snappy-compressed request that stands at H_BODY; see INGEST. */
  ingestSnappy(bytes: number, nowMs: number): number;
  /** Stores the decoded request that stands at H_DECODED; see INGEST. */
  ingest(bytes: number, nowMs: number): number;
  /**
   * Deletes a range of time of the series whose refs stand at H_SERIES_ROWS. @returns of how many there was something to
   * delete, or DELETE_OVERLOADED
   */
  deleteSamples(count: number, mint: number, maxt: number): number;
  /** Hands out the records in the active buffer and goes on in the other. @returns bytes */
  takeRecords(): number;
  beginSegment(): void;
  setSynced(sequence: bigint): void;
  /** From 0 to start; then what it returned, until that is REENCODE_DONE. Take the records after each call. */
  reencodePending(from: number): number;
  /** Applies a record's data; see REPLAY. After sealFirst the same record is given again. */
  replayRecord(data: number, bytes: number): number;
  /** The same of a deletes record. */
  replayDeletes(data: number, bytes: number): number;
  /** Enters a full chunk of a file; see REPLAY: malformed says that it does not follow what was loaded before. */
  loadChunk(ref: number, mint: number, span: number, fileIndex: number, offset: number, dataBytes: number): number;
  /** Index of the next block to write to its file, or -1. */
  sealTake(durableSequence: bigint, all: number): number;
  sealRelease(): void;
  sealUntake(): void;
  /** Address of a seal block's bytes. */
  sealBlockData(index: number): number;
  /** Infinite `sequence`: late samples of all records. @returns how many things were dropped, 0 when none is left */
  dropChunks(first: number, count: number, before: number, sequence: number): number;
  advanceEpoch(): void;
  /** Begins to collect series that are gone, unless that is under way. */
  collectBegin(): void;
  /** Goes on with it, for about `work` times 10 ns; see COLLECT. */
  collectSome(work: number): number;
  /** Zero memory; it will not be given back. */
  allocateExtent(bytes: number): number;
  heapBytesUsed(): bigint;
  /** What was touched and is free to be handed out again: not among those in use. */
  heapBytesFree(): bigint;

  // Readers: everything below is safe in other threads.
  /** Until unpinView, refs, ids and addresses that were found mean what they meant. For as long as a query takes. */
  pinView(slot: number): void;
  unpinView(slot: number): void;
  /** Until unpin, chunks that were found stay as well. For as long as a batch takes. */
  pin(slot: number): void;
  unpin(slot: number): void;
  keyAddress(slot: number): number;
  listAddress(slot: number): number;
  recordsAddress(slot: number): number;
  listIdsMax(): number;
  refCount(): number;
  nameCount(): number;
  nameAddress(id: number): number;
  nameBytes(id: number): number;
  namePairCount(id: number): number;
  lookupName(slot: number, bytes: number): number;
  lookupPair(slot: number, bytes: number): number;
  listPairs(slot: number, nameId: number, after: number): number;
  pairNameId(id: number): number;
  pairPostings(id: number): number;
  pairNameAddress(id: number): number;
  pairNameBytes(id: number): number;
  pairValueAddress(id: number): number;
  pairValueBytes(id: number): number;
  /** `end` is refCount() before any pair was looked up. @returns refs in the window; 0: nothing to look for in it */
  selectAll(slot: number, base: number, end: number): number;
  selectUnion(slot: number, base: number, refs: number, ids: number): void;
  selectApply(slot: number, refs: number, subtract: number): void;
  selectCollect(slot: number, base: number, refs: number): number;
  seriesPairs(ref: number): number;
  seriesPairCount(ref: number): number;
  /**
   * Keeps of the first `count` refs of the list those that may have samples in the range: late ones, or in-order ones not
   * before `floor`. @returns how many are left
   */
  selectOverlapping(slot: number, count: number, mint: number, maxt: number, floor: number): number;
  /** Series gathered whole << 32 | chunk records. Between pin and unpin, and what the records point at is copied there. */
  gather(
    slot: number,
    first: number,
    count: number,
    mint: number,
    maxt: number,
    floor: number,
    sequence: number,
  ): bigint;
}
