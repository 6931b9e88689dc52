/**
 * Keys of resources that are to be looked at. A key waits here once, however often it is added; one that is being worked on
 * and added meanwhile comes again afterwards. What failed comes again later and later, each key by itself, so that one
 * resource that always fails holds up nobody.
 *
 *   add ──▶ waiting ──▶ running ──▶ done
 *             ▲            │ added meanwhile: dirty, waits again at once
 *             └── delayed ◀┴ failed: 1 s, 2 s, 4 s, ... 5 min
 */
import type { Clock, Timer } from "../../base/clock.ts";

export interface QueueOptions {
  readonly clock: Clock;
  /** Keys that are worked on at once. */
  readonly concurrency: number;
  /** Does what a key asks for. Rejects when it must be tried again. */
  readonly work: (key: string) => Promise<void>;
  readonly onError: (key: string, error: unknown, retryInMs: number) => void;
}

export const RETRY_MS_MIN = 1_000;
export const RETRY_MS_MAX = 300_000;

interface KeyState {
  isWaiting: boolean;
  isRunning: boolean;
  /** Added while it was running. */
  isDirty: boolean;
  failures: number;
  addedMs: number;
  timer: Timer | undefined;
  timerDueMs: number;
}

export interface QueueStats {
  readonly depth: number;
  readonly running: number;
  readonly addsTotal: number;
  readonly retriesTotal: number;
  /** How long the oldest key has waited, ms. */
  readonly oldestWaitMs: number;
}

export class WorkQueue {
  readonly #options: QueueOptions;
  readonly #keys = new Map<string, KeyState>();
  readonly #waiting = new Set<string>();
  #running = 0;
  #isStopped = false;
  #idle: (() => void) | undefined;
  #addsTotal = 0;
  #retriesTotal = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Asks for work on a key, at once. */
  add(key: string): void {
    if (this.#isStopped) return;
    this.#addsTotal++;
    const state = this.#state(key);
    // An edit deserves a fresh look even while an earlier failure is being waited for; its count of failures stays.
    state.timer?.cancel();
    state.timer = undefined;
    if (state.isRunning) state.isDirty = true;
    else this.#wait(key, state);
  }

  /** Asks for work on a key after a while, unless it is asked for earlier. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isStopped) return;
    const state = this.#state(key);
    if (state.isWaiting) return;
    const dueMs = this.#options.clock.monotonicMs() + delayMs;
    if (state.timer !== undefined && state.timerDueMs <= dueMs) return;
    state.timer?.cancel();
    state.timerDueMs = dueMs;
    state.timer = this.#options.clock.after(delayMs, () => {
      state.timer = undefined;
      if (state.isRunning) state.isDirty = true;
      else this.#wait(key, state);
    });
  }

  /** Nothing new is begun; resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const { timer } of this.#keys.values()) timer?.cancel();
    this.#waiting.clear();
    if (this.#running > 0) await new Promise<void>((resolve) => void (this.#idle = resolve));
  }

  stats(): QueueStats {
    const nowMs = this.#options.clock.monotonicMs();
    const [oldest] = this.#waiting;
    return {
      depth: this.#waiting.size,
      running: this.#running,
      addsTotal: this.#addsTotal,
      retriesTotal: this.#retriesTotal,
      oldestWaitMs: oldest === undefined ? 0 : nowMs - this.#keys.get(oldest)!.addedMs,
    };
  }

  #state(key: string): KeyState {
    let state = this.#keys.get(key);
    if (state === undefined) {
      state = {
        isWaiting: false,
        isRunning: false,
        isDirty: false,
        failures: 0,
        addedMs: 0,
        timer: undefined,
        timerDueMs: 0,
      };
      this.#keys.set(key, state);
    }
    return state;
  }

  #wait(key: string, state: KeyState): void {
    if (state.isWaiting || this.#isStopped) return;
    state.isWaiting = true;
    state.addedMs = this.#options.clock.monotonicMs();
    this.#waiting.add(key);
    this.#runNext();
  }

  #runNext(): void {
    for (const key of this.#waiting) {
      if (this.#running >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      void this.#run(key, this.#keys.get(key)!);
    }
  }

  async #run(key: string, state: KeyState): Promise<void> {
    state.isWaiting = false;
    state.isRunning = true;
    state.isDirty = false;
    this.#running++;
    let retryInMs: number | undefined;
    try {
      await this.#options.work(key);
      state.failures = 0;
    } catch (error) {
      retryInMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(state.failures++, 16));
      this.#retriesTotal++;
      this.#options.onError(key, error, retryInMs);
    }
    state.isRunning = false;
    this.#running--;
    if (this.#isStopped) {
      if (this.#running === 0) this.#idle?.();
      return;
    }
    if (state.isDirty) this.#wait(key, state);
    else if (retryInMs !== undefined) this.addAfter(key, retryInMs);
    else if (state.timer === undefined) this.#keys.delete(key);
    this.#runNext();
  }
}
