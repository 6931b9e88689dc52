import { connect } from "node:net";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { ClusterMetrics } from "../../src/operator/cluster/metrics.ts";
import { OperatorHttp } from "../../src/operator/http.ts";

async function listening(problems: { unhealthy?: () => string[]; unready?: () => string[] } = {}) {
  const registry = new Registry();
  const metrics = new ClusterMetrics(registry);
  const http = await OperatorHttp.listen({
    host: "127.0.0.1",
    port: 0,
    registry,
    unhealthy: problems.unhealthy ?? (() => []),
    unready: problems.unready ?? (() => []),
    log: silentLogger,
  });
  const get = async (path: string, init?: RequestInit): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${http.port}${path}`, init);
    return { status: response.status, text: await response.text() };
  };
  return { http, metrics, get, [Symbol.asyncDispose]: () => http.close() };
}

test("health and readiness say what is wrong, one problem a line", async () => {
  let missing = ["pods: being listed", "services: no connection"];
  await using it = await listening({ unready: () => missing });
  expect(await it.get("/healthz")).toEqual({ status: 200, text: "ok\n" });
  expect(await it.get("/readyz")).toEqual({ status: 503, text: "pods: being listed\nservices: no connection\n" });
  missing = [];
  expect(await it.get("/readyz?verbose")).toEqual({ status: 200, text: "ok\n" });
});

test("the metrics show what was counted and what is", async () => {
  await using it = await listening();
  it.metrics.onAttempt({ verb: "patch", resource: "services", code: "409", seconds: 0.02 });
  it.metrics.onWatchEnd("pods", "gone");
  it.metrics.onList("pods", "gone");
  it.metrics.onMissed("pods", 2);
  it.metrics.onEvent("sent");
  it.metrics.onWarning();
  it.metrics.showLeading(() => true);
  it.metrics.showWatched(() => [{ resource: "pods", objects: 3, isSynced: true, silenceMs: 1_500 }]);
  const { status, text } = await it.get("/metrics");
  expect(status).toBe(200);
  for (const line of [
    'tsdb_operator_api_requests_total{verb="patch",resource="services",code="409"} 1',
    'tsdb_operator_api_request_duration_seconds_bucket{le="0.025",verb="patch"} 1',
    'tsdb_operator_watch_ends_total{resource="pods",reason="gone"} 1',
    'tsdb_operator_lists_total{resource="pods",reason="gone"} 1',
    'tsdb_operator_watch_missed_total{resource="pods"} 2',
    'tsdb_operator_events_total{outcome="sent"} 1',
    "tsdb_operator_api_warnings_total 1",
    "tsdb_operator_leader 1",
    'tsdb_operator_cached_objects{resource="pods"} 3',
    'tsdb_operator_synced{resource="pods"} 1',
    'tsdb_operator_watch_silence_seconds{resource="pods"} 1.5',
  ])
    expect(text.split("\n")).toContain(line);
});

test("other paths and methods are told what there is, and a broken check is a 500, not a crash", async () => {
  await using it = await listening({
    unhealthy: () => {
      throw new Error("a bug");
    },
  });
  expect((await it.get("/")).status).toBe(404);
  expect((await it.get("/metrics", { method: "POST", body: "x" })).status).toBe(405);
  expect(await it.get("/healthz")).toEqual({ status: 500, text: "a bug\n" });
});

test("a client that says nothing does not keep the server from closing", async () => {
  const { http } = await listening();
  const { port } = http;
  const idle = connect(port, "127.0.0.1");
  await new Promise((resolve) => void idle.once("connect", resolve));
  idle.on("error", () => {});
  await http.close();
  await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow("fetch failed");
});

test("an address that is taken is an error", async () => {
  await using it = await listening();
  const { http } = it;
  await expect(
    OperatorHttp.listen({
      host: "127.0.0.1",
      port: http.port,
      registry: new Registry(),
      unhealthy: () => [],
      unready: () => [],
      log: silentLogger,
    }),
  ).rejects.toThrow("EADDRINUSE");
});
