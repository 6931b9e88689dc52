/** How commands end: exit codes, and errors that are told in a sentence instead of a stack. */
import { type ErrorCode, errnoOf, TsdbError } from "../../base/errors.ts";

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  foundProblems: 3,
  notReachable: 4,
  formatTooNew: 5,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeHelp = `
Exit codes:
  0    done
  1    failed
  2    wrong usage: unknown command, flag or value, bad configuration
  3    a check found problems: data are damaged, or a configuration is bad
  4    the server cannot be reached, or is not ready
  5    the data directory was written by a newer version
  130  interrupted`;

/** Ends a command with a message and an exit code of its own. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  readonly remedy: string | undefined;
  constructor(exitCode: ExitCode, message: string, remedy?: string) {
    super(message);
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}

/** What the user reads about something that was thrown, one line each; a stack only for bugs, and only when asked for. */
export function tell(
  thrown: unknown,
  debug: boolean,
): { readonly lines: readonly string[]; readonly exitCode: ExitCode } {
  if (thrown instanceof CommandError || thrown instanceof TsdbError) {
    // Each line of a bad configuration is a problem of its own; other messages go on in the next line.
    const isList = thrown instanceof TsdbError && thrown.code === "BAD_CONFIG";
    const lines = thrown.message.split("\n").map((line, i) => `${i === 0 || isList ? "tsdb:" : "     "} ${line}`);
    if (thrown.remedy !== undefined) lines.push(`      ${thrown.remedy}${/[.?]$/.test(thrown.remedy) ? "" : "."}`);
    if (thrown instanceof CommandError) return { lines, exitCode: thrown.exitCode };
    return { lines, exitCode: exitCodeOf(thrown) };
  }
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  // What a system call says is for the user, and is enough.
  if (errnoOf(thrown) !== undefined && !debug) return { lines: [`tsdb: ${text}`], exitCode: exitCodes.failed };
  const stack = debug && thrown instanceof Error && thrown.stack ? [thrown.stack] : [];
  return {
    lines: [`tsdb: unexpected error: ${text} (TSDB_DEBUG=1 shows where)`, ...stack],
    exitCode: exitCodes.failed,
  };
}

const exitCodeByError: Partial<Record<ErrorCode, ExitCode>> = {
  BAD_CONFIG: exitCodes.usage,
  BLOCK_CORRUPT: exitCodes.foundProblems,
  CHUNK_CORRUPT: exitCodes.foundProblems,
  WAL_CORRUPT: exitCodes.foundProblems,
  FORMAT_TOO_NEW: exitCodes.formatTooNew,
};

const exitCodeOf = ({ code }: TsdbError): ExitCode => exitCodeByError[code] ?? exitCodes.failed;
