/** Ctrl-C during a command that must not be cut off in the middle: the first one asks it to stop, a second one ends it. */
import { systemClock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import { CommandError, exitCodes } from "./exit.ts";

/** Ctrl-C reaches each process of a foreground group, and some pass it on: signals this close together are one press. */
const SAME_PRESS_MS = 500;

/**
 * @param use stops at its next look once the signal is aborted, with an error CANCELED
 * @param leftBehind what a stop has left, as a sentence
 */
export async function interruptible<T>(use: (signal: AbortSignal) => Promise<T>, leftBehind: string): Promise<T> {
  const controller = new AbortController();
  let firstMs: number | undefined;
  const onSignal = (): void => {
    const nowMs = systemClock.monotonicMs();
    if (firstMs === undefined) {
      firstMs = nowMs;
      controller.abort();
    } else if (nowMs - firstMs > SAME_PRESS_MS) process.exit(exitCodes.interrupted);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    return await use(controller.signal);
  } catch (thrown) {
    if (controller.signal.aborted && thrown instanceof TsdbError && thrown.code === "CANCELED")
      throw new CommandError(exitCodes.interrupted, `stopped: ${leftBehind}`);
    throw thrown;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** For loops: throws once the signal is aborted. */
export const checkOf = (signal: AbortSignal) => (): void => {
  if (signal.aborted) throw new TsdbError("CANCELED", "The work was stopped before it was done");
};
