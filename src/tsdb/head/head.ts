/**
 * The head: the mutable window of the database, in kernel memory. This class is its one writer. It takes request bodies in
 * and hands out what they made: WAL records (as a WalSource) and full chunks (as a ChunkBlockSource), which others bring to
 * disk; it does no I/O itself.
 *
 *   body ──write──▶ kernel ──records──▶ WalWriter ──▶ wal/
 *                      └─────full chunks──▶ ChunkFileWriter ──▶ chunks_head/
 *
 * All calls are synchronous and take time proportional to one request; nothing here waits.
 */
import { assert } from "../../base/assert.ts";
import { TsdbError } from "../../base/errors.ts";
import { DELETE_OVERLOADED, INGEST, REENCODE_DONE } from "../kernel/head-exports.ts";
import { HeadMemory } from "../kernel/head-memory.ts";
import type { RejectReason, WriteRequest, WriteResult } from "../storage.ts";
import type { WalBatch, WalSource } from "../wal/writer.ts";
import type { ChunkBlock, ChunkBlockSource } from "./chunk-files.ts";
import { writeRequestFromJson } from "./json-write.ts";
import { readRejections, REJECT_REASONS } from "./rejections.ts";

export interface HeadLimits {
  readonly bodyBytesMax: number;
  readonly decodedBytesMax: number;
  readonly seriesPerRequestMax: number;
  readonly labelsPerSeriesMax: number;
  readonly labelNameBytesMax: number;
  readonly labelValueBytesMax: number;
}

export interface HeadOptions {
  readonly module: WebAssembly.Module;
  /** 16 random bytes. */
  readonly hashKeys: Uint8Array;
  readonly walEnabled: boolean;
  readonly retentionMs: number;
  /** How much older than the newest sample a late one may be; 0: none is taken. */
  readonly outOfOrderWindowMs: number;
  readonly memtableBytesMax: number;
  readonly chunkFileBytesMax: number;
  readonly limits: HeadLimits;
}

/** What write() made of a request, before it is durable. */
export interface HeadWrite {
  readonly result: WriteResult;
  /** The newest sequence when the request was handled: what its acknowledgement waits for. */
  readonly sequence: number;
}

/** Series that one call of `delete` takes. */
export const DELETED_SERIES_MAX = 2048;
/** "For ever" in ms, far from overflowing. */
const RETENTION_MS_MAX = 2 ** 52;

const NO_REJECTIONS: WriteResult["rejections"] = [];

/** Gauges and totals of the head, as plain numbers. */
export interface HeadStats {
  readonly series: number;
  readonly seriesCreatedTotal: number;
  readonly seriesCollectedTotal: number;
  readonly openChunks: number;
  readonly fullChunks: number;
  readonly chunksSealedTotal: number;
  readonly samplesTotal: number;
  readonly duplicatesTotal: number;
  /** Late samples: in memory, and ever stored. */
  readonly lateSamples: number;
  readonly lateSamplesTotal: number;
  readonly memoryBytes: number;
  /** Touched and free to be used again: resident, and not among memoryBytes. */
  readonly memoryFreeBytes: number;
  /** Undefined without samples. */
  readonly minTimeMs: number | undefined;
  readonly maxTimeMs: number | undefined;
}

export class Head implements WalSource, ChunkBlockSource {
  readonly memory: HeadMemory;
  readonly #options: HeadOptions;
  /** Samples refused since the start, by reason. */
  readonly rejectedTotal: Record<RejectReason, number>;
  /** Whether both WAL buffers are in use: one taken, one gathering. */
  #walTaken = false;
  /** Where pending records that are yet to be encoded again begin; undefined when there are none. */
  #reencodeFrom: number | undefined;
  /** Of the newest sample among the records that gather. */
  #gatheredMaxTimeMs = Number.NEGATIVE_INFINITY;

  constructor(options: HeadOptions) {
    this.#options = options;
    this.memory = HeadMemory.create(options.module, options.hashKeys, options.limits);
    const { at } = this.memory;
    const { limits } = options;
    this.memory.setI64(at.H_MEMORY_BYTES_MAX, options.memtableBytesMax);
    this.retentionMs = options.retentionMs;
    this.memory.setI64(at.H_OUT_OF_ORDER_MS, Math.min(options.outOfOrderWindowMs, RETENTION_MS_MAX));
    this.memory.setU32(at.H_SERIES_PER_REQUEST_MAX, limits.seriesPerRequestMax);
    this.memory.setU32(at.H_LABELS_PER_SERIES_MAX, limits.labelsPerSeriesMax);
    this.memory.setU32(at.H_LABEL_NAME_BYTES_MAX, limits.labelNameBytesMax);
    this.memory.setU32(at.H_LABEL_VALUE_BYTES_MAX, limits.labelValueBytesMax);
    this.memory.setU32(at.H_CHUNK_FILE_BYTES_MAX, options.chunkFileBytesMax);
    this.memory.setU32(at.H_WAL_ENABLED, options.walEnabled ? 1 : 0);
    this.rejectedTotal = Object.fromEntries(
      REJECT_REASONS.flatMap((reason) => (reason === undefined ? [] : [[reason, 0]])),
    ) as Record<RejectReason, number>;
  }

  /**
   * Stores one request.
   * @throws TsdbError BAD_REQUEST, BODY_TOO_LARGE, OVERLOADED; then nothing of it is stored
   */
  write(request: WriteRequest, nowMs: number): HeadWrite {
    const { memory } = this;
    const { at } = memory;
    const code =
      request.format === "json" ? this.#ingestJson(request.body, nowMs) : this.#ingestSnappy(request.body, nowMs);
    if (code !== INGEST.ok) throw this.#refusal(code);
    const maxTimeMs = memory.i64(at.H_RECORD_MAX_TIME_MS);
    if (maxTimeMs > this.#gatheredMaxTimeMs) this.#gatheredMaxTimeMs = maxTimeMs;
    const accepted = memory.u32(at.H_ACCEPTED);
    const duplicates = memory.u32(at.H_DUPLICATES);
    const result = { accepted, duplicates, rejections: this.#rejections() };
    return { result, sequence: memory.i64(at.H_WAL_SEQUENCE) };
  }

  /**
   * Deletes what the head has of these series between two times, both ends inclusive.
   * @param refs at most DELETED_SERIES_MAX, for the sake of its time
   * @returns of how many series there was anything; it is durable once the sequence is
   * @throws TsdbError OVERLOADED: try again
   */
  delete(refs: Uint32Array, mint: number, maxt: number): { readonly seriesCount: number; readonly sequence: number } {
    const { memory } = this;
    const { at } = memory;
    assert(refs.length <= DELETED_SERIES_MAX, "too many series for one delete");
    memory.words.set(refs, memory.u32(at.H_SERIES_ROWS) >>> 2);
    const seriesCount = memory.kernel.deleteSamples(refs.length, mint, maxt);
    if (seriesCount === DELETE_OVERLOADED) throw this.#refusal(INGEST.overloaded);
    if (seriesCount > 0)
      this.#gatheredMaxTimeMs = Math.max(this.#gatheredMaxTimeMs, memory.i64(at.H_RECORD_MAX_TIME_MS));
    return { seriesCount, sequence: memory.i64(at.H_WAL_SEQUENCE) };
  }

  #rejections(): WriteResult["rejections"] {
    // Whatever is refused first becomes an example.
    if (this.memory.u32(this.memory.at.H_EXAMPLE_COUNT) === 0) return NO_REJECTIONS;
    const rejections = readRejections(this.memory, this.#options.limits);
    for (const { reason, count } of rejections) this.rejectedTotal[reason] += count;
    return rejections;
  }

  #ingestSnappy(body: Uint8Array, nowMs: number): number {
    const { memory } = this;
    const { bodyBytesMax } = this.#options.limits;
    if (body.byteLength > bodyBytesMax) {
      throw new TsdbError(
        "BODY_TOO_LARGE",
        `The body has ${body.byteLength} bytes, limits.max_body_size is ${bodyBytesMax}`,
      );
    }
    memory.bytes.set(body, memory.u32(memory.at.H_BODY));
    return memory.kernel.ingestSnappy(body.byteLength, nowMs);
  }

  #ingestJson(body: Uint8Array, nowMs: number): number {
    const { memory } = this;
    const message = writeRequestFromJson(body);
    if (message.byteLength > this.#options.limits.decodedBytesMax) return INGEST.tooLarge;
    memory.bytes.set(message, memory.u32(memory.at.H_DECODED));
    return memory.kernel.ingest(message.byteLength, nowMs);
  }

  #refusal(code: number): TsdbError {
    const { limits } = this.#options;
    switch (code) {
      case INGEST.malformed:
        return new TsdbError(
          "BAD_REQUEST",
          "Cannot decode the body: it is not a snappy-compressed remote write request",
        );
      case INGEST.tooLarge:
        return new TsdbError(
          "BODY_TOO_LARGE",
          `The body decodes to more than ${limits.decodedBytesMax} bytes (limits.max_decoded_size)`,
        );
      case INGEST.tooManySeries:
        return new TsdbError(
          "BODY_TOO_LARGE",
          `The request has more than ${limits.seriesPerRequestMax} series (limits.max_series_per_request)`,
        );
      case INGEST.tooManySamples:
        return new TsdbError("BODY_TOO_LARGE", "The request has more than 65000 samples; send smaller requests");
      case INGEST.overloaded:
        return new TsdbError("OVERLOADED", "Writes arrive faster than the disk takes them; try again");
      default:
        throw new TsdbError("INTERNAL", `The kernel answered ${code} to a write`);
    }
  }

  // WalSource: records on their way to the log.

  take(): WalBatch | undefined {
    assert(!this.#walTaken, "the batch taken before has not been released");
    const { memory } = this;
    const { at, kernel } = memory;
    if (this.#reencodeFrom !== undefined) this.#reencode(this.#reencodeFrom);
    if (memory.u32(at.H_WAL_USED) === 0) return undefined;
    const buffer = memory.u32(memory.u32(at.H_WAL_ACTIVE) === 0 ? at.H_WAL_BUFFER_0 : at.H_WAL_BUFFER_1);
    const declaredBytes = memory.u32(at.H_WAL_DECLARED_BYTES);
    const lastSequence = memory.i64(at.H_WAL_ENCODED);
    const byteCount = kernel.takeRecords() >>> 0;
    this.#walTaken = true;
    const maxTimeMs = this.#gatheredMaxTimeMs;
    if (this.#reencodeFrom === undefined) this.#gatheredMaxTimeMs = Number.NEGATIVE_INFINITY;
    return { bytes: memory.slice(buffer, byteCount), lastSequence, declaredBytes, maxTimeMs };
  }

  release(): void {
    this.#walTaken = false;
  }

  beginSegment(): void {
    this.memory.kernel.beginSegment();
  }

  restart(): void {
    assert(!this.#walTaken, "the batch taken before has not been released");
    this.#gatheredMaxTimeMs = this.memory.i64(this.memory.at.H_MAX_TIME_MS);
    this.#reencode(0);
  }

  setSynced(sequence: number): void {
    this.memory.kernel.setSynced(BigInt(sequence));
  }

  get unsyncedShare(): number {
    return this.memory.u32(this.memory.at.H_PENDING_BYTES) / this.memory.at.PENDING_BYTES_MAX;
  }

  /** Encodes as many pending records as the buffer takes; until all are, the kernel refuses requests. */
  #reencode(from: number): void {
    const next = this.memory.kernel.reencodePending(from) >>> 0;
    this.#reencodeFrom = next === REENCODE_DONE ? undefined : next;
  }

  // ChunkBlockSource: full chunks on their way to their files.

  takeBlock(durableSequence: number, all: boolean): ChunkBlock | undefined {
    const { memory } = this;
    const { at, kernel } = memory;
    const index = kernel.sealTake(BigInt(durableSequence), all ? 1 : 0);
    if (index < 0) return undefined;
    const block = at.SEAL_CONTROL + index * at.SEAL_BLOCK_SIZE;
    return {
      bytes: memory.slice(kernel.sealBlockData(index) >>> 0, memory.u32(block + at.SEAL_BLOCK_USED_BYTES)),
      fileIndex: memory.u32(block + at.SEAL_BLOCK_FILE_INDEX),
      startOffset: memory.u32(block + at.SEAL_BLOCK_START_OFFSET),
      maxTimeMs: memory.i64(at.H_MAX_TIME_MS),
    };
  }

  releaseBlock(): void {
    this.memory.kernel.sealRelease();
  }

  returnBlock(): void {
    this.memory.kernel.sealUntake();
  }

  /** Blocks that are full or being filled. */
  get blocksWaiting(): number {
    return this.memory.u32(this.memory.at.H_SEAL_COUNT);
  }

  /** Chunks that become full from now on go to this place and what follows it. */
  setChunkPosition(fileIndex: number, offset: number): void {
    this.memory.setU32(this.memory.at.H_CHUNK_FILE_INDEX, fileIndex);
    this.memory.setU32(this.memory.at.H_CHUNK_FILE_OFFSET, offset);
  }

  // Hand-over to blocks.

  /**
   * From now on samples before `beforeMs` are late, so the in-order chunks up to there are final. The floor never sinks.
   * @returns the newest sequence: all that is late and stored by now has it or an older one
   */
  raiseFloor(beforeMs: number): number {
    const { memory } = this;
    const { at } = memory;
    if (beforeMs > memory.i64(at.H_FLOOR_MS)) memory.setI64(at.H_FLOOR_MS, beforeMs);
    return memory.i64(at.H_WAL_SEQUENCE);
  }

  /** All samples up to a sequence, before a time, are in blocks. Before replay, and before they are dropped. */
  setFlushed(sequence: number, beforeMs: number): void {
    const { memory } = this;
    const { at } = memory;
    this.raiseFloor(beforeMs);
    if (beforeMs > memory.i64(at.H_FLUSHED_MS)) memory.setI64(at.H_FLUSHED_MS, beforeMs);
    if (sequence > memory.i64(at.H_FLUSHED_SEQUENCE)) memory.setI64(at.H_FLUSHED_SEQUENCE, sequence);
  }

  /**
   * Drops what setFlushed said is in blocks, of `count` series from `firstRef` on: of each series so much that it takes
   * little time. No query may see the head without these blocks any more.
   * @returns how much; 0 when nothing is left
   */
  dropFlushed(firstRef: number, count: number): number {
    const { memory } = this;
    const { at } = memory;
    const beforeMs = memory.i64(at.H_FLUSHED_MS);
    return memory.kernel.dropChunks(firstRef, count, beforeMs, memory.i64(at.H_FLUSHED_SEQUENCE)) >>> 0;
  }

  // Retention.

  /** Samples that are older than this by the clock are refused. */
  set retentionMs(retentionMs: number) {
    this.memory.setI64(this.memory.at.H_RETENTION_MS, Math.min(retentionMs, RETENTION_MS_MAX));
  }

  /** Refs below it may be series. */
  get seriesNext(): number {
    return this.memory.u32(this.memory.at.H_SERIES_NEXT);
  }

  /**
   * Drops chunks that end before `beforeMs` of `count` series from `firstRef` on: of each series so many that it takes
   * little time. @returns how many; 0 when none is left
   */
  dropChunks(firstRef: number, count: number, beforeMs: number): number {
    return this.memory.kernel.dropChunks(firstRef, count, beforeMs, Number.POSITIVE_INFINITY) >>> 0;
  }

  /** Of the oldest sample, or an older time; undefined without samples. */
  get minTimeMs(): number | undefined {
    return this.#time(this.memory.at.H_MIN_TIME_MS);
  }

  set minTimeMs(timeMs: number) {
    this.memory.setI64(this.memory.at.H_MIN_TIME_MS, timeMs);
  }

  get maxTimeMs(): number | undefined {
    return this.#time(this.memory.at.H_MAX_TIME_MS);
  }

  #time(address: number): number | undefined {
    const timeMs = this.memory.i64(address);
    // Before the first sample: the ends of the i64 range.
    return Math.abs(timeMs) > RETENTION_MS_MAX * 2 ? undefined : timeMs;
  }

  stats(): HeadStats {
    const { memory } = this;
    const { at } = memory;
    return {
      series: memory.u32(at.H_SERIES_COUNT),
      seriesCreatedTotal: memory.i64(at.H_SERIES_CREATED),
      seriesCollectedTotal: memory.i64(at.H_SERIES_COLLECTED),
      openChunks: memory.u32(at.H_OPEN_CHUNKS),
      fullChunks: memory.u32(at.H_FULL_CHUNKS),
      chunksSealedTotal: memory.i64(at.H_CHUNKS_SEALED),
      samplesTotal: memory.i64(at.H_SAMPLES_TOTAL),
      duplicatesTotal: memory.i64(at.H_DUPLICATES_TOTAL),
      lateSamples: memory.u32(at.H_LATE_ROWS),
      lateSamplesTotal: memory.i64(at.H_LATE_ROWS_TOTAL),
      memoryBytes: Number(memory.kernel.heapBytesUsed()),
      memoryFreeBytes: Number(memory.kernel.heapBytesFree()),
      minTimeMs: this.minTimeMs,
      maxTimeMs: this.maxTimeMs,
    };
  }
}
