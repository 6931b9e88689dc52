/**
 * A clock that stands still until a test moves it. Timers run inside `advance`, in the order they fall due, each at its own
 * time; what they start asynchronously runs when the test next awaits. The wall clock can be moved alone, as NTP or an
 * operator would.
 */
import type { Clock, Timer } from "../../src/base/clock.ts";

interface PendingTimer extends Timer {
  readonly dueMs: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  readonly #timers = new Set<PendingTimer>();

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = nowMs;
  }

  nowMs(): number {
    return Math.floor(this.#wallMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const timer: PendingTimer = {
      dueMs: this.#monotonicMs + Math.max(0, delayMs),
      run,
      cancel: () => void this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    return timer;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Moves both clocks on, running every timer that falls due, those that timers set included. */
  advance(durationMs: number): void {
    const endMs = this.#monotonicMs + durationMs;
    for (let next = this.#nextDue(endMs); next; next = this.#nextDue(endMs)) {
      this.#moveTo(Math.max(next.dueMs, this.#monotonicMs));
      this.#timers.delete(next);
      next.run();
    }
    this.#moveTo(endMs);
  }

  /** Moves both clocks on and runs nothing, as if the process had been stopped; what fell due runs when it goes on. */
  skip(durationMs: number): void {
    this.#moveTo(this.#monotonicMs + durationMs);
  }

  /** Moves the wall clock alone, either way; no timer notices. */
  jumpWall(byMs: number): void {
    this.#wallMs += byMs;
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }

  /** Of equal times the one that was set first: a Set keeps insertion order. */
  #nextDue(endMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) if (timer.dueMs <= endMs && (!next || timer.dueMs < next.dueMs)) next = timer;
    return next;
  }
}
