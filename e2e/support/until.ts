/** Waiting for something to become so, by asking again and again. */
import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

export interface UntilOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

/** The first answer of `probe` that is not undefined. @throws when there was none in time; what `probe` throws */
export async function until<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  { timeoutMs = 30_000, everyMs = 50 }: UntilOptions = {},
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (performance.now() > deadlineMs) throw new Error(`waited ${timeoutMs / 1000} s in vain for ${what}`);
    await sleep(everyMs);
  }
}
