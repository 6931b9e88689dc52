import { once } from "node:events";
import { get } from "node:http";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { TsdbError } from "../../../src/base/errors.ts";
import { AnswerStream } from "../../../src/tsdb/query/answer-stream.ts";
import type { QueryJob } from "../../../src/tsdb/query/protocol.ts";
import { listen, testApp } from "./fakes.ts";

/** What messages are compared with where only a part matters. */
const containing = (text: string): unknown => expect.stringContaining(text);

const NOW_MS = 1_700_000_000_123;
const LOOKBACK_MS = 300_000;
const ALL_TIME = { startMs: Number.MIN_SAFE_INTEGER, endMs: Number.MAX_SAFE_INTEGER, limit: 0 };
const form = { "content-type": "application/x-www-form-urlencoded" };

test("each query route hands its parameters to the workers as a job", async () => {
  const cases: { url: string; job: QueryJob }[] = [
    {
      url: "query?query=up",
      job: { kind: "instant", query: "up", timeMs: NOW_MS, lookbackDeltaMs: LOOKBACK_MS, limit: 0 },
    },
    {
      url: "query?query=1%2B1&time=4.5&lookback_delta=1m&limit=7",
      job: { kind: "instant", query: "1+1", timeMs: 4500, lookbackDeltaMs: 60_000, limit: 7 },
    },
    {
      url: "query_range?query=up&start=0&end=2015-07-01T20:10:51Z&step=1w",
      job: {
        kind: "range",
        query: "up",
        startMs: 0,
        endMs: 1_435_781_451_000,
        stepMs: 604_800_000,
        lookbackDeltaMs: LOOKBACK_MS,
        limit: 0,
      },
    },
    {
      url: "query_range?query=up&start=1&end=2&step=0.25",
      job: {
        kind: "range",
        query: "up",
        startMs: 1000,
        endMs: 2000,
        stepMs: 250,
        lookbackDeltaMs: LOOKBACK_MS,
        limit: 0,
      },
    },
    { url: "format_query?query=a%2Bb", job: { kind: "format", query: "a+b" } },
    {
      url: "series?match[]=up&match[]=%7Bjob%3D%22x%22%7D",
      job: { kind: "series", selectors: ["up", '{job="x"}'], ...ALL_TIME },
    },
    { url: "labels", job: { kind: "labels", selectors: [], ...ALL_TIME } },
    {
      url: "labels?start=1&end=2&limit=3&match[]=up",
      job: { kind: "labels", selectors: ["up"], startMs: 1000, endMs: 2000, limit: 3 },
    },
    { url: "label/job/values", job: { kind: "labelValues", name: "job", selectors: [], ...ALL_TIME } },
    {
      url: "label/U__http_2e_status/values?limit=40000",
      job: { kind: "labelValues", name: "http.status", selectors: [], ...ALL_TIME, limit: 40_000 },
    },
  ];
  const { app, queries } = testApp();
  for (const { url, job } of cases) {
    const response = await app.inject(`/api/v1/${url}`);
    expect(response.statusCode, url).toBe(200);
    expect(response.headers["content-type"]).toBe("application/json");
    expect(response.json()).toEqual({ status: "success", data: [] });
    expect(queries.jobs.pop(), url).toEqual(job);
    // The same as a form.
    const [path, query] = url.split("?") as [string, string?];
    if (path.startsWith("label/")) continue;
    expect(
      (await app.inject({ method: "POST", url: `/api/v1/${path}`, headers: form, payload: query ?? "" })).statusCode,
    ).toBe(200);
    expect(queries.jobs.pop(), `POST ${url}`).toEqual(job);
  }
});

test("bad parameters are refused as Prometheus refuses them", async () => {
  const range = "query_range?query=up&";
  const cases: [url: string, error: string][] = [
    [
      "query?query=up&time=x",
      `invalid parameter "time": invalid time value for 'time': cannot parse "x" to a valid timestamp`,
    ],
    ["query?query=up&timeout=0", 'invalid parameter "timeout": timeout must be positive, got 0s'],
    ["query?query=up&limit=x", 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'],
    ["query?query=up&lookback_delta=x", 'error parsing lookback delta duration: cannot parse "x" to a valid duration'],
    [range, 'invalid parameter "start": cannot parse "" to a valid timestamp'],
    [`${range}start=1`, 'invalid parameter "end": cannot parse "" to a valid timestamp'],
    [`${range}start=2&end=1&step=1`, 'invalid parameter "end": end timestamp must not be before start time'],
    [`${range}start=1&end=2`, 'invalid parameter "step": cannot parse "" to a valid duration'],
    [
      `${range}start=1&end=2&step=0`,
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    ],
    [
      `${range}start=0&end=11001&step=1`,
      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    ],
    [
      `${range}start=0&end=60&step=0.0001`,
      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    ],
    [
      `${range}start=0&end=0&step=0.0001`,
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    ],
    ["series", "no match[] parameter provided"],
    [
      "labels?start=x",
      `invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp`,
    ],
    [`query?query=${"a".repeat(16_385)}`, "The query is longer than 16384 bytes"],
    ["query_exemplars?start=2&end=1", "end timestamp must not be before start timestamp"],
    ["status/tsdb?limit=0", "limit must be a positive number"],
    ["status/tsdb?limit=10001", "limit must not exceed 10000"],
  ];
  const { app, queries } = testApp();
  for (const [url, error] of cases) {
    const response = await app.inject(`/api/v1/${url}`);
    expect(response.statusCode, url).toBe(400);
    expect(response.json(), url).toEqual({ status: "error", errorType: "bad_data", error });
  }
  expect((await app.inject(`/api/v1/${range}start=0&end=11000.9&step=1`)).statusCode).toBe(200);
  expect(queries.jobs).toHaveLength(1);
});

test("a query's own timeout only shortens the server's", async () => {
  const { app, queries } = testApp();
  for (const [timeout, timeoutMs] of [
    ["", 120_000],
    ["5s", 5000],
    ["1h", 120_000],
  ] as const) {
    await app.inject(`/api/v1/query?query=up&timeout=${timeout}`);
    expect(queries.options.pop()?.timeoutMs).toBe(timeoutMs);
  }
});

test("failed queries have Prometheus' status and error type", async () => {
  const cases = [
    { code: "BAD_QUERY", status: 400, errorType: "bad_data" },
    { code: "NOT_YET_SUPPORTED", status: 422, errorType: "execution" },
    { code: "QUERY_LIMIT", status: 422, errorType: "execution" },
    { code: "QUERY_TIMEOUT", status: 503, errorType: "timeout" },
    { code: "OVERLOADED", status: 503, errorType: "unavailable" },
  ] as const;
  const { app, queries } = testApp();
  for (const { code, status, errorType } of cases) {
    queries.answer = () => Promise.reject(new TsdbError(code, "why"));
    const response = await app.inject("/api/v1/query?query=x");
    expect(response.statusCode).toBe(status);
    const error = code === "BAD_QUERY" ? 'invalid parameter "query": why' : "why";
    expect(response.json()).toEqual({ status: "error", errorType, error });
  }
  const page = (await app.inject("/metrics")).body;
  expect(page).toContain('tsdb_query_errors_total{code="QUERY_TIMEOUT"} 1');
  expect(page).toContain('tsdb_queries_total{kind="instant"} 5');
  expect(page).toContain("tsdb_query_duration_seconds_count 5");
});

test("what cannot be parsed is refused in the name of its parameter, except by the label routes", async () => {
  const cases = {
    "query_range?query=x&start=0&end=1&step=1": 'invalid parameter "query": why',
    "format_query?query=x": 'invalid parameter "query": why',
    "series?match[]=x": 'invalid parameter "match[]": why',
    "labels?match[]=x": "why",
    "label/a/values?match[]=x": "why",
  };
  const { app, queries } = testApp();
  queries.answer = () => Promise.reject(new TsdbError("BAD_QUERY", "why"));
  for (const [url, error] of Object.entries(cases)) {
    const response = await app.inject(`/api/v1/${url}`);
    expect(response.json(), url).toEqual({ status: "error", errorType: "bad_data", error });
    expect(response.headers["content-type"], url).toBe("application/json");
  }
});

test("queries wait for a database that can be read; probes, status and what is always empty do not", async () => {
  const { app, database, queries } = testApp();
  database.state = "replaying";
  for (const url of [
    "query?query=1",
    "query_range",
    "series",
    "labels",
    "label/a/values",
    "format_query",
    "status/tsdb",
  ]) {
    const response = await app.inject(`/api/v1/${url}`);
    expect(response.statusCode, url).toBe(503);
    expect(response.headers["retry-after"]).toBe("5");
    expect(response.json()).toMatchObject({
      errorType: "unavailable",
      error: containing("segment 1 of 4"),
    });
  }
  for (const url of [
    "status/walreplay",
    "status/buildinfo",
    "status/flags",
    "status/config",
    "status/runtimeinfo",
    "rules",
    "metadata",
  ])
    expect((await app.inject(`/api/v1/${url}`)).statusCode, url).toBe(200);
  expect(queries.jobs).toEqual([]);
});

test("an answer in pieces is streamed; one that fails on the way is broken off, not ended", async () => {
  const { app, queries } = testApp();
  const port = await listen(app);
  const url = `http://127.0.0.1:${port}/api/v1/query?query=x`;
  const stream = new AnswerStream(
    () => {},
    () => {},
  );
  queries.answer = async () => stream;
  const whole = fetch(url).then((response) => response.text());
  stream.add(Buffer.from("first "), false);
  stream.add(Buffer.from("last"), true);
  expect(await whole).toBe("first last");

  const broken = new AnswerStream(
    () => {},
    () => {},
  );
  queries.answer = async () => broken;
  broken.add(Buffer.from("first "), false);
  const response = await fetch(url);
  expect(response.status).toBe(200);
  broken.destroy(new TsdbError("QUERY_LIMIT", "too much"));
  await expect(response.text()).rejects.toThrow("terminated");
});

test("a client that hangs up cancels its query, before the answer and in the middle of it", async () => {
  const { app, queries } = testApp();
  const port = await listen(app);
  const url = `http://127.0.0.1:${port}/api/v1/query?query=x`;

  const { promise: canceled, resolve } = Promise.withResolvers<void>();
  queries.answer = (_job, { signal }) =>
    new Promise((_resolve, reject) =>
      signal.addEventListener("abort", () => {
        resolve();
        reject(new TsdbError("QUERY_CANCELED", "gone"));
      }),
    );
  const waiting = get(url).on("error", () => {});
  while (queries.jobs.length === 0) await sleep(1);
  waiting.destroy();
  await canceled;

  const { promise: abandoned, resolve: abandon } = Promise.withResolvers<void>();
  const stream = new AnswerStream(() => {}, abandon);
  queries.answer = async () => stream;
  stream.add(Buffer.alloc(1000), false);
  const reading = get(url).on("error", () => {});
  const [response] = (await once(reading, "response")) as [Readable];
  response.on("error", () => {});
  reading.destroy();
  await abandoned;
  expect(stream.destroyed).toBe(true);
});
