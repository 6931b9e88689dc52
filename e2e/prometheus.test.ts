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
import { ask, metricsOf, sumOf } from "./support/http.ts";
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
  const metrics = await metricsOf(tsdb.url);
  const stored = sumOf(metrics, "tsdb_samples_ingested_total");
  console.log(`${sampleCount} samples sent, ${stored} stored`);
  expect(stored).toBe(sampleCount);
});

test("every query of the table has the same answer here and there, at one time and over a range", async () => {
  const { moments } = recording;
  const { startMs, firstScrapeMs, outageMs, lastScrapeMs, endMs } = moments;
  const times = [firstScrapeMs + 15_000, outageMs, lastScrapeMs - 5000.5, endMs + 200_000, endMs + 900_000];
  const grids = [
    { start: startMs - 5000, end: endMs + 10_000, step: "5" },
    { start: firstScrapeMs + 20_123, end: firstScrapeMs + 55_000, step: "733ms" },
    { start: outageMs - 6000, end: outageMs + 8000, step: "0.25" },
  ];
  const requests = table.flatMap((row) => [
    ...times.map((time) => instant(row, seconds(time), moments)),
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
  ]);
});

const labelNames = ["__name__", "city", "job", "le", "instance", "no_such_label", "U__label_2e_with_20_dots"];
const selectors: Parameters[] = [
  [["match[]", "synthetic_city"]],
  [["match[]", `{__name__=~"synthetic_.*",job="synthetic"}`]],
  [
    ["match[]", "synthetic_flapping"],
    ["match[]", "synthetic_early"],
  ],
  [["match[]", `{"synthetic.dotted.name"}`]],
  [["match[]", "no_such_metric"]],
];

/** Everything there is to ask about labels and series, with these parameters besides. */
const metadataRequests = (parameters: Parameters): Asked[] => [
  ...labelNames.map((name) => metadata(`label/${name}/values`, parameters)),
  metadata("labels", parameters),
  ...selectors.flatMap((selector) => [
    metadata("series", [...selector, ...parameters]),
    metadata("labels", [...selector, ...parameters]),
    ...labelNames.map((name) => metadata(`label/${name}/values`, [...selector, ...parameters])),
  ]),
];

/** Series come in no particular order, names and values sorted. */
const metadata = (path: string, parameters: Parameters): Asked => ({
  path: `/api/v1/${path}`,
  parameters,
  isOrdered: path !== "series",
});

const between = (startMs: number, endMs: number): Parameters => [
  ["start", seconds(startMs)],
  ["end", seconds(endMs)],
];

test("series, labels and label values are the same here and there", async () => {
  const { startMs, endMs } = recording.moments;
  await expectSame("metadata requests", [
    ...metadataRequests([]),
    ...metadataRequests(between(startMs, endMs)),
    ...metadataRequests(between(endMs + 3_600_000, endMs + 7_200_000)),
    ...metadataRequests([["limit", "0"]]),
    metadata("series", []),
    metadata("series", [["match[]", "{}"]]),
    metadata("series", [["match[]", "sum(a)"]]),
    metadata("series", [
      ["match[]", "synthetic_city"],
      ["limit", "x"],
    ]),
    metadata("labels", [["match[]", "{"]]),
    metadata("labels", [["start", "x"]]),
    metadata("labels", [["limit", "-1"]]),
    metadata("label/job/values", [["match[]", "{"]]),
    metadata("label/a%20b/values", []),
  ]);
});

interface Metadata {
  readonly data: readonly unknown[];
  readonly warnings?: readonly string[];
}

async function metadataOf(url: string, request: Asked): Promise<Metadata> {
  const { data, ...rest } = JSON.parse((await ask(url, request)).text) as Metadata;
  return { ...rest, data: data.map((item) => JSON.stringify(item)) };
}

test("with a limit as many are returned as there, and the same is said; which ones is open", async () => {
  for (const request of metadataRequests([["limit", "3"]])) {
    const [theirs, ours] = await Promise.all([
      metadataOf(recording.prometheus.url, request),
      metadataOf(tsdb.url, request),
    ]);
    const all = await metadataOf(tsdb.url, {
      ...request,
      parameters: request.parameters.filter(([name]) => name !== "limit"),
    });
    const what = `${request.path} ${JSON.stringify(request.parameters)}`;
    expect(all.data, what).toEqual(expect.arrayContaining([...ours.data]));
    expect({ ...ours, data: ours.data.length }, what).toEqual({ ...theirs, data: theirs.data.length });
  }
});

test("of a short time all series are returned that have samples in it, and none that ended before or begin after", async () => {
  const { firstScrapeMs, outageMs, lastScrapeMs } = recording.moments;
  const selector = `{__name__=~"synthetic_.*"}`;
  for (const fromMs of [firstScrapeMs + 3000, outageMs, lastScrapeMs - 3000]) {
    const toMs = fromMs + 1000;
    const series = metadata("series", [["match[]", selector], ...between(fromMs, toMs)]);
    const sampled = instant({ query: `${selector}[1s]` }, seconds(toMs), recording.moments);
    const { data } = JSON.parse((await ask(recording.prometheus.url, sampled)).text) as SampledSeries;
    const ours = (await metadataOf(tsdb.url, series)).data;
    expect(ours).toEqual(expect.arrayContaining(data.result.map(({ metric }) => JSON.stringify(metric))));
    // Prometheus may name more: it looks at whole chunks, or at its whole head.
    const names = (await metadataOf(tsdb.url, metadata("label/__name__/values", between(fromMs, toMs)))).data;
    expect(names.includes('"synthetic_early"'), "it ends before the outage").toBe(fromMs < outageMs);
    expect(names.includes('"synthetic_late_total"'), "it begins after the outage").toBe(fromMs > outageMs);
  }
});

interface SampledSeries {
  readonly data: { readonly result: readonly { readonly metric: unknown }[] };
}

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
