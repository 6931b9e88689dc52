/**
 * PromQL and metadata queries: parameters are checked here, in Prometheus' order and words; parsing, evaluation and
 * printing happen in a query worker, whose bytes are passed on. A client that hangs up cancels its query.
 */
import { TsdbError, messageOf } from "../../../base/errors.ts";
import type { QueryAnswer } from "../../query/pool.ts";
import type { Evaluation, QueryJob, Selection } from "../../query/protocol.ts";
import { TIME_MAX_MS, TIME_MIN_MS, badRequest, goQuote, invalidParameter, unescapeLabelName } from "../params.ts";
import type { RequestParameters } from "../params.ts";
import type { Route, RouteContext } from "../route.ts";

const JSON_TYPE = "application/json";

async function instant(context: RouteContext) {
  const { deps, params } = context;
  const limit = params.limit();
  const timeMs = params.timeOr("time", deps.clock.nowMs());
  const timeoutMs = params.timeout(deps.options.query.timeoutMs);
  return run(context, { kind: "instant", timeMs, ...evaluation(context, limit) }, timeoutMs);
}

async function range(context: RouteContext) {
  const { deps, params } = context;
  const limit = params.limit();
  const startMs = params.time("start");
  const endMs = params.time("end");
  if (endMs < startMs) throw invalidParameter("end", "end timestamp must not be before start time");
  const stepMs = Math.trunc(params.duration("step"));
  if (stepMs <= 0)
    throw invalidParameter(
      "step",
      "zero or negative query resolution step widths are not accepted. Try a positive integer",
    );
  const { pointsMax } = deps.options.query;
  if (Math.floor((endMs - startMs) / stepMs) > pointsMax)
    throw badRequest(
      `exceeded maximum resolution of ${pointsMax.toLocaleString("en-US")} points per timeseries. ` +
        "Try decreasing the query resolution (?step=XX)",
    );
  const timeoutMs = params.timeout(deps.options.query.timeoutMs);
  return run(context, { kind: "range", startMs, endMs, stepMs, ...evaluation(context, limit) }, timeoutMs);
}

function evaluation(context: RouteContext, limit: number): Evaluation {
  const { deps, params } = context;
  const { lookbackDeltaMs } = deps.options.query;
  return { query: queryText(context), lookbackDeltaMs: params.lookbackDelta() ?? lookbackDeltaMs, limit };
}

function queryText({ deps, params }: RouteContext): string {
  const query = params.value("query");
  const { textBytesMax } = deps.options.query;
  if (Buffer.byteLength(query) > textBytesMax) throw badRequest(`The query is longer than ${textBytesMax} bytes`);
  return query;
}

const format = (context: RouteContext) =>
  run(context, { kind: "format", query: queryText(context) }, context.deps.options.query.timeoutMs);

async function series(context: RouteContext) {
  if (context.params.values("match[]").length === 0) throw badRequest("no match[] parameter provided");
  return run(context, { kind: "series", ...selection(context.params) }, context.deps.options.query.timeoutMs);
}

async function labels(context: RouteContext) {
  return run(context, { kind: "labels", ...selection(context.params) }, context.deps.options.query.timeoutMs);
}

async function labelValues(context: RouteContext) {
  const { deps, params, request } = context;
  const name = unescapeLabelName((request.params as { readonly name: string }).name);
  if (name === "" || !name.isWellFormed()) throw badRequest(`invalid label name: ${goQuote(name)}`);
  return run(context, { kind: "labelValues", name, ...selection(params) }, deps.options.query.timeoutMs);
}

const selection = (params: RequestParameters): Selection => ({
  limit: params.limit(),
  startMs: params.timeOr("start", TIME_MIN_MS),
  endMs: params.timeOr("end", TIME_MAX_MS),
  selectors: params.values("match[]"),
});

/** Runs a job and sends its answer; once bytes are on their way a failure can only break the connection off. */
async function run({ deps, counters, reply }: RouteContext, job: QueryJob, timeoutMs: number) {
  const { clock, queries, log } = deps;
  const startMs = clock.monotonicMs();
  const hangUp = new AbortController();
  const onClose = (): void => hangUp.abort();
  reply.raw.once("close", onClose);
  counters.queries.add(job.kind);
  let answer: QueryAnswer;
  let failure: string | undefined;
  try {
    answer = await queries.run(job, { timeoutMs, signal: hangUp.signal });
  } catch (error) {
    failure = messageOf(error);
    counters.queryErrors.add(error instanceof TsdbError ? error.code : "INTERNAL");
    throw error;
  } finally {
    reply.raw.off("close", onClose);
    const durationMs = clock.monotonicMs() - startMs;
    counters.queryDuration.observe(durationMs / 1000);
    log.debug({ operation: "query", ...job, failure, duration_ms: durationMs }, "query");
  }
  reply.type(JSON_TYPE);
  return answer;
}

export const queryRoutes: readonly Route[] = [
  {
    methods: ["GET", "POST"],
    path: "/api/v1/query",
    summary: "Evaluates a query at one time",
    when: "read",
    handle: instant,
  },
  {
    methods: ["GET", "POST"],
    path: "/api/v1/query_range",
    summary: "Evaluates a query over a range of time",
    when: "read",
    handle: range,
  },
  {
    methods: ["GET", "POST"],
    path: "/api/v1/format_query",
    summary: "Prints a query in the standard layout",
    when: "read",
    handle: format,
  },
  {
    methods: ["GET", "POST"],
    path: "/api/v1/series",
    summary: "Series that match selectors",
    when: "read",
    handle: series,
  },
  { methods: ["GET", "POST"], path: "/api/v1/labels", summary: "Label names", when: "read", handle: labels },
  {
    methods: ["GET"],
    path: "/api/v1/label/:name/values",
    summary: "Values of one label",
    when: "read",
    handle: labelValues,
  },
];
