/**
 * What a route is. All routes stand in one list (routes/index.ts), from which the app registers them, answers 405 with
 * Allow, and against which docs/reference/http-api.md is checked.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { TsdbError } from "../../base/errors.ts";
import type { AppDeps, ProbeDeps } from "./deps.ts";
import type { HttpCounters, MetricsPage } from "./metrics.ts";
import { RequestParameters, badRequest } from "./params.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT";

/** @typeParam Parts what its handler needs of the app */
export interface Route<Parts extends ProbeParts = AppParts> {
  readonly methods: readonly Method[];
  /** As Fastify writes it: `/api/v1/label/:name/values`. */
  readonly path: string;
  /** One line for the reference. */
  readonly summary: string;
  /** "always": answers while the database starts and stops too. "read": needs a database that can be read. */
  readonly when: "always" | "read";
  /** "json": its body may be JSON, whatever its content type says; otherwise bodies are forms. */
  readonly body?: "json";
  /** What it returns is sent: a string or bytes as they are, with the content type that was set (JSON by default). */
  readonly handle: (context: Parts & RequestContext) => unknown;
}

/** One request. */
export interface RequestContext {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly params: RequestParameters;
}

export interface ProbeParts {
  readonly deps: ProbeDeps;
}

export interface AppParts extends ProbeParts {
  readonly deps: AppDeps;
  readonly counters: HttpCounters;
  readonly metrics: MetricsPage;
}

export type RouteContext = AppParts & RequestContext;

/** The body as text; undefined without one. */
export const bodyText = ({ body }: FastifyRequest): string | undefined => (typeof body === "string" ? body : undefined);

/** The envelope of a success. */
export const success = (data: unknown, warnings: readonly string[] = []): string =>
  JSON.stringify({ status: "success", data, ...(warnings.length > 0 ? { warnings } : {}) });

/** The parameters of a GET or a form POST. */
export function parametersOf(request: FastifyRequest): RequestParameters {
  const { body } = request;
  if (body !== undefined && body !== null && typeof body !== "string")
    throw badRequest("The body of this request must be a form (application/x-www-form-urlencoded)");
  return new RequestParameters(request.raw.url ?? "", body ?? undefined);
}

export const notFound = (method: string, path: string): TsdbError =>
  new TsdbError("NOT_FOUND", `There is nothing at ${method} ${path}`);

export const methodNotAllowed = (method: string, path: string, allowed: readonly string[]): TsdbError =>
  new TsdbError("METHOD_NOT_ALLOWED", `${method} is not allowed on ${path}; use ${allowed.join(" or ")}`);
