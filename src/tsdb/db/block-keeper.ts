/**
 * What is done with blocks besides reading them: taking them out of the view and then off the disk, setting damaged ones
 * aside, and keeping apart who works on the same ones. A block is removed only after a view without it was published and
 * nobody reads an older one; a crash in between leaves it to the next start, which knows what was superseded.
 */
import { messageOf, TsdbError } from "../../base/errors.ts";
import { CHUNKS_DIR } from "../block/block-files.ts";
import type { BlockDamage } from "../block/damages.ts";
import type { Logger } from "../../base/logger.ts";
import type { BlockSet } from "./block-set.ts";
import type { JobBoard } from "./job-board.ts";

export interface BlockKeeperOptions {
  readonly blocks: BlockSet;
  readonly board: JobBoard;
  readonly log: Logger;
  /** Aborted when the database closes. */
  readonly closing: AbortSignal;
}

interface Work {
  readonly ulids: readonly string[];
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
}

export class BlockKeeper {
  readonly #options: BlockKeeperOptions;
  readonly #works = new Set<Work>();
  /** ULIDs that nobody may begin to merge, each as often as somebody says so. */
  readonly #held: string[] = [];
  /** Out of the view, still on disk. */
  readonly #retired = new Set<string>();
  /** One removal after another; ends when the last has ended, in whatever way. */
  #removing: Promise<void> = Promise.resolve();

  constructor(options: BlockKeeperOptions) {
    this.#options = options;
  }

  /** ULIDs of blocks that are being merged, or must not be now. */
  get busy(): ReadonlySet<string> {
    return new Set([...this.#held, ...[...this.#works].flatMap(({ ulids }) => ulids)]);
  }

  /** Runs work that replaces blocks. It may be stopped by whoever needs one of them: `exclusively`. */
  async occupy<T>(ulids: readonly string[], signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController();
    const running = run(AbortSignal.any([signal, this.#options.closing, abort.signal]));
    const work: Work = { ulids, abort, done: running.catch(() => undefined) };
    this.#works.add(work);
    try {
      return await running;
    } finally {
      this.#works.delete(work);
    }
  }

  /**
   * Stops what replaces any of these blocks, and then has them to itself. A merge may have ended in spite of it: which of
   * the blocks are still there is to be looked at in `run`.
   */
  async exclusively<T>(ulids: readonly string[], run: () => T | Promise<T>): Promise<T> {
    this.#held.push(...ulids);
    try {
      await stopped([...this.#works].filter((work) => work.ulids.some((ulid) => ulids.includes(ulid))));
      return await run();
    } finally {
      for (const ulid of ulids) this.#held.splice(this.#held.indexOf(ulid), 1);
    }
  }

  /** Stops all that replaces blocks. */
  async stopAll(): Promise<void> {
    await stopped([...this.#works]);
  }

  /** Takes blocks off the disk that are in no view any more, once nobody reads them. Does not wait for that. */
  retire(ulids: readonly string[]): void {
    const { log, closing } = this.#options;
    for (const ulid of ulids) this.#retired.add(ulid);
    if (!this.hasLeft) return;
    this.removeLeft().catch((thrown: unknown) => {
      // The next who retires or deletes something, or the next start, tries again.
      if (!closing.aborted)
        log.warn({ operation: "remove", err: thrown }, `Cannot remove blocks: ${messageOf(thrown)}`);
    });
  }

  /** Whether blocks may lie on the disk that are in no view: retired and not removed yet, or left by jobs that failed. */
  get hasLeft(): boolean {
    return this.#retired.size > 0 || this.#options.board.leftBlocks.size > 0;
  }

  /**
   * Takes such blocks off the disk, once nobody reads them. The next start might take them for blocks that stand, and they
   * know nothing of what is deleted from now on. @throws when they cannot be removed
   */
  removeLeft(): Promise<void> {
    const ulids = [...this.#retired, ...this.#options.board.leftBlocks];
    const removing = this.#removing.then(() => this.#remove(ulids));
    this.#removing = removing.catch(() => undefined);
    return removing;
  }

  async #remove(ulids: readonly string[]): Promise<void> {
    const { blocks, board, closing } = this.#options;
    await blocks.views.settled(closing);
    const left = ulids.filter((ulid) => this.#retired.has(ulid) || board.leftBlocks.has(ulid));
    if (left.length === 0) return;
    await board.run<"remove">({ kind: "remove", ulids: left }, countOf(left), closing);
    for (const ulid of left) {
      this.#retired.delete(ulid);
      board.leftBlocks.delete(ulid);
    }
  }

  /** Resolves when all that was retired is gone, or could not be removed. */
  settled(): Promise<void> {
    return this.#removing;
  }

  /** Sets a damaged block aside. Queries of its range warn from now on; the others are served. */
  async quarantine(ulid: string, reason: string): Promise<void> {
    const { blocks, board, log, closing } = this.#options;
    const isThere = await this.exclusively([ulid], () => {
      const block = blocks.find(ulid);
      if (block === undefined) return false;
      const { minTime, maxTime } = block.meta;
      blocks.change({ remove: [ulid], missing: [{ ulid, minTime, maxTime, reason }] });
      log.error(
        { operation: "quarantine", block: ulid, min_time: minTime, max_time: maxTime },
        `Block ${ulid} is damaged and set aside: ${reason}`,
      );
      return true;
    });
    if (!isThere) return;
    await blocks.views.settled(closing);
    await board.run<"quarantine">({ kind: "quarantine", ulid, reason }, ulid, closing);
  }

  /**
   * Reads a block through. When its index or what describes it is damaged it is set aside. When only chunks are, queries are
   * warned of just those and served all others: one flipped bit does not take days of all series away. Nor does a disk that
   * fails to read: what it fails with now may be whole, and is judged when it can be read.
   * @returns what is wrong with it
   */
  async verify(ulid: string, signal: AbortSignal): Promise<string | undefined> {
    const { blocks, board } = this.#options;
    // Held, so that it is not removed meanwhile.
    const held = blocks.views.acquire();
    let damages: readonly BlockDamage[];
    try {
      if (blocks.find(ulid) === undefined) return undefined;
      ({ damages } = await board.run<"verify">({ kind: "verify", ulid }, ulid, signal));
    } finally {
      held.release();
    }
    const [damage] = damages;
    const reason = damage && `${damage.file} at byte ${damage.offsetBytes}: ${damage.message}`;
    const isServable =
      damages.some(({ isReadFailure }) => isReadFailure) ||
      damages.every(({ file }) => file.startsWith(`${CHUNKS_DIR}/`));
    if (isServable) this.#judge(ulid, reason);
    else await this.quarantine(ulid, reason!);
    return reason;
  }

  #judge(ulid: string, damage: string | undefined): void {
    const { blocks, log } = this.#options;
    const block = blocks.find(ulid);
    if (block === undefined || block.damage === damage) return;
    blocks.change({ judged: { ulid, damage } });
    if (damage === undefined) log.info({ operation: "verify", block: ulid }, `Block ${ulid} is sound again`);
    else
      log.error(
        { operation: "verify", block: ulid },
        `Not all of block ${ulid} can be read; queries that need it all are warned, what can be is served: ${damage}`,
      );
  }

  /** Something read blocks and found one of them damaged: finds out which, and how badly. */
  async suspect(ulids: readonly string[], thrown: unknown, signal: AbortSignal): Promise<void> {
    if (!(thrown instanceof TsdbError && thrown.code === "BLOCK_CORRUPT")) return;
    for (const ulid of ulids) await this.verify(ulid, signal);
  }
}

/** Stops work. Resolves when it has ended, in whatever way. */
async function stopped(works: readonly Work[]): Promise<void> {
  for (const { abort } of works) abort.abort();
  await Promise.all(works.map(({ done }) => done));
}

export const countOf = (ulids: readonly string[]): string =>
  ulids.length === 1 ? ulids[0]! : `${ulids.length} blocks`;
