/**
 * Retention until blocks exist: full chunks leave memory, then the head chunk files and WAL segments that hold nothing
 * newer are deleted.
 *
 * The limit is counted from the wall clock or from the newest sample, whichever is older: a clock that jumps ahead, or one
 * sample from the future, deletes nothing.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { ChunkFileWriter } from "../head/chunk-files.ts";
import type { Collector } from "../head/collector.ts";
import type { Head } from "../head/head.ts";
import type { SegmentList } from "../wal/segments.ts";

export interface RetentionOptions {
  readonly head: Head;
  readonly collector: Collector;
  readonly chunkFiles: ChunkFileWriter;
  readonly segments: SegmentList;
  /** In force at that moment. */
  readonly retentionMs: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

const PASS_INTERVAL_MS = 60_000;
/** Looked at in one turn of the event loop: far below a millisecond. */
const SERIES_PER_TURN = 2048;

export class Retention {
  readonly #options: RetentionOptions;
  #timer: Timer | undefined;
  #passing: Promise<void> | undefined;
  #isStopped = false;
  /** What the pass before this one dropped up to. */
  #droppedBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#passLater();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#passing;
  }

  #passLater(): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.after(PASS_INTERVAL_MS, () => {
      this.#passing = this.#pass().finally(() => this.#passLater());
    });
  }

  async #pass(): Promise<void> {
    const { head, collector, chunkFiles, segments, retentionMs, clock, log } = this.#options;
    const { minTimeMs, maxTimeMs } = head;
    if (minTimeMs === undefined || maxTimeMs === undefined) return;
    const beforeMs = Math.min(clock.nowMs(), maxTimeMs) - retentionMs();
    if (minTimeMs < beforeMs) {
      for (let ref = 0; ref < head.seriesNext && !this.#isStopped;) {
        if (head.dropChunks(ref, SERIES_PER_TURN, beforeMs) === 0) ref += SERIES_PER_TURN;
        await turn();
      }
      if (this.#isStopped) return;
      head.minTimeMs = beforeMs;
      await collector.collect();
    }
    try {
      // A query may still be about to read what this pass has dropped: its file goes with the next one.
      const files = await chunkFiles.dropBefore(this.#droppedBeforeMs);
      const logs = await segments.dropFlushed(Number.POSITIVE_INFINITY, beforeMs);
      if (files + logs > 0) {
        log.info(
          { operation: "retention", chunk_files: files, wal_segments: logs },
          "deleted files past the retention",
        );
      }
    } catch (thrown) {
      log.warn({ operation: "retention", err: thrown }, `Cannot delete files past the retention: ${messageOf(thrown)}`);
    }
    this.#droppedBeforeMs = beforeMs;
  }
}

/** Lets the event loop go round once. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
