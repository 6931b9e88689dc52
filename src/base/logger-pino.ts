/**
 * The log of a process: pino behind our Logger interface. One JSON object a line with `level` as a word, `ts` in RFC 3339
 * UTC with milliseconds, `msg`, and the fields of the call; or text for people, through pino-pretty in this process.
 *
 * Lines are written from the thread pool, never by the calling thread. When whoever reads the log stops reading, lines
 * beyond 4 MiB are dropped: the database neither blocks nor grows for a log.
 */
import { pino } from "pino";
import { messageOf, TsdbError } from "./errors.ts";
import type { Logger } from "./logger.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "json" | "text";
  readonly output: "stdout" | "stderr";
  /** Only for text. */
  readonly color?: boolean;
}

export interface ProcessLogger extends Logger {
  setLevel(level: LogLevel): void;
  /** Resolves once all is written; the logger is not used after. */
  close(): Promise<void>;
  /** For a process that dies now: writes what is buffered before it returns, the last lines perhaps out of order. */
  flushNow(): void;
}

interface LineWriter {
  write(line: string): void;
}

export async function createLogger(options: LogOptions): Promise<ProcessLogger> {
  const fd = options.output === "stdout" ? 1 : 2;
  const destination = pino.destination({ fd, sync: false, maxLength: 4 * 1024 * 1024 });
  // A reader that went away (EPIPE) must not take the database with it.
  destination.on("error", () => {});
  const lines: LineWriter = options.format === "json" ? destination : await asText(destination, options.color ?? false);
  const log = loggerTo(lines, options.level);
  return {
    ...log,
    close: () =>
      new Promise((resolve) => {
        destination.once("close", resolve);
        destination.once("error", () => resolve());
        destination.end();
      }),
    flushNow() {
      try {
        destination.flushSync();
      } catch {
        // Nobody reads the log any more; there is nowhere left to say so.
      }
    },
  };
}

/** A logger that hands finished JSON lines to `lines`. */
export function loggerTo(lines: LineWriter, level: LogLevel): Omit<ProcessLogger, "close" | "flushNow"> {
  const log = pino(
    {
      level,
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (thrown: unknown) => describeError(thrown, log.level === "debug") },
    },
    lines,
  );
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    setLevel: (next) => void (log.level = next),
  };
}

/** An error as one field: its message, code, remedy and causes; the stack only for who asked for details. */
function describeError(thrown: unknown, withStack: boolean): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const chain: string[] = [];
  for (
    let at: unknown = thrown;
    at !== undefined && chain.length < 5;
    at = at instanceof Error ? at.cause : undefined
  ) {
    const message = messageOf(at);
    if (!chain.some((said) => said.includes(message))) chain.push(message);
  }
  const code = thrown instanceof TsdbError ? thrown.code : (thrown as NodeJS.ErrnoException).code;
  return {
    message: chain.join(": "),
    ...(code === undefined ? {} : { code }),
    ...(thrown instanceof TsdbError && thrown.remedy !== undefined ? { remedy: thrown.remedy } : {}),
    // A bug's stack is its whole story; what users and the world cause is told by the message.
    ...(withStack || !(thrown instanceof TsdbError) ? { stack: thrown.stack } : {}),
  };
}

interface Described {
  readonly message?: string;
  readonly remedy?: string;
  readonly stack?: string;
}

/** What was thrown and is no error is shown as it is. */
function errorText(error: Described | string): string {
  if (typeof error === "string") return error;
  const { message = JSON.stringify(error), remedy } = error;
  return remedy === undefined ? message : `${message}. ${remedy}.`;
}

async function asText(destination: LineWriter, color: boolean): Promise<LineWriter> {
  const { prettyFactory } = await import("pino-pretty");
  const format = prettyFactory({
    colorize: color,
    timestampKey: "ts",
    translateTime: "UTC:yyyy-mm-dd'T'HH:MM:ss.l'Z'",
    singleLine: true,
    // The stack of a bug is for reading; of any other error its sentence stands among the fields.
    errorLikeObjectKeys: [],
    customPrettifiers: { error: errorText },
    messageFormat: (line, messageKey) => {
      const { stack } = (line["error"] ?? {}) as Described;
      return `${String(line[messageKey])}${stack === undefined ? "" : `\n${stack}`}`;
    },
  });
  return { write: (line) => destination.write(format(line)) };
}
