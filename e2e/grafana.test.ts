/**
 * What Grafana asks of a Prometheus data source, in the way it asks: forms by POST where it can, probes when the data
 * source is saved, pages that must exist even when they are empty. A Prometheus with the same samples is the judge.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ask } from "./support/http.ts";
import type { Answer, Parameters, QueryRequest } from "./support/http.ts";
import { startPrometheus } from "./support/prometheus.ts";
import type { Prometheus } from "./support/prometheus.ts";
import { sendWrite } from "./support/remote-write.ts";
import type { SentSeries } from "./support/remote-write.ts";
import { startTsdb } from "./support/tsdb.ts";
import type { Tsdb } from "./support/tsdb.ts";
import { Workspace } from "./support/workspace.ts";

const workspace = new Workspace("grafana");
let failed = false;
let tsdb: Tsdb;
let prometheus: Prometheus;
const endMs = Math.floor(Date.now() / 1000) * 1000;
const startMs = endMs - 10 * 60_000;

/** Ten minutes of a few series, one of them gone before the end. */
const series: readonly SentSeries[] = ["a", "b", "c"].map((host, i) => ({
  labels: { __name__: "cpu_seconds_total", host, job: "grafana" },
  samples: Array.from({ length: 40 }, (_, k) => ({
    timestamp: startMs + 15_000 * k,
    value: host === "c" && k === 30 ? ("stale" as const) : (i + 1) * k * 1.5,
  })).filter((_, k) => host !== "c" || k <= 30),
}));

beforeAll(async () => {
  failed = true;
  [tsdb, prometheus] = await Promise.all([
    startTsdb(workspace),
    startPrometheus(workspace, { config: () => "", flags: ["--web.enable-remote-write-receiver"] }),
  ]);
  for (const { url } of [tsdb, prometheus]) {
    const { status, text } = await sendWrite(url, series);
    if (status !== 200 && status !== 204) throw new Error(`${url} refused the samples: ${status} ${text}`);
  }
  failed = false;
});
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

const seconds = (ms: number): string => String(ms / 1000);
const window: Parameters = [
  ["start", seconds(startMs)],
  ["end", seconds(endMs)],
];

async function expectSame(request: QueryRequest): Promise<Answer> {
  const [theirs, ours] = await Promise.all([ask(prometheus.url, request), ask(tsdb.url, request)]);
  expect(ours, `${request.method ?? "GET"} ${request.path}`).toEqual(theirs);
  return ours;
}

test("saving the data source: 1+1 at time 4, and a version that has no features", async () => {
  const parameters: Parameters = [
    ["query", "1+1"],
    ["time", "4"],
  ];
  const { text } = await expectSame({ path: "/api/v1/query", parameters, method: "POST" });
  expect(text).toBe('{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}');

  const { data } = JSON.parse((await ask(tsdb.url, { path: "/api/v1/status/buildinfo", parameters: [] })).text) as {
    readonly data: Readonly<Record<string, unknown>>;
  };
  const theirs = JSON.parse((await ask(prometheus.url, { path: "/api/v1/status/buildinfo", parameters: [] })).text) as {
    readonly data: Readonly<Record<string, unknown>>;
  };
  expect(data).not.toHaveProperty("features");
  expect(Object.keys(data)).toEqual(
    expect.arrayContaining(Object.keys(theirs.data).filter((key) => key !== "features")),
  );
  expect(data["version"]).toMatch(/^3\.16\.0\b/);
});

test("panels: queries over a range and at one time, by form and by address", async () => {
  for (const method of ["POST", "GET"] as const) {
    for (const step of ["15", "15.5", "1m"]) {
      const parameters: Parameters = [
        ["query", "sum by (host) (rate(cpu_seconds_total[1m]))"],
        ...window,
        ["step", step],
      ];
      await expectSame({ path: "/api/v1/query_range", parameters, method });
    }
    for (const query of [`topk(2, cpu_seconds_total)`, `cpu_seconds_total{host="c"}`, `count(cpu_seconds_total)`]) {
      const parameters: Parameters = [
        ["query", query],
        ["time", seconds(endMs - 60_000)],
      ];
      await expectSame({ path: "/api/v1/query", parameters, method });
    }
  }
});

test("variables and the query builder: series, labels and label values", async () => {
  const match: Parameters = [["match[]", 'cpu_seconds_total{host=~"a|c"}'], ...window];
  for (const method of ["POST", "GET"] as const) {
    await expectSame({ path: "/api/v1/series", parameters: match, method });
    await expectSame({ path: "/api/v1/labels", parameters: match, method });
    await expectSame({ path: "/api/v1/labels", parameters: window, method });
  }
  for (const name of ["__name__", "host", "job"])
    for (const parameters of [[], window, match, [...match, ["limit", "1"]]] as Parameters[])
      await expectSame({ path: `/api/v1/label/${name}/values`, parameters });
});

test("pages that Grafana looks at exist and are empty", async () => {
  const exemplars: Parameters = [["query", "cpu_seconds_total"], ...window];
  for (const method of ["POST", "GET"] as const)
    await expectSame({ path: "/api/v1/query_exemplars", parameters: exemplars, method });
  await expectSame({ path: "/api/v1/rules", parameters: [] });
  await expectSame({ path: "/api/v1/alerts", parameters: [] });
  await expectSame({ path: "/api/v1/metadata", parameters: [] });
  await expectSame({
    path: "/api/v1/metadata",
    parameters: [
      ["metric", "cpu_seconds_total"],
      ["limit", "1"],
    ],
  });
});

test("a form whose parameters are also in the address: the form comes first", async () => {
  const parameters: Parameters = [
    ["query", "1"],
    ["time", "4"],
  ];
  await expectSame({ path: "/api/v1/query?query=2&time=5", parameters, method: "POST" });
});
