/**
 * Requests to the API server: one call is one or a few attempts within a limit of time, and ends with a JSON object or a
 * ClusterError. What a second attempt surely cannot harm is tried again after a lost connection; what the server turned away
 * with 429 is tried again when it says so; everything else is the caller's to decide.
 *
 * A write is sent only while `mayWrite` says so, asked at the moment when its first byte would go out: a process that was
 * frozen between its decision and that moment wakes up in a cluster that may have another leader.
 */
import { request as send } from "undici";
import type { Dispatcher } from "undici";
import type { Clock } from "../../base/clock.ts";
import { errnoOf, messageOf } from "../../base/errors.ts";
import type { Connection, Route } from "./connection.ts";
import { Deadline, pause } from "./deadline.ts";
import { ClusterError, errorOfStatus, errorOfText } from "./errors.ts";

/** As RBAC and the audit log have them. */
export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";

export interface ApiRequest {
  /** For messages: "apply StatefulSet monitoring/metrics". */
  readonly action: string;
  readonly verb: Verb;
  /** As RBAC has it, subresource included: "timeseriesdbs/status". */
  readonly resource: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  /** Of the body, when it is not plain JSON. */
  readonly contentType?: string;
  /** Whether two of it do what one does. */
  readonly isIdempotent: boolean;
  /** Whether it may be sent only by a leader. */
  readonly isGuarded: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface TransportOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly userAgent: string;
  /** Whether this process leads. */
  readonly mayWrite: () => boolean;
  /** Told of each attempt; the code is "none" when there was no answer. */
  readonly onAttempt: (attempt: { verb: Verb; resource: string; code: string; seconds: number }) => void;
  /** Told what the server warns of: deprecated versions, pods that an admission policy will not like. */
  readonly onWarning: (warning: string, request: ApiRequest) => void;
}

const METHODS = {
  get: "GET",
  list: "GET",
  watch: "GET",
  create: "POST",
  update: "PUT",
  patch: "PATCH",
  delete: "DELETE",
} as const;

const RETRIES_MAX = 2;
const RETRY_MS = 100;

export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** @throws ClusterError */
  async call(request: ApiRequest): Promise<object> {
    const { clock, random, connection } = this.#options;
    using deadline = new Deadline(clock, request.timeoutMs, request.signal);
    let lost = 0;
    for (;;) {
      try {
        const response = await this.#attempt(request, deadline);
        return await this.#object(request, response, deadline);
      } catch (error) {
        if (!(error instanceof ClusterError)) throw error;
        let waitMs: number;
        if (error.status === 401 && connection.reload()) waitMs = 0;
        // Spread a little, so that all who were turned away do not come back as one.
        else if (error.status === 429 && error.retryAfterMs !== undefined)
          waitMs = error.retryAfterMs * (1 + random() / 10);
        else if (error.reason === "ConnectionFailed" && request.isIdempotent && lost < RETRIES_MAX)
          waitMs = RETRY_MS * 2 ** lost++ * (1 + random());
        else throw error;
        if (waitMs >= deadline.leftMs) throw error;
        if (waitMs > 0) await pause(clock, waitMs, deadline.signal);
      }
    }
  }

  /**
   * The body of an answer that has begun in time; how long it goes on is the caller's affair.
   * @throws ClusterError
   */
  async open(request: ApiRequest, signal: AbortSignal): Promise<AsyncIterable<Buffer> & Disposable> {
    const { clock, connection } = this.#options;
    const deadline = new Deadline(clock, request.timeoutMs, signal);
    try {
      const response = await this.#attempt(request, deadline);
      if (response.statusCode !== 200) {
        try {
          await this.#object(request, response, deadline);
        } catch (error) {
          // The next attempt is the caller's, after a pause; it may come with new credentials.
          if (error instanceof ClusterError && error.status === 401) connection.reload();
          throw error;
        }
      }
      deadline.lift();
      return this.#chunks(request, response, deadline);
    } catch (error) {
      deadline[Symbol.dispose]();
      throw error;
    }
  }

  /** One attempt, up to the head of its answer. */
  async #attempt(request: ApiRequest, deadline: Deadline): Promise<Dispatcher.ResponseData> {
    const { clock, mayWrite, onAttempt, onWarning, userAgent } = this.#options;
    const startMs = clock.monotonicMs();
    let code = "none";
    try {
      // A plug-in may hang, or ask somebody for a password; the wait for it is part of the limit.
      const route = await raced(this.#route(request), deadline);
      if (deadline.reason !== undefined || route === undefined) throw this.#ended(request, deadline);
      const response = await send(route.origin + route.pathPrefix + request.path, {
        dispatcher: guarded(route.dispatcher, request.isGuarded ? mayWrite : undefined),
        method: METHODS[request.verb],
        ...(request.query === undefined ? {} : { query: definedOf(request.query) }),
        headers: {
          ...route.headers,
          accept: "application/json",
          "user-agent": userAgent,
          ...(request.body === undefined ? {} : { "content-type": request.contentType ?? "application/json" }),
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal: deadline.signal,
      });
      code = String(response.statusCode);
      for (const warning of warningsOf(response.headers["warning"])) onWarning(warning, request);
      return response;
    } catch (error) {
      throw this.#failed(request, error, deadline);
    } finally {
      onAttempt({
        verb: request.verb,
        resource: request.resource,
        code,
        seconds: (clock.monotonicMs() - startMs) / 1000,
      });
    }
  }

  async #route({ action }: ApiRequest): Promise<Route> {
    try {
      return await this.#options.connection.route();
    } catch (error) {
      throw new ClusterError(action, {
        status: 0,
        reason: "NoCredentials",
        detail: `the kubeconfig's credentials cannot be had: ${messageOf(error)}`,
        cause: error,
      });
    }
  }

  /** The object that is the answer's body. */
  async #object(request: ApiRequest, response: Dispatcher.ResponseData, deadline: Deadline): Promise<object> {
    const { action } = request;
    const status = response.statusCode;
    let text: string;
    try {
      text = await response.body.text();
    } catch (error) {
      throw this.#failed(request, error, deadline);
    }
    const parsed = parsedObject(text);
    if (status < 200 || status > 299) {
      const retryAfterMs = retryAfterOf(response.headers["retry-after"], this.#options.clock);
      if (parsed !== undefined && (parsed as { kind?: unknown }).kind === "Status")
        throw errorOfStatus(action, parsed, status, retryAfterMs);
      throw errorOfText(action, text, status, retryAfterMs);
    }
    if (parsed === undefined) throw badAnswer(action, `what the API server answered is no JSON object: ${shown(text)}`);
    return parsed;
  }

  #chunks(
    request: ApiRequest,
    response: Dispatcher.ResponseData,
    deadline: Deadline,
  ): AsyncIterable<Buffer> & Disposable {
    const { body } = response;
    const failed = (error: unknown): ClusterError => this.#failed(request, error, deadline);
    return {
      async *[Symbol.asyncIterator]() {
        try {
          for await (const chunk of body) yield chunk as Buffer;
        } catch (error) {
          throw failed(error);
        }
      },
      [Symbol.dispose]() {
        deadline[Symbol.dispose]();
        // An error that nobody waits for any more must not end the process.
        body.on("error", () => {}).destroy();
      },
    };
  }

  #failed(request: ApiRequest, error: unknown, deadline: Deadline): ClusterError {
    if (error instanceof ClusterError) return error;
    if (deadline.reason !== undefined) return this.#ended(request, deadline);
    if (error instanceof NotLeading) return notLeader(request.action);
    const what = messageOf(error) || (errnoOf(error) ?? "failed");
    return connectionFailed(request.action, `no connection to ${this.#options.connection.server}: ${what}`, error);
  }

  #ended({ action, timeoutMs }: ApiRequest, deadline: Deadline): ClusterError {
    if (deadline.reason === "canceled")
      return new ClusterError(action, { status: 0, reason: "Canceled", detail: "it is not wanted any more" });
    return new ClusterError(action, {
      status: 0,
      reason: "Timeout",
      detail: `${this.#options.connection.server} did not answer within ${timeoutMs / 1000} s`,
    });
  }
}

class NotLeading extends Error {}

export const notLeader = (action: string): ClusterError =>
  new ClusterError(action, {
    status: 0,
    reason: "NotLeader",
    detail: "this process does not lead, or cannot be sure that it still does; nothing was sent",
  });

export const badAnswer = (action: string, detail: string, cause?: unknown): ClusterError =>
  new ClusterError(action, { status: 0, reason: "BadAnswer", detail, cause });

export const connectionFailed = (action: string, detail: string, cause?: unknown): ClusterError =>
  new ClusterError(action, { status: 0, reason: "ConnectionFailed", detail, cause });

/** The same dispatcher, which asks before it puts the first byte of a request on a connection. */
function guarded(dispatcher: Dispatcher, mayStart: (() => boolean) | undefined): Dispatcher {
  if (mayStart === undefined) return dispatcher;
  return dispatcher.compose(
    (dispatch) => (options, handler) =>
      dispatch(options, {
        onRequestStart(controller, context) {
          handler.onRequestStart?.(controller, context);
          if (!mayStart()) controller.abort(new NotLeading());
        },
        onResponseStart: (...rest) => handler.onResponseStart?.(...rest),
        onResponseData: (...rest) => handler.onResponseData?.(...rest),
        onResponseEnd: (...rest) => handler.onResponseEnd?.(...rest),
        onResponseError: (...rest) => handler.onResponseError?.(...rest),
      }),
  );
}

/** Undefined when the deadline comes first. */
function raced<T>(promise: Promise<T>, { signal }: Deadline): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const end = (): void => resolve(undefined);
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

function parsedObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const TEXT_SHOWN_MAX = 100;
export const shown = (text: string): string =>
  JSON.stringify(text.length > TEXT_SHOWN_MAX ? `${text.slice(0, TEXT_SHOWN_MAX)}...` : text);

type Header = string | string[] | undefined;

/** Seconds, or a date; anything else is as if there were none. */
function retryAfterOf(header: Header, clock: Clock): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - clock.nowMs());
}

/** The texts of `Warning: 299 - "text"` headers (RFC 7234, as Kubernetes uses them). */
function warningsOf(header: Header): string[] {
  const texts = header === undefined ? [] : Array.isArray(header) ? header : [header];
  return texts.flatMap((text) =>
    Array.from(text.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g), ([, inner]) => inner!.replaceAll(/\\(.)/g, "$1")),
  );
}

const definedOf = (query: NonNullable<ApiRequest["query"]>): Record<string, string | number | boolean> =>
  Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as Record<
    string,
    string | number | boolean
  >;
