/**
 * POST /api/v1/write, on Node's own request and response: Fastify's way to a handler costs as much per request as storing a
 * hundred samples, so app.ts sends this one path here before routing.
 *
 *   headers ─▶ what is it? ─▶ is there room? ─▶ body, one buffer ─▶ database.write ─▶ durable ─▶ 204
 *
 * Room: the bytes of all bodies being received or handled are bounded, and taken before a byte is read, so overload shows
 * as 503 before memory grows. A small body counts as BODY_BYTES_MIN, because a request costs more than its bytes.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { TsdbError, messageOf } from "../../base/errors.ts";
import type { Rejection, WriteRequest, WriteResult } from "../storage.ts";
import type { AppDeps } from "./deps.ts";
import { answerFor } from "./errors.ts";
import type { HttpCounters } from "./metrics.ts";
import { notReady } from "./readiness.ts";

export const WRITE_PATH = "/api/v1/write";

const BODY_BYTES_MIN = 4096;

export type WriteHandler = (request: IncomingMessage, response: ServerResponse) => void;

export function createWriteHandler(deps: AppDeps, counters: HttpCounters): WriteHandler {
  const { database, clock, log, options } = deps;

  return (request, response) => {
    const admission = admit(request);
    if (admission instanceof TsdbError) return refuse(request, response, admission);
    const { format, reservedBytes } = admission;
    counters.bodyBytesInFlight += reservedBytes;
    const release = () => (counters.bodyBytesInFlight -= reservedBytes);
    readBody(request, options.bodyBytesMax, (body) => {
      if (body instanceof Uint8Array) return void write({ format, body }, response).finally(release);
      if (body !== undefined) refuse(request, response, body);
      release();
    });
  };

  function admit(request: IncomingMessage): { format: WriteRequest["format"]; reservedBytes: number } | TsdbError {
    const unready = notReady(database, "write");
    if (unready !== undefined) return unready;
    const format = formatOf(request);
    if (format instanceof TsdbError) return format;
    const length = request.headers["content-length"];
    const bodyBytes = length === undefined ? options.bodyBytesMax : Number(length);
    if (bodyBytes > options.bodyBytesMax) return bodyTooLarge(options.bodyBytesMax);
    const reservedBytes = Math.max(bodyBytes, BODY_BYTES_MIN);
    // One request always fits, whatever the two limits are.
    if (counters.bodyBytesInFlight > 0 && counters.bodyBytesInFlight + reservedBytes > options.bodyBytesInFlightMax)
      return overloaded(options.bodyBytesInFlightMax);
    return { format, reservedBytes };
  }

  async function write(request: WriteRequest, response: ServerResponse): Promise<void> {
    const startMs = clock.monotonicMs();
    let refusal: unknown;
    let result: WriteResult | undefined;
    try {
      result = await database.write(request);
      if (result.rejections.length > 0) refusal = rejected(result);
    } catch (thrown) {
      refusal = thrown;
      logUnexpected(thrown);
    }
    if (refusal === undefined) answerDone(response);
    else answerError(response, refusal);
    const durationMs = clock.monotonicMs() - startMs;
    counters.insertDuration.observe(durationMs / 1000);
    log.debug(
      {
        operation: "write",
        format: request.format,
        body_bytes: request.body.byteLength,
        samples: result?.accepted,
        refused: refusal === undefined ? undefined : messageOf(refusal),
        duration_ms: durationMs,
      },
      "write",
    );
  }

  function refuse(request: IncomingMessage, response: ServerResponse, error: TsdbError): void {
    counters.writesRefused.add(error.code.toLowerCase());
    // What is left of a large body is not worth reading.
    if (error.code === "BODY_TOO_LARGE") response.setHeader("Connection", "close");
    else request.resume();
    answerError(response, error);
  }

  function answerDone(response: ServerResponse): void {
    if (response.destroyed) return;
    counters.countRequest(WRITE_PATH, 204);
    response.writeHead(204, DONE_HEADERS);
    response.end();
  }

  function answerError(response: ServerResponse, error: unknown): void {
    const { status, body, retryAfterSeconds } = answerFor(error);
    counters.countRequest(WRITE_PATH, status);
    if (response.destroyed) return;
    if (retryAfterSeconds !== undefined) response.setHeader("Retry-After", String(retryAfterSeconds));
    response.writeHead(status, { ...ERROR_HEADERS, "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  }

  function logUnexpected(error: unknown): void {
    if (error instanceof TsdbError && answerFor(error).status !== 500) return;
    log.error({ operation: "write", err: error }, "write failed");
  }
}

const DONE_HEADERS = { "X-Content-Type-Options": "nosniff" };
const ERROR_HEADERS = { "X-Content-Type-Options": "nosniff", "Content-Type": "application/json" };

/**
 * Reads a whole body into one buffer, without copying when it came in one piece. Calls back once: with the body, with why
 * it is refused, or with undefined when the client went away before its end.
 */
function readBody(
  request: IncomingMessage,
  bytesMax: number,
  done: (body: Uint8Array | TsdbError | undefined) => void,
): void {
  const pieces: Buffer[] = [];
  let length = 0;
  let isDone = false;
  const finish = (body: Uint8Array | TsdbError | undefined): void => {
    if (isDone) return;
    isDone = true;
    done(body);
  };
  request.on("data", (piece: Buffer) => {
    length += piece.byteLength;
    if (length > bytesMax) finish(bodyTooLarge(bytesMax));
    else pieces.push(piece);
  });
  request.on("end", () => finish(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length)));
  request.on("close", () => finish(undefined));
  // A reset connection is an error first, then a close; there is nobody left to answer.
  request.on("error", () => finish(undefined));
}

function formatOf({ headers }: IncomingMessage): WriteRequest["format"] | TsdbError {
  const type = headers["content-type"] ?? "";
  const encoding = headers["content-encoding"] ?? "identity";
  // What senders really send, before anything is taken apart.
  if (type === "application/x-protobuf" && encoding === "snappy") return "remote-write";
  const { essence, parameters } = mediaTypeOf(type);
  switch (essence) {
    case "application/x-protobuf": {
      const message = parameters.get("proto") ?? "prometheus.WriteRequest";
      if (message !== "prometheus.WriteRequest") return unsupported(`The protobuf message ${message}`);
      return encoding.toLowerCase() === "snappy"
        ? "remote-write"
        : unsupported(`Protobuf with Content-Encoding ${encoding}`);
    }
    case "application/json": {
      const charset = parameters.get("charset") ?? "utf-8";
      if (charset.toLowerCase() !== "utf-8") return unsupported(`JSON in ${charset}`);
      return encoding.toLowerCase() === "identity" ? "json" : unsupported(`JSON with Content-Encoding ${encoding}`);
    }
    default:
      return unsupported(type === "" ? "A body without Content-Type" : `Content-Type ${type}`);
  }
}

/** `application/json; charset="utf-8"` taken apart; unknown parameters are no reason to refuse. */
function mediaTypeOf(header: string): { readonly essence: string; readonly parameters: ReadonlyMap<string, string> } {
  const [essence = "", ...pairs] = header.split(";").map((part) => part.trim());
  const parameters = new Map(
    pairs.map((pair) => {
      const [name = "", value = ""] = pair.split("=", 2).map((part) => part.trim());
      return [name.toLowerCase(), value.replace(/^"(.*)"$/, "$1")] as const;
    }),
  );
  return { essence: essence.toLowerCase(), parameters };
}

const unsupported = (what: string): TsdbError =>
  new TsdbError("UNSUPPORTED_MEDIA_TYPE", `${what} is not supported`, {
    remedy:
      "Send remote write 1.0 (Content-Type: application/x-protobuf, Content-Encoding: snappy) " +
      "or uncompressed JSON (Content-Type: application/json)",
  });

const bodyTooLarge = (bytesMax: number): TsdbError =>
  new TsdbError("BODY_TOO_LARGE", `The body is larger than limits.max_body_size, ${bytesMax} bytes`, {
    remedy: "Send less in one request, or raise the limit with --max-body-size",
  });

const overloaded = (bytesMax: number): TsdbError =>
  new TsdbError(
    "OVERLOADED",
    `Write requests of ${bytesMax} bytes are being handled already; send this one again later`,
  );

/** The answer to a request of which something was refused; what was kept is durable all the same. */
function rejected({ accepted, rejections }: WriteResult): TsdbError {
  const refused = rejections.reduce((sum, { count }) => sum + count, 0);
  const reasons = rejections.map(reasonText).join("; ");
  const isTransient = rejections.some(({ reason }) => reason === "series_limit");
  return new TsdbError(
    isTransient ? "SERIES_LIMIT" : "SAMPLES_REJECTED",
    `${accepted} samples stored, ${refused} refused: ${reasons}`,
  );
}

const reasonText = ({ reason, count, examples }: Rejection): string =>
  `${reason} ${count}${examples.length === 0 ? "" : ` (${examples.join(", ")}${count > examples.length ? ", ..." : ""})`}`;
