/**
 * Fastify with everything set that its defaults leave open: drip-fed headers and bodies, sizes and counts without a cap.
 * Whatever fails is answered in Prometheus' envelope, as errors.ts says; what is no HTTP at all, too.
 */
import { STATUS_CODES, createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import Fastify from "fastify";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { TsdbError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { ProbeDeps, ServerOptions } from "./deps.ts";
import { answerFor, errorBody } from "./errors.ts";
import { notReady } from "./readiness.ts";
import { methodNotAllowed, notFound, parametersOf } from "./route.ts";
import type { ProbeParts, Route } from "./route.ts";
import { WriteLane } from "./write-lane.ts";
import type { WriteService } from "./write-service.ts";

/** Holds a query of query.text_bytes_max, each byte percent-encoded, and as much again. */
const HEADER_BYTES_MAX = 128 * 1024;
const HEADERS_MAX = 100;
const HEADERS_TIMEOUT_MS = 10_000;
const CONNECTIONS_CHECK_MS = 1000;
/** Longer than load balancers keep theirs, so that they and not we close an idle connection. */
const KEEP_ALIVE_MS = 75_000;
const IDLE_SWEEP_MS = 50;
/** A form holds what a URL would hold. */
const FORM_BYTES_MAX = 1024 * 1024;
/** Escaped label names in paths; an escape takes up to eight characters for one. */
const PATH_PARAMETER_CHARS_MAX = 4096;

const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";

type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** A Fastify with all limits set and the error answers of errors.ts. */
export function limitedFastify(
  options: ServerOptions,
  { log, clock }: Pick<ProbeDeps, "log" | "clock">,
  dispatch: (handler: NodeHandler) => NodeHandler,
): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: FORM_BYTES_MAX,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARS_MAX },
    serverFactory: (handler) => limitedServer(options, dispatch(handler)),
    frameworkErrors: (error, _request, reply) => void sendError(reply as unknown as FastifyReply, error, log),
    clientErrorHandler: answerBrokenRequest,
  });
  app.removeAllContentTypeParsers();
  // `curl -d` calls JSON a form: which of the two it is, is for the route to see.
  for (const type of [FORM, JSON_TYPE])
    app.addContentTypeParser(type, { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.addHook("onSend", async (_request, reply) => cutOffIdleReader(reply.raw, options.writeTimeoutMs));
  app.addHook("preClose", async () => sweepIdleConnections(app.server, clock));
  app.setErrorHandler((error: FastifyError, _request, reply) => sendError(reply, error, log));
  return app;
}

function limitedServer({ readTimeoutMs, connectionsMax }: ServerOptions, handler: NodeHandler): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, readTimeoutMs),
      requestTimeout: readTimeoutMs,
      connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      insecureHTTPParser: false,
      noDelay: true,
    },
    (request, response) => {
      // A sender that never pauses would keep its connection, and the closing server, open for ever.
      if (!server.listening) response.setHeader("Connection", "close");
      handler(request, response);
    },
  );
  server.maxHeadersCount = HEADERS_MAX;
  server.maxConnections = connectionsMax;
  return server;
}

/** Serves plain write requests on the bare connection, within the same limits. */
export function openWriteLane(
  server: Server,
  service: WriteService,
  { readTimeoutMs }: ServerOptions,
  clock: Clock,
): void {
  new WriteLane(service, {
    readTimeoutMs,
    firstRequestMs: Math.min(HEADERS_TIMEOUT_MS, readTimeoutMs),
    keepAliveMs: KEEP_ALIVE_MS,
    clock,
    refuseSlow: (socket) => answerBrokenRequest({ code: "ERR_HTTP_REQUEST_TIMEOUT" }, socket),
  }).open(server);
}

/** Ends the connection of a client that takes nothing of what waits for it; one that waits for us is left alone. */
function cutOffIdleReader(response: ServerResponse, timeoutMs: number): void {
  response.setTimeout(timeoutMs, () => {
    if ((response.socket?.writableLength ?? 0) > 0) response.destroy();
  });
}

/** While a server closes: connections whose last request ends now would stay open, and hold it up, until they time out. */
function sweepIdleConnections(server: Server, clock: Clock): void {
  if (!server.listening) return;
  let isClosed = false;
  server.once("close", () => (isClosed = true));
  const sweep = (): void => {
    if (isClosed) return;
    server.closeIdleConnections();
    clock.after(IDLE_SWEEP_MS, sweep);
  };
  sweep();
}

/** Registers every route of a table, each with the checks and headers that all have. */
export function registerRoutes<Parts extends ProbeParts>(
  app: FastifyInstance,
  table: readonly Route<Parts>[],
  parts: Parts,
): void {
  for (const { methods, path, when, body, handle } of table)
    app.route({
      method: [...methods],
      url: path,
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        const unready = when === "read" ? notReady(parts.deps.database, "read") : undefined;
        if (unready !== undefined) throw unready;
        if (body !== "json" && request.headers["content-type"]?.startsWith(JSON_TYPE)) throw notAForm();
        setCommonHeaders(reply);
        reply.type("application/json");
        const answer = await handle({ ...parts, request, reply, params: parametersOf(request) });
        return typeof answer === "string" ? Buffer.from(answer) : answer; // to a string Fastify adds a charset
      },
    });
}

function setCommonHeaders(reply: FastifyReply): void {
  reply.header("X-Content-Type-Options", "nosniff");
  reply.header("X-Frame-Options", "DENY");
  reply.header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
}

/** A path that is nobody's is 404; one that is somebody's, by another method, is 405 and says by which. */
export function answerStrays(
  app: FastifyInstance,
  table: readonly Pick<Route, "methods" | "path">[],
  log: Logger,
): void {
  const patterns = table.map(({ methods, path }) => ({
    methods,
    pattern: new RegExp(`^${path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/:\w+/g, "[^/]+")}$`),
  }));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.replace(/\?.*$/s, "");
    const allowed = patterns.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods);
    if (allowed.length === 0) return sendError(reply, notFound(request.method, path), log);
    reply.header("Allow", allowed.join(", "));
    return sendError(reply, methodNotAllowed(request.method, path, allowed), log);
  });
}

function sendError(reply: FastifyReply, thrown: FastifyError | TsdbError, log: Logger): FastifyReply {
  const error = thrown instanceof TsdbError ? thrown : ofFastify(thrown);
  const { status, body, retryAfterSeconds } = answerFor(error);
  if (status === 500)
    log.error({ operation: "http", route: reply.request.routeOptions.url, err: error }, "request failed");
  if (retryAfterSeconds !== undefined) reply.header("Retry-After", retryAfterSeconds);
  setCommonHeaders(reply);
  return reply.code(status).type("application/json").send(Buffer.from(body));
}

const notAForm = (): TsdbError => new TsdbError("UNSUPPORTED_MEDIA_TYPE", `The body must be a form (${FORM})`);

/** Fastify's own refusals, in our words; anything else stays the bug that it is. */
function ofFastify(error: FastifyError): TsdbError | FastifyError {
  switch (error.code) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return notAForm();
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new TsdbError("BODY_TOO_LARGE", `The body is larger than ${FORM_BYTES_MAX} bytes`);
    case "FST_ERR_BAD_URL":
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return new TsdbError("BAD_REQUEST", error.message);
    default:
      return error;
  }
}

/** What is no HTTP, or too slow or too large to be read, gets an answer before its connection is closed. */
function answerBrokenRequest(error: Pick<NodeJS.ErrnoException, "code">, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? [408, "The request took too long to arrive"]
      : error.code === "HPE_HEADER_OVERFLOW"
        ? [431, `The request's headers are larger than ${HEADER_BYTES_MAX} bytes`]
        : [400, "This is not a valid HTTP request"];
  const body = errorBody("bad_data", message);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
