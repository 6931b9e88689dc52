/** Ctrl-C while something must not be cut off in the middle: the first one asks it to stop, a second one ends it. */
import { TsdbError } from "../../base/errors.ts";
import { onStopSignals } from "../../base/process.ts";
import { canceled } from "../maintenance/job-context.ts";
import { CommandError, exitCodes } from "./exit.ts";

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
