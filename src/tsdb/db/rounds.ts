/** Work that is done again and again, never twice at one time: a round, a rest, the next round. */
import type { Clock, Timer } from "../../base/clock.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";

export interface RoundsOptions {
  /** For the log. */
  readonly operation: string;
  /** Between the end of one round and the beginning of the next. */
  readonly restMs: () => number;
  readonly round: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Rounds {
  readonly #options: RoundsOptions;
  readonly #stop = new AbortController();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** The last round failed: the next failure is not told as loudly. */
  #hasFailed = false;

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#stop.signal.aborted) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(this.#options.restMs(), () => void this.now());
  }

  /** Does a round now, or joins the one that is under way. Never rejects. */
  now(): Promise<void> {
    this.#timer?.cancel();
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined;
      this.start();
    });
    return this.#running;
  }

  /** Ends the round that is under way, and has no other. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    await this.#running;
  }

  async #round(): Promise<void> {
    const { operation, round, log } = this.#options;
    const { signal } = this.#stop;
    if (signal.aborted) return;
    try {
      await round(signal);
      this.#hasFailed = false;
    } catch (thrown) {
      if (signal.aborted || (thrown instanceof TsdbError && thrown.code === "CANCELED")) return;
      const message = `Maintenance failed, and is tried again: ${messageOf(thrown)}`;
      log[this.#hasFailed ? "debug" : "error"]({ operation, err: thrown }, message);
      this.#hasFailed = true;
    }
  }
}
