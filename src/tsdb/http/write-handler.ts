/**
 * POST /api/v1/write on Node's own request and response: Fastify's way to a handler costs as much per request as storing a
 * hundred samples, so app.ts sends this one path here before routing. Plain senders do not even come here: write-lane.ts.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { TsdbError } from "../../base/errors.ts";
import type { ErrorAnswer } from "./errors.ts";
import { formatOf } from "./write-media.ts";
import { bodyTooLarge, type WriteService } from "./write-service.ts";

export type WriteHandler = (request: IncomingMessage, response: ServerResponse) => void;

export function createWriteHandler(service: WriteService): WriteHandler {
  return (request, response) => {
    const { headers } = request;
    const format = formatOf(headers["content-type"], headers["content-encoding"]);
    if (format instanceof TsdbError) return refuse(request, response, format);
    const length = headers["content-length"];
    const reservedBytes = service.reserve(length === undefined ? undefined : Number(length));
    if (reservedBytes instanceof TsdbError) return refuse(request, response, reservedBytes);
    readBody(request, service.bodyBytesMax, (body) => {
      const finish = (result: ErrorAnswer | undefined): void => {
        service.release(reservedBytes);
        answer(response, result);
      };
      if (body instanceof Uint8Array) return void service.store({ format, body }).then(finish);
      service.release(reservedBytes);
      if (body !== undefined) refuse(request, response, body);
    });
  };

  function refuse(request: IncomingMessage, response: ServerResponse, error: TsdbError): void {
    // What is left of a large body is not worth reading.
    if (error.code === "BODY_TOO_LARGE") response.setHeader("Connection", "close");
    else request.resume();
    answer(response, service.refuse(error));
  }
}

/** @param result undefined: all is stored */
function answer(response: ServerResponse, result: ErrorAnswer | undefined): void {
  if (response.destroyed) return;
  if (result === undefined) {
    response.writeHead(204, DONE_HEADERS);
    response.end();
    return;
  }
  const { status, body, retryAfterSeconds } = result;
  if (retryAfterSeconds !== undefined) response.setHeader("Retry-After", String(retryAfterSeconds));
  response.writeHead(status, { ...ERROR_HEADERS, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
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
