import { expect, test } from "vitest";
import { parseExpression } from "../../../src/tsdb/promql/parser.ts";
import { PLAN_DEPTH_MAX, buildPlan } from "../../../src/tsdb/promql/plan/build.ts";
import { planText } from "../../../src/tsdb/promql/plan/text.ts";

// The last step is at 120 s: an end need not be a step.
const RANGE = { startMs: 60_000, stepMs: 15_000, count: 5, endMs: 123_000, isInstant: false };
const INSTANT = { startMs: 60_000, stepMs: 1, count: 1, endMs: 60_000, isInstant: true };

const planned = (query: string, { isInstant = false } = {}): string =>
  planText(buildPlan(parseExpression(query), isInstant ? INSTANT : RANGE));

test("an aggregation over a range function is one chain", () => {
  expect(planned('sum by (job) (rate(http_requests_total{job=~"a|b"}[5m] offset 1m))')).toBe(
    ["sum by (job)", '  window rate 300000ms {job=~"a|b", __name__="http_requests_total"} offset 60000ms'].join("\n"),
  );
});

test("constants are folded before anything runs", () => {
  for (const [query, text] of [
    ["1 + 2 * 3", "7"],
    ["-(2 ^ 2)", "-4"],
    ["1 > bool 2", "0"],
    ["-2 ^ 2", "-4"],
    ["pi() / pi()", "1"],
    ["1 / 0", "+Inf"],
  ] as const)
    expect(planned(query)).toBe(text);
});

test("what @ fixes is computed once, as far up as it goes", () => {
  expect(planned("sum(a @ 10) + b")).toBe(
    [
      "join + ignoring ()",
      "  once",
      "    sum by ()",
      '      select {__name__="a"} @ 10000ms',
      '  select {__name__="b"}',
    ].join("\n"),
  );
  expect(planned("a @ start() + a @ end()")).toBe(
    [
      "once",
      "  join + ignoring ()",
      '    select {__name__="a"} @ 60000ms',
      '    select {__name__="a"} @ 123000ms',
    ].join("\n"),
  );
  expect(planned("a @ 10", { isInstant: true })).toBe('select {__name__="a"} @ 10000ms');
});

test("what depends on the step is not computed once", () => {
  expect(planned("abs(a @ 10) * time()")).toBe(
    ["* scalar on the right", "  once", "    apply abs", '      select {__name__="a"} @ 10000ms', "  time"].join("\n"),
  );
  expect(planned("timestamp(abs(a @ 10))")).toContain("time where present\n  once");
});

test("scalars stay scalars until a vector is asked for", () => {
  expect(planned("scalar(a) * 2 + time()")).toBe(
    ["scalar +", "  scalar *", "    only value", '      select {__name__="a"}', "    2", "  time"].join("\n"),
  );
  expect(planned("vector(time())")).toBe(["as vector", "  time"].join("\n"));
  expect(planned("2 - a")).toBe(["- scalar on the left", "  2", '  select {__name__="a"}'].join("\n"));
});

test("parameters are plans of their own", () => {
  expect(planned("topk without (i) (2, a)")).toBe(
    ["topk without (__name__, __type__, __unit__, i)", "  2", '  select {__name__="a"}'].join("\n"),
  );
  expect(planned("quantile_over_time(scalar(q), a[1m])")).toBe(
    ['window quantile_over_time 60000ms {__name__="a"}', "  only value", '    select {__name__="q"}'].join("\n"),
  );
  expect(planned("clamp(a, 1, 2)")).toBe(["apply clamp", '  select {__name__="a"}', "  1", "  2"].join("\n"));
  expect(planned("round(a)")).toBe(["apply round", '  select {__name__="a"}', "  1"].join("\n"));
});

test("matching says what it matches by", () => {
  expect(planned("a > bool on (x, y) b")).toContain("join > bool on (x, y)");
  expect(planned("a / ignoring (x) b")).toContain("join / ignoring (x)");
});

test("a range selector and a string are answers of instant queries", () => {
  expect(planned("a[1m] @ 10 offset -5s", { isInstant: true })).toBe(
    'samples 60000ms {__name__="a"} @ 10000ms offset -5000ms',
  );
  expect(planned('"x"', { isInstant: true })).toBe('"x"');
});

test("a duration may be an expression, of the query's step and range too", () => {
  for (const [query, text] of [
    ["sum_over_time(a[2 * 5m])", "window sum_over_time 600000ms"],
    ["rate(a[step() * 4])", "window rate 60000ms"],
    ["rate(a[range()])", "window rate 63000ms"],
    ["a offset -(1m + 30s)", "offset -90000ms"],
    ["rate(a[max_of(step(), 20s)])", "window rate 20000ms"],
    ["rate(a[5m % 2m])", "window rate 60000ms"],
    ["rate(a[2 ^ 3])", "window rate 8000ms"],
  ] as const)
    expect(planned(query)).toContain(text);
  for (const [query, message] of [
    ["rate(a[1m - 2m])", "7:14: duration must be greater than 0"],
    ["rate(a[1m / (step() - step())])", "7:28: division by zero"],
    ["rate(a[1m % (step() - step())])", "7:28: modulo by zero"],
    ["rate(a[10 ^ 400 * step()])", "7:24: duration is NaN or infinite"],
    ["rate(a[1e9 * step()])", "7:19: duration is out of range"],
  ] as const)
    expect(() => planned(query)).toThrow(expect.objectContaining({ code: "BAD_QUERY", message }));
  // An instant query has no step.
  expect(() => planned("rate(a[step()])", { isInstant: true })).toThrow("duration must be greater than 0");
});

test("start, end, range and step are those of the query", () => {
  for (const [query, text] of [
    ["start()", "60"],
    ["end()", "123"],
    ["range()", "63"],
    ["step()", "15"],
  ] as const)
    expect(planned(query)).toBe(text);
  expect(["start()", "end()", "range()", "step()"].map((query) => planned(query, { isInstant: true }))).toEqual([
    "60",
    "60",
    "0",
    "0",
  ]);
});

test("what cannot be computed yet is refused by name while it is planned", () => {
  for (const [query, name] of [
    ["histogram_quantile(0.9, a)", "histogram_quantile"],
    ["absent(a)", "absent"],
    ['label_replace(a, "x", "y", "z", ".*")', "label_replace"],
    ["a and b", "and"],
    ["a or b", "or"],
    ["a unless b", "unless"],
    ["a * on (x) group_left () b", "group_left"],
    ["a * on (x) group_right (y) b", "group_right"],
    ['count_values("x", a)', "count_values"],
    ["rate(a[1h:1m])", "subquery"],
    ["sum(max_over_time(a[1h:]))", "subquery"],
    ["predict_linear(a[1h], 60)", "predict_linear"],
    ["1 + sum(sort(a))", "sort"],
  ] as const)
    expect(() => planned(query)).toThrow(
      expect.objectContaining({ code: "NOT_YET_SUPPORTED", message: `not yet supported: ${name}` }),
    );
});

test("operators may be stacked only so deep, whatever the parser reads", () => {
  expect(planned(`1${" + 1".repeat(PLAN_DEPTH_MAX - 1)}`)).toBe(String(PLAN_DEPTH_MAX));
  expect(() => planned(`1${" + 1".repeat(PLAN_DEPTH_MAX)}`)).toThrow(
    expect.objectContaining({ code: "QUERY_LIMIT", message: "query stacks more than 1000 operators on each other" }),
  );
});
