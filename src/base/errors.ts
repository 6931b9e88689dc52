/**
 * The one error type of what users and the world can cause. A code never changes its meaning: src/tsdb/http/errors.ts is
 * the one table from code to HTTP status, docs/reference/errors.md explains each code, and a test holds all three together.
 */
export type ErrorCode =
  | "BAD_REQUEST" // malformed input: body, parameter, header
  | "UNSUPPORTED_MEDIA_TYPE" // a write whose Content-Type or Content-Encoding is none of ours
  | "BODY_TOO_LARGE" // larger than a limit that the message names
  | "SAMPLES_REJECTED" // some samples were refused, the others are stored
  | "BAD_QUERY" // PromQL that does not parse or type-check
  | "NOT_YET_SUPPORTED" // PromQL that is valid but that this version does not run
  | "QUERY_EXECUTION" // a query that failed while it ran, such as many-to-many matching
  | "QUERY_LIMIT" // samples, series or memory of one query
  | "QUERY_TIMEOUT"
  | "QUERY_CANCELED"
  | "OVERLOADED" // try again: Retry-After
  | "SERIES_LIMIT" // the head is full: new series are refused, known ones go on
  | "NOT_READY" // starting, replaying the WAL, or stopping
  | "READ_ONLY" // storage cannot take writes now
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "MANAGED" // a setting that only the configuration file may change
  | "NO_SPACE" // maintenance work that the volume has no room for
  | "BAD_CONFIG"
  | "DATA_DIR_LOCKED"
  | "FORMAT_TOO_NEW"
  | "WAL_CORRUPT"
  | "CHUNK_CORRUPT"
  | "BLOCK_CORRUPT" // a block, or a part of one, that is not as it was written
  | "CANCELED" // maintenance work that was stopped
  | "CLUSTER" // the API server of Kubernetes refused, or did not answer; in the operator only
  | "IO"
  | "INTERNAL";

export class TsdbError extends Error {
  override readonly name: string = "TsdbError";
  readonly code: ErrorCode;
  /** What the user can do about it, as a sentence; absent when the message says it all. */
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
  }
}

/** The message of whatever was thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** The errno code ("ENOENT", "ENOSPC", ...) of a failed system call. */
export function errnoOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}
