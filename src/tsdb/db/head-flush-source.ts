/** The head with its log and chunk files, as flushes and deletes see them: what is read, let go of, and deleted. */
import { TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { nextTurn } from "../../base/turn.ts";
import type { Vfs } from "../../base/vfs.ts";
import type { ChunkFileWriter } from "../head/chunk-files.ts";
import type { Collector } from "../head/collector.ts";
import type { HeadAttachment } from "../head/head-storage.ts";
import { DELETED_SERIES_MAX, type Head } from "../head/head.ts";
import type { SegmentList } from "../wal/segments.ts";
import type { WalWriter } from "../wal/writer.ts";
import type { FlushSource } from "./flusher.ts";
import { writeHandOver } from "./handover.ts";

export interface HeadFlushSourceOptions {
  readonly vfs: Vfs;
  readonly dataDir: string;
  readonly head: Head;
  readonly collector: Collector;
  readonly segments: SegmentList;
  /** Undefined while the log is not open, or when there is none. */
  readonly wal: () => WalWriter | undefined;
  readonly chunkFiles: () => ChunkFileWriter | undefined;
  readonly attach: () => HeadAttachment | undefined;
  readonly detach: (slot: number) => void;
  readonly log: Logger;
}

/** Looked at in one turn of the event loop: far below a millisecond. */
const SERIES_PER_TURN = 2048;

export class HeadFlushSource implements FlushSource {
  readonly #options: HeadFlushSourceOptions;

  constructor(options: HeadFlushSourceOptions) {
    this.#options = options;
  }

  raiseFloor(beforeMs: number): number {
    const { head, wal } = this.#options;
    // What is flushed and what comes later lie in different segments, so that the older ones can go.
    wal()?.cut();
    return head.raiseFloor(beforeMs);
  }

  async delete(refs: Uint32Array, mint: number, maxt: number): Promise<number> {
    const { head, wal } = this.#options;
    let deleted = 0;
    for (let from = 0; from < refs.length; from += DELETED_SERIES_MAX) {
      const { seriesCount, sequence } = head.delete(refs.subarray(from, from + DELETED_SERIES_MAX), mint, maxt);
      deleted += seriesCount;
      // Before the next, so that there is room for its record; and what is answered is durable in either mode.
      await wal()?.durable(sequence);
      await nextTurn();
    }
    return deleted;
  }

  async durable(sequence: number): Promise<void> {
    await this.#options.wal()?.durable(sequence);
  }

  attach(): HeadAttachment | undefined {
    return this.#options.attach();
  }

  detach(slot: number): void {
    this.#options.detach(slot);
  }

  handOver(sequence: number, beforeMs: number): Promise<void> {
    const { vfs, dataDir } = this.#options;
    return writeHandOver(vfs, dataDir, { sequence, beforeMs });
  }

  async letGo(sequence: number, beforeMs: number, signal: AbortSignal): Promise<void> {
    const { head, collector, chunkFiles, segments, log } = this.#options;
    head.setFlushed(sequence, beforeMs);
    for (let ref = 0; ref < head.seriesNext;) {
      if (signal.aborted) throw new TsdbError("CANCELED", "The database is stopping");
      if (head.dropFlushed(ref, SERIES_PER_TURN) === 0) ref += SERIES_PER_TURN;
      await nextTurn();
    }
    const { minTimeMs } = head;
    if (minTimeMs !== undefined && minTimeMs < beforeMs) head.minTimeMs = beforeMs;
    await collector.collect();
    const files = (await chunkFiles()?.dropBefore(beforeMs)) ?? 0;
    const logs = await segments.dropFlushed(sequence, beforeMs);
    log.debug({ operation: "flush", chunk_files: files, wal_segments: logs }, "deleted files that are in blocks");
  }
}
