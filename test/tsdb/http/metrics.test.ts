import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DurationHistogram } from "../../../src/tsdb/http/duration-histogram.ts";
import { metricRows } from "../../../src/tsdb/http/metrics.ts";
import { emptyStats, testApp } from "./fakes.ts";

const GUIDE_NAMES = [
  "tsdb_samples_ingested_total",
  "tsdb_insert_duration_seconds",
  "tsdb_insert_errors_total",
  "tsdb_head_series",
  "tsdb_blocks_total",
  "tsdb_wal_size_bytes",
  "tsdb_queries_total",
  "tsdb_query_duration_seconds",
  "tsdb_query_errors_total",
  "tsdb_goroutines",
  "tsdb_memory_alloc_bytes",
];

test("the reference lists every metric with its type and meaning, and nothing else", () => {
  const text = readFileSync(new URL("../../../docs/reference/metrics.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| `([a-z_]+)` \| (\w+) \| (.+) \|$/gm)].map(([, name, type, help]) => ({
    name,
    type,
    help,
  }));
  expect(documented).toEqual(metricRows.map(({ name, type, help }) => ({ name, type, help })));
});

test("the page shows every metric of the list, the guide's eleven among them, and Node's own", async () => {
  const { app } = testApp();
  const response = await app.inject("/metrics");
  expect(response.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  const types = new Map([...response.body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  for (const { name, type } of metricRows) expect(types.get(name), name).toBe(type);
  for (const name of GUIDE_NAMES) expect(types.has(name), name).toBe(true);
  for (const name of ["process_cpu_seconds_total", "nodejs_eventloop_lag_p99_seconds"])
    expect(types.has(name), name).toBe(true);
});

test("numbers are those of the moment, refusals are told apart by reason", async () => {
  const { app, database } = testApp();
  await app.inject({ method: "POST", url: "/api/v1/write", headers: { "content-type": "text/plain" }, payload: "x" });
  await app.inject({
    method: "POST",
    url: "/api/v1/write",
    headers: { "content-type": "application/json" },
    payload: "{}",
  });
  database.statistics = {
    ...emptyStats,
    samplesIngestedTotal: 12,
    headMinTime: 1500,
    rejectedTotal: { out_of_order: 3 },
    requestsRefusedTotal: { OVERLOADED: 2 },
    walSyncsTotal: 4,
    walSyncSecondsTotal: 0.5,
  };
  const { body } = await app.inject("/metrics");
  for (const line of [
    "tsdb_samples_ingested_total 12",
    'tsdb_insert_errors_total{reason="out_of_order"} 3',
    'tsdb_insert_errors_total{reason="request_overloaded"} 2',
    'tsdb_insert_errors_total{reason="request_unsupported_media_type"} 1',
    "tsdb_insert_duration_seconds_count 1",
    'tsdb_insert_duration_seconds_bucket{le="+Inf"} 1',
    'tsdb_http_requests_total{handler="/api/v1/write",code="415"} 1',
    'tsdb_http_requests_total{handler="/api/v1/write",code="204"} 1',
    'tsdb_state{state="writable"} 1',
    'tsdb_state{state="replaying"} 0',
    "prometheus_tsdb_lowest_timestamp_seconds 1.5",
    "prometheus_tsdb_wal_fsync_duration_seconds_sum 0.5",
    "prometheus_tsdb_wal_fsync_duration_seconds_count 4",
    'tsdb_build_info{version="0.1.0",revision="abc",goversion="node v26"} 1',
  ])
    expect(body.split("\n")).toContain(line);
  // What the head does not have yet is not shown as 0.
  expect(body).not.toMatch(/^tsdb_head_max_time_seconds /m);
});

test("OpenMetrics is served to who asks for it, and leaves the plain page as it was", async () => {
  const { app } = testApp();
  const ask = (accept: string) => app.inject({ url: "/metrics", headers: { accept } });
  const prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  const [open, plain] = await Promise.all([ask(prometheus), ask("*/*")]);
  expect(open.headers["content-type"]).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  expect(open.body).toMatch(/# EOF\n$/);
  expect(open.body).toContain("# TYPE tsdb_samples_ingested counter\ntsdb_samples_ingested_total 0\n");
  for (const { body } of [plain, await ask("*/*")])
    expect(body).toContain("# TYPE tsdb_samples_ingested_total counter\ntsdb_samples_ingested_total 0\n");
});

test("the page moves to the path that was configured, or away", async () => {
  const elsewhere = testApp({ metricsPath: "/internal/metrics" });
  expect((await elsewhere.app.inject("/internal/metrics")).statusCode).toBe(200);
  expect((await elsewhere.app.inject("/metrics")).statusCode).toBe(404);
  expect((await testApp({ metricsPath: undefined }).app.inject("/metrics")).statusCode).toBe(404);
});

test("a histogram counts a duration into the first bucket that is no smaller, and all above", () => {
  const histogram = new DurationHistogram([0.1, 1]);
  for (const seconds of [0.05, 0.1, 0.5, 7]) histogram.observe(seconds);
  expect(histogram.samples("x").map(({ metricName, labels, value }) => [metricName, labels["le"], value])).toEqual([
    ["x_bucket", "0.1", 2],
    ["x_bucket", "1", 3],
    ["x_bucket", "+Inf", 4],
    ["x_sum", undefined, 7.65],
    ["x_count", undefined, 4],
  ]);
});
