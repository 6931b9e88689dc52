/**
 * Brings what the head has before a time to blocks, and then lets go of it:
 *
 *   raise the floor    later samples before it are late from now on; what is in order below it changes no more
 *   sync the log       up to the newest sample that there is
 *   write the blocks   in the maintenance worker, which reads the head as a query does
 *   hand over          one small file says durably that all up to a sequence, before a time, is in blocks
 *   publish            a view with the blocks and the floor
 *   let go             once nobody reads an older view: memory of the head, chunk files, segments of the log
 *
 * Stopped or failed before the hand-over, nothing has happened: the log still has all, and the next flush takes more.
 */
import type { Logger } from "../../base/logger.ts";
import type { HeadAttachment } from "../head/head-storage.ts";
import type { LoadedBlock } from "../maintenance/protocol.ts";
import type { BlockSet } from "./block-set.ts";
import { BLOCK_RANGE_MS } from "./flush-policy.ts";
import type { JobBoard } from "./job-board.ts";

/** The head, its files and its log, as flushes and deletes need them. */
export interface FlushSource {
  /** Deletes what these series have between two inclusive times. Durable when it resolves. @returns of how many */
  delete(refs: Uint32Array, mint: number, maxt: number): Promise<number>;
  /** @returns the newest sequence: what belongs to it and comes before the floor is what is flushed */
  raiseFloor(beforeMs: number): number;
  /** Resolves when the log is durable up to a sequence. */
  durable(sequence: number): Promise<void>;
  /** In a reader slot; undefined when none is free. */
  attach(): HeadAttachment | undefined;
  detach(slot: number): void;
  /** Says durably, and atomically, that all up to this sequence and before this time is in blocks. */
  handOver(sequence: number, beforeMs: number): Promise<void>;
  /** Lets go of it in memory and on disk, in slices; may be stopped anywhere. */
  letGo(sequence: number, beforeMs: number, signal: AbortSignal): Promise<void>;
}

export interface FlusherOptions {
  readonly source: FlushSource;
  readonly blocks: BlockSet;
  readonly board: JobBoard;
  readonly log: Logger;
}

export interface FlushReport {
  readonly beforeMs: number;
  /** ULIDs. */
  readonly blocks: readonly string[];
}

/** Blocks that are written and not handed over yet. */
interface Written {
  readonly sequence: number;
  readonly beforeMs: number;
  readonly blocks: readonly LoadedBlock[];
}

export class Flusher {
  readonly #options: FlusherOptions;
  /** Left over from a flush whose hand-over failed: it is tried again, and no more blocks are written before. */
  #written: Written | undefined;

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /**
   * @returns undefined when no reader slot is free: try again later
   * @throws as the job and the disk fail; CANCELED
   */
  async flush(beforeMs: number, reason: string, signal: AbortSignal): Promise<FlushReport | undefined> {
    this.#written ??= await this.#write(beforeMs, signal);
    return this.complete(reason, signal);
  }

  /**
   * Hands over what a flush has written and not handed over, if there is such: until then its blocks are in no view, and
   * what is deleted would come back with them.
   */
  async complete(reason: string, signal: AbortSignal): Promise<FlushReport | undefined> {
    const { source, blocks, log } = this.#options;
    const written = this.#written;
    if (written === undefined) return undefined;
    await source.handOver(written.sequence, written.beforeMs);
    this.#written = undefined;
    blocks.change({ add: written.blocks, headFloorMs: written.beforeMs });
    const ulids = written.blocks.map(({ meta }) => meta.ulid);
    log.info(
      { operation: "flush", reason, before: written.beforeMs, sequence: written.sequence, blocks: ulids },
      "flushed the head to blocks",
    );
    await blocks.views.settled(signal);
    await source.letGo(written.sequence, written.beforeMs, signal);
    return { beforeMs: written.beforeMs, blocks: ulids };
  }

  async #write(beforeMs: number, signal: AbortSignal): Promise<Written | undefined> {
    const { source, board } = this.#options;
    const head = source.attach();
    if (head === undefined) return undefined;
    try {
      const sequence = source.raiseFloor(beforeMs);
      // Blocks are never ahead of the log: after a power cut they would have a part of what the log lost.
      await source.durable(sequence);
      const job = { kind: "flush", head, beforeMs, sequence, blockRangeMs: BLOCK_RANGE_MS, reserveBytes: 0 } as const;
      const { blocks } = await board.run<"flush">(job, `before ${new Date(beforeMs).toISOString()}`, signal);
      return { sequence, beforeMs, blocks };
    } finally {
      source.detach(head.slot);
    }
  }
}
