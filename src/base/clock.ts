/**
 * Time, handed to whatever needs it, so that a test decides what time it is. The wall clock says which samples are new or
 * old; durations and deadlines are measured with the monotonic clock, because the wall clock may jump.
 */
export interface Clock {
  /** Wall time in whole ms since the epoch. */
  nowMs(): number;
  /** Milliseconds, with fraction, since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`; the timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
