/**
 * Gives back the memory of series that went away: drives the kernel's collection (kernel/assembly/collect.ts) in slices
 * between which everything else on the main thread has its turn. The database asks for a pass after a flush, and after a
 * retention that dropped something; series are gone when nothing of them is left in the head and all that they had is
 * durable.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { nextTurn } from "../../base/turn.ts";
import { COLLECT } from "../kernel/head-exports.ts";
import type { HeadMemory } from "../kernel/head-memory.ts";

export interface CollectorOptions {
  readonly memory: HeadMemory;
  readonly clock: Clock;
  readonly log: Logger;
}

/** In tens of nanoseconds, roughly: a slice takes some tenths of a millisecond at most. */
const WORK_PER_TURN = 4096;
/** Between two looks whether the log has been synced. */
const SYNC_WAIT_MS = 250;

export class Collector {
  readonly #options: CollectorOptions;
  #passing: Promise<void> | undefined;
  #isStopped = false;
  #wait: { readonly timer: Timer; readonly end: () => void } | undefined;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** A pass over all series. Resolves when it is done; one that is under way is joined. */
  collect(): Promise<void> {
    this.#passing ??= this.#pass().finally(() => (this.#passing = undefined));
    return this.#passing;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wait?.timer.cancel();
    this.#wait?.end();
    await this.#passing;
  }

  async #pass(): Promise<void> {
    const { memory, clock, log } = this.#options;
    const { at, kernel } = memory;
    const collectedBefore = memory.i64(at.H_SERIES_COLLECTED);
    const startMs = clock.monotonicMs();
    kernel.collectBegin();
    while (!this.#isStopped) {
      const code = kernel.collectSome(WORK_PER_TURN);
      if (code === COLLECT.done) break;
      if (code === COLLECT.unsynced) await this.#sleep();
      else await nextTurn();
    }
    const series = memory.i64(at.H_SERIES_COLLECTED) - collectedBefore;
    if (series === 0) return;
    log.info(
      {
        operation: "collect",
        series,
        free_bytes: Number(kernel.heapBytesFree()),
        duration_ms: Math.round(clock.monotonicMs() - startMs),
      },
      "collected series that went away",
    );
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wait = { timer: this.#options.clock.after(SYNC_WAIT_MS, resolve), end: resolve };
    });
  }
}
