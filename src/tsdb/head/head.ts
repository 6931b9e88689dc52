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
import { INGEST, REENCODE_DONE, REENCODE_TOO_LARGE, REPLAY } from "../kernel/head-exports.ts";
import { HeadMemory } from "../kernel/head-memory.ts";
import type { RejectReason, WriteRequest, WriteResult } from "../storage.ts";
import type { WalBatch, WalSource } from "../wal/writer.ts";
import type { ChunkBlock, ChunkBlockSource, ChunkSink } from "./chunk-files.ts";
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

/** `NO_BASE`: 2^31 ms would overflow i64 arithmetic nowhere; a retention of "for ever" is 2^52 ms. */
const RETENTION_MS_MAX = 2 ** 52;

export class Head implements WalSource, ChunkBlockSource {
  readonly memory: HeadMemory;
  readonly #options: HeadOptions;
  /** Samples refused since the start, by reason. */
  readonly rejectedTotal: Record<RejectReason, number>;
  /** Whether both WAL buffers are in use: one taken, one gathering. */
  #walTaken = false;
  #reencodeFrom: number | undefined;
  /** Newest sample time of the records encoded for the present segment. */
  #segmentMaxTimeMs = Number.NEGATIVE_INFINITY;

  constructor(options: HeadOptions) {
    this.#options = options;
    this.memory = HeadMemory.create(options.module, options.hashKeys, options.limits);
    const { at } = this.memory;
    const { limits } = options;
    this.memory.setI64(at.H_MEMORY_BYTES_MAX, options.memtableBytesMax);
    this.memory.setI64(at.H_RETENTION_MS, Math.min(options.retentionMs, RETENTION_MS_MAX));
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
    const code = request.format === "json" ? this.#ingestJson(request.body, nowMs) : this.#ingestSnappy(request.body, nowMs);
    if (code !== INGEST.ok) throw this.#refusal(code);
    const rejections = readRejections(memory, this.#options.limits);
    for (const { reason, count } of rejections) this.rejectedTotal[reason] += count;
    const maxTimeMs = memory.i64(at.H_RECORD_MAX_TIME_MS);
    if (maxTimeMs > this.#segmentMaxTimeMs) this.#segmentMaxTimeMs = maxTimeMs;
    const result = {
      accepted: memory.u32(at.H_ACCEPTED),
      duplicates: memory.u32(at.H_DUPLICATES),
      rejections,
    };
    return { result, sequence: memory.i64(at.H_WAL_SEQUENCE) };
  }

  #ingestSnappy(body: Uint8Array, nowMs: number): number {
    const { memory } = this;
    const { bodyBytesMax } = this.#options.limits;
    if (body.byteLength > bodyBytesMax) {
      throw new TsdbError("BODY_TOO_LARGE", `The body has ${body.byteLength} bytes, limits.max_body_size is ${bodyBytesMax}`);
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
        return new TsdbError("BAD_REQUEST", "Cannot decode the body: it is not a snappy-compressed remote write request");
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
    const { memory } = this;
    const { at, kernel } = memory;
    assert(!this.#walTaken, "the batch taken before has not been released");
    if (this.#reencodeFrom !== undefined) this.#reencode(this.#reencodeFrom);
    if (memory.u32(at.H_WAL_USED) === 0) return undefined;
    const buffer = memory.u32(memory.u32(at.H_WAL_ACTIVE) === 0 ? at.H_WAL_BUFFER_0 : at.H_WAL_BUFFER_1);
    const bytes = kernel.takeRecords() >>> 0;
    this.#walTaken = true;
    return { bytes: memory.slice(buffer, bytes), lastSequence: memory.i64(at.H_WAL_SEQUENCE) };
  }

  release(): void {
    this.#walTaken = false;
  }

  beginSegment(): void {
    this.memory.kernel.beginSegment();
  }

  #reencode(from: number): void {
    const next = this.memory.kernel.reencodePending(from) >>> 0;
    if (next === REENCODE_TOO_LARGE) {
      throw new TsdbError("INTERNAL", "A request is too large to be logged again after a failed write");
    }
    this.#reencodeFrom = next === REENCODE_DONE ? undefined : next;
  }

  setSynced(sequence: number): void {
    this.memory.kernel.setSynced(BigInt(sequence));
  }
}
