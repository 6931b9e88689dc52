/**
 * Reads every block through in the background, one at a time, and compares it with its checksums: what rots is found while
 * there is still a backup that has it whole. The block that was checked longest ago comes first; between two there is a
 * rest, such that all are done within the interval, and never without a pause.
 */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { BlockKeeper } from "./block-keeper.ts";
import type { BlockSet } from "./block-set.ts";

export interface ScrubberOptions {
  readonly blocks: BlockSet;
  readonly keeper: BlockKeeper;
  /** In which every block is read once; 0: never. */
  readonly intervalMs: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

const REST_MS_MIN = 10_000;
/** Also the time after which a change of the interval is seen. */
const REST_MS_MAX = 60_000;

export class Scrubber {
  readonly #options: ScrubberOptions;
  /** ULIDs, when (monotonic) they were read last. A block counts as read when it was made: it was verified then. */
  readonly #readMs = new Map<string, number>();
  blocksTotal = 0;

  constructor(options: ScrubberOptions) {
    this.#options = options;
  }

  restMs(): number {
    const { blocks, intervalMs } = this.#options;
    const share = intervalMs() / Math.max(1, blocks.all.length) / 2;
    return Math.min(REST_MS_MAX, Math.max(REST_MS_MIN, share));
  }

  /** Reads the block that is due, if one is. */
  async round(signal: AbortSignal): Promise<void> {
    const { blocks, keeper, intervalMs, clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    const known = new Set(blocks.all.map(({ meta }) => meta.ulid));
    for (const ulid of this.#readMs.keys()) if (!known.has(ulid)) this.#readMs.delete(ulid);
    for (const ulid of known) if (!this.#readMs.has(ulid)) this.#readMs.set(ulid, nowMs);
    if (intervalMs() === 0) return;
    const [due] = [...this.#readMs].sort(([, a], [, b]) => a - b);
    if (due === undefined || nowMs - due[1] < intervalMs() / 2) return;
    const [ulid] = due;
    const damage = await keeper.verify(ulid, signal);
    this.#readMs.set(ulid, clock.monotonicMs());
    this.blocksTotal++;
    log.debug({ operation: "scrub", block: ulid, damage }, "block was read through");
  }
}
