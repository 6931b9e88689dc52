import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { TsdbError } from "../../../src/base/errors.ts";
import type { DatabaseState } from "../../../src/tsdb/db.ts";
import { buildApp } from "../../../src/tsdb/http/app.ts";
import { buildProbeApp } from "../../../src/tsdb/http/probe.ts";
import { metricsRoute, routes, writeRoute } from "../../../src/tsdb/http/routes/index.ts";
import { bodyOf, cardinality, fakeDeps, testApp } from "./fakes.ts";

test("the reference lists every route, and nothing else", () => {
  const text = readFileSync(new URL("../../../docs/reference/http-api.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| ([A-Z, ]+) \| `([^`]+)` \| (.+?) \|$/gm)].map(
    ([, methods, path, summary]) => ({ methods, path, summary }),
  );
  const existing = [writeRoute, ...routes, metricsRoute].map(({ methods, path, summary }) => ({
    methods: methods.join(", "),
    path,
    summary,
  }));
  expect(documented).toEqual(existing);
});

test("an unknown path is 404 and a wrong method 405 with Allow, both in the envelope and with the safety headers", async () => {
  const cases = [
    { method: "GET", url: "/nothing", status: 404, errorType: "not_found" },
    { method: "GET", url: "/-/reload", status: 405, allow: "POST", errorType: "bad_data" },
    { method: "POST", url: "/api/v1/nothing", status: 404, errorType: "not_found" },
    { method: "GET", url: "/api/v1/query/", status: 404, errorType: "not_found" },
    { method: "GET", url: "//api/v1/query", status: 404, errorType: "not_found" },
    { method: "GET", url: "/api/v1/label/..%2f..%2fetc%2fpasswd", status: 404, errorType: "not_found" },
    { method: "GET", url: "/api/v1/write", status: 405, allow: "POST", errorType: "bad_data" },
    { method: "DELETE", url: "/api/v1/query?query=up", status: 405, allow: "GET, POST", errorType: "bad_data" },
    { method: "POST", url: "/api/v1/label/job/values", status: 405, allow: "GET", errorType: "bad_data" },
    { method: "POST", url: "/-/ready", status: 405, allow: "GET, HEAD", errorType: "bad_data" },
    { method: "OPTIONS", url: "/api/v1/labels", status: 405, allow: "GET, POST", errorType: "bad_data" },
  ] as const;
  const { app } = testApp();
  for (const { method, url, status, errorType, ...rest } of cases) {
    const response = await app.inject({ method, url });
    expect(response.statusCode, url).toBe(status);
    expect(response.headers["allow"]).toBe("allow" in rest ? rest.allow : undefined);
    expect(response.json()).toMatchObject({ status: "error", errorType });
    expect(response.headers["x-content-type-options"]).toBe("nosniff");
    expect(response.headers["server"]).toBeUndefined();
  }
});

test("every route answers with nosniff and without naming its server", async () => {
  const { app } = testApp();
  for (const { methods, path } of [...routes, metricsRoute])
    for (const method of methods) {
      const { headers } = await app.inject({ method, url: path });
      expect(headers["x-content-type-options"], path).toBe("nosniff");
      expect(headers["server"]).toBeUndefined();
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    }
});

test("a body that is no form is refused with 415, an escape that is none with 400", async () => {
  const { app } = testApp();
  const json = await app.inject({
    method: "POST",
    url: "/api/v1/query",
    headers: { "content-type": "application/json" },
    payload: "{}",
  });
  expect(json.statusCode).toBe(415);
  expect(json.json()).toEqual({
    status: "error",
    errorType: "bad_data",
    error: "The body must be a form (application/x-www-form-urlencoded)",
  });
  const badUrl = await app.inject("/api/v1/label/%zz/values");
  expect(badUrl.statusCode).toBe(400);
  expect(badUrl.json()).toMatchObject({ status: "error", errorType: "bad_data" });
  const large = await app.inject({
    method: "POST",
    url: "/api/v1/query",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    payload: "query=" + "x".repeat(2 << 20),
  });
  expect(large.statusCode).toBe(413);
});

test("the process is healthy in every state, and ready only when it takes writes", async () => {
  const cases: { state: DatabaseState; status: number; text: string; stopping?: string }[] = [
    { state: "starting", status: 503, text: "The database is starting.\n" },
    {
      state: "replaying",
      status: 503,
      text: "The database is replaying its write-ahead log: segment 1 of 4, 25% of the bytes.\n",
    },
    { state: "writable", status: 200, text: "TSDB is ready.\n" },
    {
      state: "readonly-disk",
      status: 503,
      text: "The database takes no writes: its disk is full; it goes on by itself once there is space.\n",
    },
    {
      state: "readonly-fault",
      status: 503,
      text: "The database takes no writes: its disk failed; the log has the error.\n",
    },
    { state: "stopping", status: 503, text: "The database is stopping.\n", stopping: "true" },
    { state: "stopped", status: 503, text: "The database has stopped.\n", stopping: "true" },
  ];
  const deps = fakeDeps();
  const probe = buildProbeApp(deps);
  const { app, database } = testApp();
  onTestFinished(() => probe.close());
  for (const { state, status, text, stopping } of cases) {
    database.state = deps.database.state = state;
    for (const server of [app, probe]) {
      const ready = await server.inject("/-/ready");
      expect(ready).toMatchObject({ statusCode: status, body: text });
      expect(ready.headers["x-prometheus-stopping"]).toBe(stopping);
      expect(await server.inject({ method: "HEAD", url: "/-/ready" })).toMatchObject({ statusCode: status, body: "" });
      expect(await server.inject("/-/healthy")).toMatchObject({ statusCode: 200, body: "TSDB is healthy.\n" });
      expect(await server.inject({ method: "HEAD", url: "/-/healthy" })).toMatchObject({ statusCode: 200, body: "" });
      expect((await server.inject("/-/state")).json()).toMatchObject({ state });
    }
  }
});

test("a database that takes no writes is not ready, and is ready for queries", async () => {
  const deps = fakeDeps();
  const probe = buildProbeApp(deps);
  onTestFinished(() => probe.close());
  const statuses = async () =>
    Promise.all(["/-/ready", "/-/ready?for=queries"].map(async (url) => (await probe.inject(url)).statusCode));
  for (const [state, expected] of [
    ["writable", [200, 200]],
    ["readonly-disk", [503, 200]],
    ["readonly-fault", [503, 200]],
    ["readonly-manual", [503, 200]],
    ["replaying", [503, 503]],
    ["stopping", [503, 503]],
  ] as const) {
    deps.database.state = state;
    expect(await statuses(), state).toEqual(expected);
  }
  expect((await probe.inject("/-/ready?for=fun")).statusCode).toBe(400);
});

test("the probe listener serves probes and state, and nothing else", async () => {
  const deps = fakeDeps();
  const probe = buildProbeApp(deps);
  onTestFinished(() => probe.close());
  expect((await probe.inject("/-/state")).json()).toEqual({
    state: "writable",
    reason: "TSDB is ready",
    replay: deps.database.replay,
    engineVersion: "0.1.0",
    formatVersion: 1,
    configHash: "h4sh",
    configFileHash: "f1le",
  });
  for (const { methods, path } of [...routes, metricsRoute, writeRoute]) {
    if (path.startsWith("/-/")) continue;
    expect((await probe.inject({ method: methods[0]!, url: path })).statusCode, path).toBe(404);
  }
});

test("status routes have Prometheus' shapes", async () => {
  const { app, database, queries } = testApp();
  database.damage = [
    { file: "/secret/dir/wal/00000001", offsetBytes: 5, firstSequence: 7, lastSequence: 9, message: "checksum" },
  ];
  const data = async (path: string) => bodyOf(await app.inject(`/api/v1/${path}`))["data"];
  const build = await data("status/buildinfo");
  expect(build).toEqual({
    version: "3.16.0+tsdb.0.1.0",
    revision: "abc",
    branch: "",
    buildUser: "",
    buildDate: "",
    goVersion: "node v26",
    tsdbVersion: "0.1.0",
  });
  expect(await data("status/flags")).toEqual({ "data-dir": "./data" });
  expect(await data("status/config")).toEqual({ yaml: "storage:\n  data_dir: ./data\n" });
  expect(await data("status/runtimeinfo")).toMatchObject({
    startTime: "2023-11-14T22:13:20.000Z",
    CWD: "/",
    hostname: "host",
    serverTime: "2023-11-14T22:13:20.123Z",
    reloadConfigSuccess: true,
    corruptionCount: 1,
    storageRetention: "30d",
    walSync: "always",
  });
  const damage = [{ file: "00000001", offsetBytes: 5, firstSequence: 7, lastSequence: 9, message: "checksum" }];
  queries.answer = async () => Buffer.from(JSON.stringify(cardinality));
  expect(await data("status/tsdb")).toEqual({
    headStats: { numSeries: 2, numLabelPairs: 3, chunkCount: 4, minTime: 1000, maxTime: 2000 },
    seriesCountByMetricName: [{ name: "up", value: 2 }],
    labelValueCountByLabelName: [],
    memoryInBytesByLabelName: [],
    seriesCountByLabelValuePair: [],
    state: "writable",
    damage,
  });
  expect(await data("status/walreplay")).toMatchObject({ min: 0, max: 4, current: 1, bytesDone: 100, damage });
  // Grafana's probe, with ms where seconds belong.
  expect(await data("query_exemplars?query=test&start=1700000000000&end=1700000001000")).toEqual([]);
  expect(await data("rules")).toEqual({ groups: [] });
  expect(await data("alerts")).toEqual({ alerts: [] });
  expect(await data("metadata?limit=10")).toEqual({});
});

test("a reload answers what it changed; a configuration with a mistake is 500, and its text stays in the log", async () => {
  const deps = fakeDeps();
  const { app } = testApp();
  const reload = { method: "POST", url: "/-/reload" } as const;
  expect((await app.inject(reload)).json()).toEqual({
    status: "success",
    data: { applied: { "logging.level": "debug" }, needRestart: {} },
  });
  const reading = (): never => {
    throw new TsdbError("BAD_CONFIG", "/etc/tsdb.yaml:1:1: no");
  };
  const broken = buildApp({ ...deps, config: { ...deps.config, reload: reading } });
  onTestFinished(() => broken.close());
  const refused = await broken.inject(reload);
  expect(refused.statusCode).toBe(500);
  expect(refused.json()).toEqual({
    status: "error",
    errorType: "internal",
    error: "The configuration was not reloaded, the one before stays in force; the server's log names the mistake",
  });
});

test("who opens the server's address in a browser is told what it is and where to go on", async () => {
  const { body, headers } = await testApp().app.inject("/");
  expect(headers["content-type"]).toBe("text/plain; charset=utf-8");
  for (const path of ["/api/v1/write", "/api/v1/query", "/-/ready", "/metrics"]) expect(body).toContain(path);
});
