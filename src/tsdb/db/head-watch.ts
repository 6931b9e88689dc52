/** Looks at the head now and then, and knows for how long something has waited in it: what the flush policy asks for. */
import type { Clock } from "../../base/clock.ts";
import type { FlushDecision, HeadFacts } from "./flush-policy.ts";
import { flushDecision } from "./flush-policy.ts";

export type HeadNow = Pick<HeadFacts, "minTimeMs" | "maxTimeMs" | "floorMs" | "lateRows" | "memoryBytes"> & {
  readonly samplesTotal: number;
};

export class HeadWatch {
  readonly #clock: Clock;
  readonly #memoryBytesMax: number;
  #memoryBytesAfterFlush = 0;
  /** Since when something is in the head that was not there at the last flush. */
  #waitingSinceMs: number | undefined;
  #samplesAtFlush = -1;
  #newest: { readonly timeMs: number; readonly seenMs: number } | undefined;

  constructor(clock: Clock, memoryBytesMax: number) {
    this.#clock = clock;
    this.#memoryBytesMax = memoryBytesMax;
  }

  decide(head: HeadNow): FlushDecision | undefined {
    const nowMs = this.#clock.monotonicMs();
    const { maxTimeMs, samplesTotal } = head;
    if (maxTimeMs === undefined) return undefined;
    if (this.#newest?.timeMs !== maxTimeMs) this.#newest = { timeMs: maxTimeMs, seenMs: nowMs };
    const hasUnflushed = maxTimeMs >= head.floorMs || samplesTotal !== this.#samplesAtFlush;
    if (!hasUnflushed) this.#waitingSinceMs = undefined;
    else this.#waitingSinceMs ??= nowMs;
    return flushDecision({
      ...head,
      memoryBytesMax: this.#memoryBytesMax,
      memoryBytesAfterFlush: this.#memoryBytesAfterFlush,
      waitedMs: nowMs - (this.#waitingSinceMs ?? nowMs),
      quietMs: nowMs - this.#newest.seenMs,
    });
  }

  /** A flush is over; this is what is left. */
  flushed({ samplesTotal, memoryBytes }: HeadNow): void {
    this.#memoryBytesAfterFlush = memoryBytes;
    this.#samplesAtFlush = samplesTotal;
    this.#waitingSinceMs = undefined;
  }
}
