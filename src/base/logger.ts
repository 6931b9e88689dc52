/**
 * The log as the code sees it, a subset of pino's interface. Fields first, then the message, as pino has it:
 * `log.info({ entries, duration_ms }, "replaying WAL")`. Field names are snake_case: they are read by jq, not by us.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** For tests and tools that have nothing to say. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
