/** Ctrl-C while something must not be cut off in the middle: the first one asks it to stop, a second one ends it. */
import { systemClock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import { canceled } from "../maintenance/job-context.ts";
import { CommandError, exitCodes } from "./exit.ts";

/**
 * Ctrl-C reaches the whole foreground group: npm, the Node that handed over, and this process, which gets it once from the
 * terminal and again from each that passes it on. Signals this close together are one key press.
 */
const SAME_PRESS_MS = 500;

/**
 * Listens for SIGINT and SIGTERM.
 * @param first called with the first one
 * @param again called with each that comes later and is no echo of the first
 * @returns stops listening
 */
export function onStopSignals(
  first: (signal: NodeJS.Signals) => void,
  again: (signal: NodeJS.Signals) => void,
): () => void {
  let firstMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    const nowMs = systemClock.monotonicMs();
    if (firstMs === undefined) {
      firstMs = nowMs;
      first(signal);
    } else if (nowMs - firstMs > SAME_PRESS_MS) again(signal);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return () => void process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
}

/**
 * @param use stops at its next look once the signal is aborted, with an error CANCELED
 * @param leftBehind what a stop has left, as a sentence
 */
export async function interruptible<T>(use: (signal: AbortSignal) => Promise<T>, leftBehind: string): Promise<T> {
  const controller = new AbortController();
  const stopListening = onStopSignals(
    () => controller.abort(),
    () => process.exit(exitCodes.interrupted),
  );
  try {
    return await use(controller.signal);
  } catch (thrown) {
    if (controller.signal.aborted && thrown instanceof TsdbError && thrown.code === "CANCELED")
      throw new CommandError(exitCodes.interrupted, `stopped: ${leftBehind}`);
    throw thrown;
  } finally {
    stopListening();
  }
}

/** For loops: throws once the signal is aborted. */
export const checkOf = (signal: AbortSignal) => (): void => {
  if (signal.aborted) throw canceled();
};
