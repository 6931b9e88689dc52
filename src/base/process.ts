/** What every long-running process of ours does with signals and with bugs. Leaving the process is the caller's to do. */
import { systemClock } from "./clock.ts";
import { messageOf } from "./errors.ts";
import type { ProcessLogger } from "./logger-pino.ts";

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
 * Resolves with the first signal that asks to stop.
 * @param exit called with another one, after what was logged is written
 */
export function stopSignal(log: ProcessLogger, exit: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    onStopSignals(resolve, (signal) => {
      log.warn({ signal }, "told to stop again: exiting at once");
      log.flushNow();
      exit();
    });
  });
}

/** Only a bug gets to `exit`. The state is unknown then, so nothing is tried but to say so. */
export function exitOnBug(log: ProcessLogger, exit: () => void): void {
  const die = (thrown: unknown): void => {
    log.error({ error: thrown }, `internal error, exiting: ${messageOf(thrown)}`);
    log.flushNow();
    exit();
  };
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);
}
