/**
 * THE table from error code to HTTP answer; docs/reference/errors.md explains each row and a test holds the two together.
 * Senders of remote write repeat what got a 5xx and drop what got a 4xx, so everything that a second try can cure is 503
 * with Retry-After, and only what will never be accepted is a 4xx. Error types are Prometheus' own.
 */
import type { ErrorCode } from "../../base/errors.ts";
import { TsdbError } from "../../base/errors.ts";

export type ErrorType =
  | "timeout"
  | "canceled"
  | "execution"
  | "bad_data"
  | "internal"
  | "unavailable"
  | "not_found"
  | "not_acceptable";

export interface HttpError {
  readonly status: number;
  readonly errorType: ErrorType;
  /** Present where trying again later helps. */
  readonly retryAfterSeconds?: number;
  /** Messages of these may name files and devices; the client is told `INTERNAL_MESSAGE`, the log has the rest. */
  readonly isInternal?: true;
}

const badData = (status: number): HttpError => ({ status, errorType: "bad_data" });
const execution: HttpError = { status: 422, errorType: "execution" };
const unavailable = (retryAfterSeconds: number): HttpError => ({
  status: 503,
  errorType: "unavailable",
  retryAfterSeconds,
});
const internal: HttpError = { status: 500, errorType: "internal", isInternal: true };

export const httpErrors: Readonly<Record<ErrorCode, HttpError>> = {
  BAD_REQUEST: badData(400),
  UNSUPPORTED_MEDIA_TYPE: badData(415),
  BODY_TOO_LARGE: badData(413),
  SAMPLES_REJECTED: badData(400),
  BAD_QUERY: badData(400),
  NOT_YET_SUPPORTED: execution,
  QUERY_EXECUTION: execution,
  QUERY_LIMIT: execution,
  QUERY_TIMEOUT: { status: 503, errorType: "timeout" },
  QUERY_CANCELED: { status: 499, errorType: "canceled" },
  OVERLOADED: unavailable(2),
  SERIES_LIMIT: unavailable(30),
  NOT_READY: unavailable(5),
  READ_ONLY: unavailable(15),
  NOT_FOUND: { status: 404, errorType: "not_found" },
  METHOD_NOT_ALLOWED: badData(405),
  MANAGED: badData(409),
  NO_SPACE: { status: 507, errorType: "unavailable" },
  BAD_CONFIG: internal,
  DATA_DIR_LOCKED: internal,
  FORMAT_TOO_NEW: internal,
  WAL_CORRUPT: internal,
  CHUNK_CORRUPT: internal,
  BLOCK_CORRUPT: internal,
  CANCELED: unavailable(5),
  CLUSTER: internal,
  IO: internal,
  INTERNAL: internal,
};

export const INTERNAL_MESSAGE = "The server failed to answer; its log says why";

/** An error as it goes out. */
export interface ErrorAnswer {
  readonly status: number;
  readonly body: string;
  readonly retryAfterSeconds: number | undefined;
}

/** What to answer for whatever was thrown: never a stack, a path, or the text of an error that is not ours. */
export function answerFor(thrown: unknown): ErrorAnswer {
  const error = thrown instanceof TsdbError ? thrown : undefined;
  const { status, errorType, retryAfterSeconds, isInternal } = httpErrors[error?.code ?? "INTERNAL"];
  const message = error === undefined || isInternal ? INTERNAL_MESSAGE : sentenceOf(error);
  return { status, retryAfterSeconds, body: errorBody(errorType, message) };
}

export const errorBody = (errorType: ErrorType, message: string): string =>
  JSON.stringify({ status: "error", errorType, error: message });

const sentenceOf = ({ message, remedy }: TsdbError): string =>
  remedy === undefined ? message : `${message}. ${remedy}`;
