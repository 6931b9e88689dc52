/**
 * Replaying the log on top of what the chunk files gave. It is read in pieces, between which the event loop goes on, and
 * chunks that become full on the way go to their files, so memory stays below what the head took when it was last running.
 */
import type { Clock } from "../../base/clock.ts";
import type { Vfs } from "../../base/vfs.ts";
import type { ChunkFileWriter } from "../head/chunk-files.ts";
import type { Head } from "../head/head.ts";
import type { HeadReplay } from "../head/replay.ts";
import { type LogSummary, readLog } from "../wal/log.ts";
import type { SegmentList } from "../wal/segments.ts";
import type { HandOver } from "./handover.ts";

/** Progress of WAL replay; `done === total` when there is nothing (more) to replay. */
export interface ReplayProgress {
  readonly segmentsTotal: number;
  readonly segmentsDone: number;
  readonly bytesTotal: number;
  readonly bytesDone: number;
  readonly entries: number;
  readonly durationMs: number;
}

export interface ReplayOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  readonly into: HeadReplay;
  /** Filled with the segments that are found. */
  readonly segments: SegmentList;
  /** What blocks have: neither read again from the log, nor are its sequences used again. */
  readonly handOver: HandOver | undefined;
  readonly clock: Clock;
  /** @throws to stop */
  readonly check: () => void;
  readonly onProgress: (progress: ReplayProgress) => void;
  /** Full chunks up to a sequence may go to their files now; resolves when more may come. */
  readonly makeRoom: (upTo: number, isNeeded: boolean) => Promise<void>;
}

/** @throws TsdbError FORMAT_TOO_NEW; what `check` and the file system throw */
export async function replayLog(options: ReplayOptions): Promise<LogSummary> {
  const { vfs, dir, into, segments, clock, check, onProgress, makeRoom } = options;
  const startMs = clock.monotonicMs();
  const progress = { segmentsTotal: 0, segmentsDone: 0, bytesTotal: 0, bytesDone: 0, entries: 0, durationMs: 0 };
  const report = (): void => {
    progress.durationMs = Math.round(clock.monotonicMs() - startMs);
    onProgress({ ...progress });
  };
  const summary = await readLog(vfs, dir, {
    get buffer() {
      return into.buffer;
    },
    beginLog({ segments: segmentsTotal, bytes: bytesTotal }) {
      Object.assign(progress, { segmentsTotal, bytesTotal });
      report();
    },
    beginSegment: () => into.beginSegment(),
    apply(record) {
      progress.entries++;
      return into.apply(record);
    },
    async afterPiece(bytes, durable) {
      check();
      progress.bytesDone += bytes;
      report();
      await makeRoom(durable, false);
    },
    makeRoom: (durable) => makeRoom(durable, true),
    endSegment(index, sizeBytes) {
      progress.segmentsDone++;
      segments.note(index, sizeBytes, into.maxTimeMs, into.lastSequence);
      report();
    },
  });
  const { lastSequence, nextIndex } = summary;
  const flushedSequence = options.handOver?.sequence ?? 0;
  // Less of the log is left than was handed over: somebody has removed it. A log that begins with segment 1 and another
  // sequence than 1 would read as a loss.
  const goesOn = lastSequence >= flushedSequence;
  into.finish(goesOn ? lastSequence : flushedSequence);
  return goesOn ? summary : { ...summary, lastSequence: flushedSequence, nextIndex: Math.max(2, nextIndex) };
}

/** Blocks of full chunks that may wait before replay waits for their writer. */
const BLOCKS_MAX = 32;
const RETRY_MS = 1_000;

/** Brings full chunks to their files while the log is replayed. */
export class ReplayDrain {
  readonly #head: Head;
  readonly #clock: Clock;
  #upTo = 0;

  constructor(head: Head, clock: Clock) {
    this.#head = head;
    this.#clock = clock;
  }

  /** Chunks with samples of later records than this stay in memory. */
  get upTo(): number {
    return this.#upTo;
  }

  /**
   * @param durable all up to this sequence is on disk
   * @param isNeeded there is no room for the next record: chunks go to their files whether they are durable or not
   * @throws what `check` does
   */
  async makeRoom(chunkFiles: ChunkFileWriter, durable: number, isNeeded: boolean, check: () => void): Promise<void> {
    this.#upTo = durable;
    if (!isNeeded && this.#head.blocksWaiting <= BLOCKS_MAX) return;
    await chunkFiles.flush(isNeeded);
    if (!isNeeded) return;
    // A log that was written to with as little room as this has proved more than it holds back: this is for odd ones.
    this.#upTo = Number.MAX_SAFE_INTEGER;
    await chunkFiles.flush(true);
    if (!chunkFiles.isFaulty) return;
    await new Promise<void>((resolve) => void this.#clock.after(RETRY_MS, resolve));
    check();
  }
}
