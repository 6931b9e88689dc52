/**
 * A real Prometheus scrapes node_exporter, itself and a target full of oddities, keeps the samples and writes them here.
 * Then both are asked the same, and must say the same.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { askBoth, instant, ranged, seconds } from "./prometheus/ask-both.ts";
import type { Asked } from "./prometheus/ask-both.ts";
import { notYetSupported, operators, rawSamples, refused, table } from "./prometheus/queries.ts";
import { record } from "./prometheus/recording.ts";
import type { Recording } from "./prometheus/recording.ts";
import { ask } from "./support/http.ts";
import type { Parameters } from "./support/http.ts";
import { startTsdb } from "./support/tsdb.ts";
import type { Tsdb } from "./support/tsdb.ts";
import { Workspace } from "./support/workspace.ts";

const workspace = new Workspace("prometheus");
let failed = false;
let tsdb: Tsdb;
let recording: Recording;

beforeAll(async () => {
  failed = true; // until it is known better, so that the logs stay when nothing starts
  tsdb = await startTsdb(workspace);
  recording = await record(workspace, tsdb.url);
  failed = false;
});
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

test("the table asks for every operator at least twice", () => {
  const uses = operators.map(([name, use]) => [name, table.filter(({ query }) => use.test(query)).length] as const);
  expect(uses.filter(([, count]) => count < 2)).toEqual([]);
  expect(new Set(table.map(({ query }) => query)).size, "no query twice").toBe(table.length);
});

test("everything that Prometheus scraped is here, sample for sample", async () => {
  const { moments, sampleCount } = recording;
  const time = seconds(moments.endMs);
  const requests = rawSamples.map((row) => instant(row, time, moments));
  await expectSame("raw samples", requests);
  const counted = await ask(tsdb.url, {
    path: "/api/v1/query",
    parameters: [
      ["query", `sum(count_over_time({__name__!=""}[20m]))`],
      ["time", seconds(moments.endMs + 60_000)],
    ],
  });
  console.log(`${sampleCount} samples sent; ${counted.text}`);
});

test("every query of the table has the same answer here and there, at one time and over a range", async () => {
  const { moments } = recording;
  const { startMs, outageMs, endMs } = moments;
  const times = [startMs + 20_000, outageMs, endMs - 15_000.5, endMs + 200_000, endMs + 900_000].map(seconds);
  const grids = [
    { start: startMs - 5000, end: endMs + 10_000, step: "5" },
    { start: startMs + 25_123, end: startMs + 60_000, step: "733ms" },
    { start: outageMs - 6000, end: outageMs + 8000, step: "0.25" },
  ];
  const requests = table.flatMap((row) => [
    ...times.map((time) => instant(row, time, moments)),
    ...grids.map(({ start, end, step }) => ranged(row, { start: seconds(start), end: seconds(end), step }, moments)),
  ]);
  await expectSame(`${table.length} queries, instant and range`, requests);
});

test("a query that Prometheus refuses is refused here in the same words", async () => {
  const { moments } = recording;
  const end = seconds(moments.endMs - 10_000);
  const start = seconds(moments.endMs - 20_000);
  const requests = refused.flatMap((row) => [
    instant(row, end, moments),
    ranged(row, { start, end, step: "5" }, moments),
  ]);
  await expectSame(`${refused.length} refused queries`, requests);
});

test("parameters are read and refused as Prometheus does", async () => {
  const time = seconds(recording.moments.endMs - 10_000);
  const of = (path: string, ...parameters: Parameters): Asked => ({
    path: `/api/v1/${path}`,
    parameters,
    isOrdered: true,
  });
  const query = ["query", "synthetic_rank"] as const;
  await expectSame("parameters", [
    of("query"),
    of("query", ["query", "1+1"], ["time", "4"]),
    of("query", ["query", "1+1"], ["time", "4.0005"]),
    of("query", ["query", "1+1"], ["time", "2026-01-02T03:04:05.678Z"]),
    of("query", ["query", "1+1"], ["time", "-1.5"]),
    of("query", ["query", "1+1"], ["time", "abc"]),
    of("query", ["query", "1+1"], ["time", time], ["timeout", "x"]),
    of("query", ["query", "1+1"], ["time", time], ["lookback_delta", "x"]),
    of("query", query, ["time", time], ["limit", "3"]),
    of("query", query, ["time", time], ["limit", "-3"]),
    of("query", query, ["time", time], ["limit", "x"]),
    of("query", ["query", "synthetic_delayed_total"], ["time", time], ["lookback_delta", "1s"]),
    of("query", ["query", "count(synthetic_rank)"], ["time", time], ["lookback_delta", "10"]),
    of("query_range", query),
    of("query_range", query, ["start", "1"]),
    of("query_range", query, ["start", "1"], ["end", "2"]),
    of("query_range", query, ["start", "2"], ["end", "1"], ["step", "1"]),
    of("query_range", query, ["start", "1"], ["end", "2"], ["step", "0"]),
    of("query_range", query, ["start", "1"], ["end", "2"], ["step", "-1"]),
    of("query_range", query, ["start", "1"], ["end", "2"], ["step", "x"]),
    of("query_range", query, ["start", "1"], ["end", "20000"], ["step", "1"]),
    of("query_range", query, ["start", time], ["end", time], ["step", "1m"], ["limit", "2"]),
    of("query_range", ["query", "synthetic_rank[1m]"], ["start", "1"], ["end", "2"], ["step", "1"]),
    of("query_range", ["query", `"text"`], ["start", "1"], ["end", "2"], ["step", "1"]),
    of("query_exemplars", query, ["start", "1"], ["end", "2"]),
    of("query_exemplars", query, ["start", "2"], ["end", "1"]),
    of("format_query", ["query", "sum(rate(a[5m]))by(b)"]),
    of("format_query", ["query", "sum("]),
    of("no_such_path"),
  ]);
});

test("series, labels and label values are the same here and there", async () => {
  const { startMs, outageMs, endMs } = recording.moments;
  const window = (from: number, to: number): Parameters => [
    ["start", seconds(from)],
    ["end", seconds(to)],
  ];
  const windows = [[], window(startMs, endMs), window(startMs, startMs + 5000), window(outageMs, outageMs + 1000)];
  const matches: Parameters[] = [
    [["match[]", "synthetic_city"]],
    [["match[]", `{__name__=~"synthetic_.*",job="synthetic"}`]],
    [
      ["match[]", "synthetic_flapping"],
      ["match[]", "synthetic_early"],
    ],
    [["match[]", `{"synthetic.dotted.name"}`]],
    [["match[]", "no_such_metric"]],
  ];
  const names = ["__name__", "city", "job", "le", "instance", "no_such_label", "U__label_2e_with_20_dots"];
  const limits: Parameters[] = [[], [["limit", "3"]], [["limit", "0"]]];
  const of = (path: string, parameters: Parameters): Asked => ({
    path: `/api/v1/${path}`,
    parameters,
    isOrdered: true,
  });
  const requests: Asked[] = [];
  for (const limit of limits)
    for (const range of windows) {
      for (const name of names) requests.push(of(`label/${name}/values`, [...range, ...limit]));
      requests.push(of("labels", [...range, ...limit]));
      for (const match of matches) {
        requests.push(of("series", [...match, ...range, ...limit]), of("labels", [...match, ...range, ...limit]));
        for (const name of names) requests.push(of(`label/${name}/values`, [...match, ...range, ...limit]));
      }
    }
  requests.push(
    of("series", []),
    of("series", [["match[]", "{}"]]),
    of("series", [["match[]", "sum(a)"]]),
    of("labels", [["match[]", "{"]]),
    of("labels", [["start", "x"]]),
    of("labels", [["limit", "-1"]]),
    of("label/a%20b/values", []),
    of("label/%FF/values", []),
  );
  await expectSame("metadata requests", requests);
});

test("what is not yet supported is refused by name and never answered wrongly", async () => {
  const { moments } = recording;
  const time = seconds(moments.endMs - 20_000);
  for (const [name, query] of notYetSupported) {
    const request = instant({ query }, time, moments);
    const { status, text } = await ask(tsdb.url, request);
    expect({ query, status, answer: JSON.parse(text) as unknown }).toEqual({
      query,
      status: 422,
      answer: { status: "error", errorType: "execution", error: `not yet supported: ${name}` },
    });
    expect((await ask(recording.prometheus.url, request)).status, `${query} is valid`).toBe(200);
  }
});

/** Asks both servers everything and fails with all differences; prints the figure. */
async function expectSame(what: string, requests: readonly Asked[]): Promise<void> {
  const { differing, identicalCount } = await askBoth(recording.prometheus.url, tsdb.url, requests);
  console.log(`${what}: ${requests.length} answers, ${identicalCount} byte for byte, ${differing.length} differences`);
  expect(differing, `${differing.length} of ${requests.length} answers differ`).toEqual([]);
}
