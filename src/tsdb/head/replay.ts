/**
 * Filling an empty head at the start: first the chunks that lie in files, then the records of the log. Both are read
 * straight into a region of kernel memory that is not in use yet, and applied there.
 */
import { TsdbError } from "../../base/errors.ts";
import { REPLAY } from "../kernel/head-exports.ts";
import type { HeadMemory } from "../kernel/head-memory.ts";
import { RECORD_DELETES } from "../wal/format.ts";
import type { Applied } from "../wal/log.ts";
import type { RecordBuffer, WalRecord } from "../wal/reader.ts";
import type { ChunkEntry } from "./chunk-file-format.ts";
import type { ChunkSink } from "./chunk-file-loader.ts";

export class HeadReplay implements ChunkSink {
  readonly #memory: HeadMemory;
  /** Chunks that end before it are in blocks. */
  readonly #flushedMs: number;
  #buffer: RecordBuffer;
  /** Of the segment at hand. */
  #maxTimeMs = Number.NEGATIVE_INFINITY;
  #lastSequence = 0;
  #samples = 0;

  /** @param memory knows already what is in blocks (Head.setFlushed) */
  constructor(memory: HeadMemory) {
    this.#memory = memory;
    const { at } = memory;
    this.#flushedMs = memory.i64(at.H_FLUSHED_MS);
    // The region that records will gather in.
    this.#buffer = this.#region(memory.u32(at.H_WAL_BUFFER_0), memory.u32(at.H_WAL_BUFFER_BYTES));
  }

  get buffer(): RecordBuffer {
    return this.#buffer;
  }

  /** Samples that the log had and the chunk files had not. */
  get samples(): number {
    return this.#samples;
  }

  /** Of the newest sample in the present segment. */
  get maxTimeMs(): number {
    return this.#maxTimeMs;
  }

  /** Of the newest record in the present segment, 0 when there is none. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  loadChunk(entry: ChunkEntry, fileIndex: number, offset: number): boolean {
    const { ref, mint, span, dataBytes } = entry;
    // A block has it.
    if (mint + span < this.#flushedMs) return true;
    const code = this.#memory.kernel.loadChunk(ref, mint, span, fileIndex, offset, dataBytes);
    // Not the file's fault: it must not be cut off here.
    if (code === REPLAY.full) throw headIsFull();
    return code === REPLAY.ok;
  }

  beginSegment(): void {
    this.#memory.kernel.beginSegment();
    this.#maxTimeMs = Number.NEGATIVE_INFINITY;
    this.#lastSequence = 0;
  }

  apply(record: WalRecord): Applied {
    const { at, kernel } = this.#memory;
    // Chunks that become full now are as durable as this record.
    this.#memory.setI64(at.H_WAL_SEQUENCE, record.sequence - 1);
    const address = this.#buffer.address + record.dataOffset;
    const code =
      record.type === RECORD_DELETES
        ? kernel.replayDeletes(address, record.dataBytes)
        : kernel.replayRecord(address, record.dataBytes);
    if (code === REPLAY.full) throw headIsFull();
    if (code === REPLAY.sealFirst) return "no-room";
    if (code !== REPLAY.ok) return "senseless";
    if (record.type !== RECORD_DELETES) this.#samples += this.#memory.u32(at.H_ACCEPTED);
    const maxTimeMs = this.#memory.i64(at.H_RECORD_MAX_TIME_MS);
    if (maxTimeMs > this.#maxTimeMs) this.#maxTimeMs = maxTimeMs;
    this.#lastSequence = record.sequence;
    return "applied";
  }

  /** Writing begins: all up to `sequence` is used up and durable, and records are for a fresh segment. */
  finish(sequence: number): void {
    const { at, kernel } = this.#memory;
    this.#memory.setI64(at.H_WAL_SEQUENCE, sequence);
    kernel.setSynced(BigInt(sequence));
    kernel.beginSegment();
  }

  #region(address: number, byteCount: number): RecordBuffer {
    const { kernel } = this.#memory;
    return {
      bytes: this.#memory.slice(address, byteCount),
      address,
      crc32c: (offset, count, seed) => kernel.crc32c(address + offset, count, seed) >>> 0,
      // Only a record written under a larger limits.max_decoded_size needs it.
      grow: (count) => (this.#buffer = this.#region(kernel.allocateExtent(count + SLACK_BYTES) >>> 0, count)),
    };
  }
}

/** Decoders may look that far past the end. */
const SLACK_BYTES = 64;

const headIsFull = (): TsdbError =>
  new TsdbError("INTERNAL", "The log holds more series and samples than the memory of the head can take", {
    remedy: "Lower storage.retention, or move the oldest segments of the write-ahead log away",
  });
