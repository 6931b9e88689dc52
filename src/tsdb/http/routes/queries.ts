/**
 * PromQL and metadata queries: parameters are checked here, in Prometheus' order and words; parsing, evaluation and
 * printing happen in a query worker, whose bytes are passed on. A client that hangs up cancels its query.
 */
import type { TsdbError } from "../../../base/errors.ts";
import type { Evaluation, Selection } from "../../query/protocol.ts";
import { TIME_MAX_MS, TIME_MIN_MS, badRequest, goQuote, invalidParameter, unescapeLabelName } from "../params.ts";
import type { RequestParameters } from "../params.ts";
import type { Route, RouteContext } from "../route.ts";
import { runQuery } from "../run-query.ts";

async function instant(context: RouteContext) {
  const { deps, params } = context;
  const limit = params.limit();
  const timeMs = params.timeOr("time", deps.clock.nowMs());
  const timeoutMs = params.timeout(deps.options.query.timeoutMs);
  return runQuery(context, { kind: "instant", timeMs, ...evaluation(context, limit) }, timeoutMs);
}

async function range(context: RouteContext) {
  const { deps, params } = context;
  const limit = params.limit();
  const startMs = params.time("start");
  const endMs = params.time("end");
  if (endMs < startMs) throw invalidParameter("end", "end timestamp must not be before start time");
  const exactStepMs = params.duration("step");
  if (exactStepMs <= 0) throw noStep();
  const { pointsMax } = deps.options.query;
  if (Math.floor((endMs - startMs) / exactStepMs) > pointsMax)
    throw badRequest(
      `exceeded maximum resolution of ${pointsMax.toLocaleString("en-US")} points per timeseries. ` +
        "Try decreasing the query resolution (?step=XX)",
    );
  const stepMs = Math.trunc(exactStepMs);
  if (stepMs === 0) throw noStep();
  const timeoutMs = params.timeout(deps.options.query.timeoutMs);
  return runQuery(context, { kind: "range", startMs, endMs, stepMs, ...evaluation(context, limit) }, timeoutMs);
}

const noStep = (): TsdbError =>
  invalidParameter("step", "zero or negative query resolution step widths are not accepted. Try a positive integer");

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
  runQuery(context, { kind: "format", query: queryText(context) }, context.deps.options.query.timeoutMs);

async function series(context: RouteContext) {
  if (context.params.values("match[]").length === 0) throw badRequest("no match[] parameter provided");
  return runQuery(context, { kind: "series", ...selection(context.params) }, context.deps.options.query.timeoutMs);
}

async function labels(context: RouteContext) {
  return runQuery(context, { kind: "labels", ...selection(context.params) }, context.deps.options.query.timeoutMs);
}

async function labelValues(context: RouteContext) {
  const { deps, params, request } = context;
  const name = unescapeLabelName((request.params as { readonly name: string }).name);
  if (name === "" || !name.isWellFormed()) throw badRequest(`invalid label name: ${goQuote(name)}`);
  return runQuery(context, { kind: "labelValues", name, ...selection(params) }, deps.options.query.timeoutMs);
}

const selection = (params: RequestParameters): Selection => ({
  limit: params.limit(),
  startMs: params.timeOr("start", TIME_MIN_MS),
  endMs: params.timeOr("end", TIME_MAX_MS),
  selectors: params.values("match[]"),
});

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
