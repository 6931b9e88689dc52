/** Waiting that ends: calls that may take only so long, and pauses that somebody may cut short. */
import type { Clock, Timer } from "../../base/clock.ts";

/** Why a call was ended from our side. */
export type EndReason = "timeout" | "canceled";

/** A signal that is aborted when the time is up or when `outer` is; to be ended once the call is over. */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #endsMs: number;
  readonly #outer: AbortSignal | undefined;
  #timer: Timer | undefined;
  #reason: EndReason | undefined;

  constructor(clock: Clock, limitMs: number, outer?: AbortSignal) {
    this.#clock = clock;
    this.#endsMs = clock.monotonicMs() + limitMs;
    this.#outer = outer;
    this.#timer = clock.after(limitMs, () => this.#end("timeout"));
    if (outer?.aborted === true) this.#end("canceled");
    else outer?.addEventListener("abort", this.#cancel, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Undefined while the call may go on. */
  get reason(): EndReason | undefined {
    return this.#reason;
  }

  get leftMs(): number {
    return Math.max(0, this.#endsMs - this.#clock.monotonicMs());
  }

  /** From here on only `outer` ends it: what had to come in time has come. */
  lift(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.lift();
    this.#outer?.removeEventListener("abort", this.#cancel);
  }

  readonly #cancel = (): void => this.#end("canceled");

  #end(reason: EndReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this[Symbol.dispose]();
    this.#controller.abort();
  }
}

/** Resolves after a while, or at once when the signal is aborted; the caller looks which. */
export function pause(clock: Clock, durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(durationMs, end);
    signal.addEventListener("abort", end, { once: true });
  });
}
