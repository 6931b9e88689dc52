/** One request that came through the proxy, and how tests pick requests out. */
import { requestInfo } from "./request-info.ts";
import type { RequestInfo, Verb } from "./request-info.ts";
import type { Json } from "../support/api.ts";

/** All that is named must hold; what is absent matches everything. */
export interface Match {
  readonly verb?: Verb | readonly Verb[];
  /** Plural. */
  readonly resource?: string | readonly string[];
  /** "" for the object itself. */
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly isWrite?: boolean;
  readonly userAgent?: RegExp;
  /** Anything else. */
  readonly where?: (request: RecordedRequest) => boolean;
}

/** What both kinds of incoming messages of Node have. */
interface Incoming {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export class RecordedRequest {
  /** Its place in FaultProxy.requests. */
  readonly index: number;
  /** Monotonic ms. */
  readonly atMs: number;
  readonly method: string;
  readonly url: string;
  readonly info: RequestInfo;
  readonly contentType: string;
  readonly userAgent: string;
  /** What the API server, or the fault, answered; undefined while it has not. */
  status: number | undefined;
  /** The kind of the fault it met. */
  fault: string | undefined;
  readonly #body: Buffer;

  constructor(index: number, { method = "GET", url = "/", headers }: Incoming, body: Buffer) {
    this.index = index;
    this.atMs = performance.now();
    this.method = method;
    this.url = url;
    this.info = requestInfo(method, url);
    this.contentType = String(headers["content-type"] ?? "");
    this.userAgent = String(headers["user-agent"] ?? "");
    this.#body = body;
  }

  /** The bytes that were sent, as they were. */
  get text(): string {
    return this.#body.toString("utf8");
  }

  /** The object that was sent. */
  get body(): Json {
    return JSON.parse(this.text) as Json;
  }

  /** For messages: `patch statefulsets/status metrics in default: 200`. */
  toString(): string {
    const { verb, resource, subresource, namespace, name } = this.info;
    const what = resource === "" ? this.url : `${resource}${subresource === "" ? "" : `/${subresource}`}`;
    const where = namespace === "" ? "" : ` in ${namespace}`;
    return `${verb} ${what}${name === "" ? "" : ` ${name}`}${where}: ${this.status ?? "no answer"}${this.fault === undefined ? "" : ` (${this.fault})`}`;
  }
}

export function isMatch(match: Match, request: RecordedRequest): boolean {
  const { info } = request;
  return (
    isOneOf(match.verb, info.verb) &&
    isOneOf(match.resource, info.resource) &&
    isOneOf(match.subresource, info.subresource) &&
    isOneOf(match.namespace, info.namespace) &&
    isOneOf(match.name, info.name) &&
    (match.isWrite === undefined || match.isWrite === info.isWrite) &&
    (match.userAgent?.test(request.userAgent) ?? true) &&
    (match.where?.(request) ?? true)
  );
}

const isOneOf = <T>(wanted: T | readonly T[] | undefined, value: T): boolean =>
  wanted === undefined || (Array.isArray(wanted) ? wanted.includes(value) : wanted === value);
