/** What can go wrong between a client and the API server, and how it is made to. */
import type { RecordedRequest } from "./recording.ts";

export type Fault =
  /** Answered by the proxy: 429, 500, 503, 409, 410, 403 ... The API server never hears of it. */
  | {
      readonly kind: "status";
      readonly code: number;
      readonly reason?: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    }
  /** The connection, with all that goes on in it, is cut before the API server is asked. */
  | { readonly kind: "reset" }
  /** Only this request's stream is cut, where HTTP/2 is spoken; otherwise as "reset". */
  | { readonly kind: "stream-reset" }
  /** The API server did it, and the connection is cut before the answer: the client cannot know. */
  | { readonly kind: "lost-answer" }
  /** Never answered. */
  | { readonly kind: "hang" }
  /** Passed on this much later. */
  | { readonly kind: "latency"; readonly ms: number }
  /** Runs before the API server is asked, or after it answered and before the client learns of it. */
  | { readonly kind: "before" | "after"; readonly run: (request: RecordedRequest) => void | Promise<void> }
  /** A watch that goes wrong from its beginning; `FaultProxy.watches` does it to those that are open. */
  | { readonly kind: "watch"; readonly how: Disturbance };

/** What a watch can be made to do. */
export type Disturbance =
  /** The stream ends as the server's own timeout ends it. */
  | "end"
  /** The connection is cut. */
  | "cut"
  /** An ERROR event, 410 Expired, and the end. */
  | "gone"
  /** An ERROR event, 500, and the end. */
  | "error"
  /** A line that is no JSON, before the next event; the watch goes on. */
  | "garbage"
  /** The next event is broken off in the middle of its line, and the stream ended. */
  | "truncate"
  /** The socket stays open and nothing comes any more. */
  | "silence"
  /** Events are held back until `resume`. */
  | "hold";

const REASONS: Readonly<Record<number, string>> = {
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** The Status object that the API server would have sent. */
export const statusBody = ({
  code,
  reason = REASONS[code] ?? "",
  message = `the fault proxy answers ${code}`,
  retryAfterSeconds,
}: {
  readonly code: number;
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
}): object => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message,
  reason,
  code,
  ...(retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } }),
});
