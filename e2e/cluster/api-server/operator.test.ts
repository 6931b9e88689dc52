/** The operator as a whole against an API server that misbehaves: what it does then, and above all what it does not do. */
import { expect } from "vitest";
import { sleep, until } from "../../support/until.ts";
import { at, quiet } from "../reconcile/scene.ts";
import { condition } from "../support/api.ts";
import { database } from "../support/operator.ts";
import { test } from "../support/test-cluster.ts";
import type { TestCluster } from "../support/test-cluster.ts";
import type { Disturbance } from "../proxy/faults.ts";
import { applies, applyReconciled, isHealthy, leading, leads, reconciled } from "./leading.ts";

/** Every version of a database's conditions, as a reader of them would have seen them. */
async function conditionsSeen(cluster: TestCluster, act: () => Promise<unknown>): Promise<readonly string[]> {
  const seen: string[] = [];
  const stop = new AbortController();
  const of = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", namespace: cluster.namespace };
  const watching = (async () => {
    for await (const { object } of cluster.api.watch(of, stop.signal))
      for (const type of ["Reconciled", "Stalled"]) {
        const one = condition(object, type);
        if (one !== undefined) seen.push(`${type}=${String(one["status"])}`);
      }
  })();
  await act();
  stop.abort();
  await watching;
  return seen;
}

test("behaviour 1: conflicts of applies and of the lease cost three requests at most, and no condition tells of them", async ({
  cluster,
}) => {
  const { proxy, namespace } = cluster;
  const operator = await cluster.startOperator();
  await leading(operator);
  await applyReconciled(cluster, "smooth");
  const calm = applies(cluster, { subresource: "" }).length;

  const conflict = { kind: "status", code: 409 } as const;
  const faults = [
    proxy.inject({ resource: "services", verb: "patch", namespace }, conflict),
    proxy.inject({ resource: "statefulsets", verb: "patch", subresource: "", namespace }, conflict),
    proxy.inject({ resource: "leases", verb: "update", namespace }, conflict),
  ];
  const seen = await conditionsSeen(cluster, () => applyReconciled(cluster, "rough"));
  expect(faults.map(({ hits }) => hits)).toEqual([1, 1, 1]);
  expect(applies(cluster, { subresource: "" }).length - calm).toBeLessThanOrEqual(calm + 3);
  expect(seen).not.toContain("Reconciled=False");
  expect(seen).not.toContain("Stalled=True");
  expect(await leads(operator)).toBe(true);
});

test("behaviour 2: what was made a moment ago and is not seen yet is not made again", async ({ cluster }) => {
  const { proxy, namespace } = cluster;
  for (const resource of ["statefulsets", "services", "configmaps", "persistentvolumeclaims", "serviceaccounts"])
    proxy.inject({ resource, verb: "watch", namespace, userAgent: /tsdb-operator/ }, { kind: "watch", how: "hold" });
  const operator = await cluster.startOperator();
  await leading(operator);
  await cluster.apply(database("metrics"));
  await cluster.api.waitFor(at(cluster, "StatefulSet", "metrics"), "to be there", () => true);
  await quiet(cluster);
  // Each of these is a run that sees nothing of what the first one made, but from its own answers.
  for (let i = 0; i < 3; i++) {
    await cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), { metadata: { annotations: { look: String(i) } } });
    await quiet(cluster);
  }
  const made = applies(cluster, { subresource: "" });
  expect(made.map(({ info }) => `${info.resource} ${info.name}`).toSorted()).toEqual(
    Array.from(new Set(made.map(({ info }) => `${info.resource} ${info.name}`))).toSorted(),
  );
  expect(made.every(({ status }) => status === 201)).toBe(true);
  for (const watch of proxy.watches({ namespace, userAgent: /tsdb-operator/ })) watch.resume();
  await reconciled(cluster, "metrics");
});

test("behaviour 3: what happened while a watch was deaf is repaired after it expired", async ({ cluster }) => {
  const { proxy, namespace } = cluster;
  const operator = await cluster.startOperator();
  await leading(operator);
  for (const how of ["answer", "event"]) {
    const name = `db-${how}`;
    await applyReconciled(cluster, name);
    const services = { resource: "services", verb: "watch", namespace, userAgent: /tsdb-operator/ } as const;
    for (const watch of proxy.watches(services)) watch.disturb("silence");
    await cluster.api.delete(at(cluster, "Service", `${name}-headless`));
    await cluster.api.patch(at(cluster, "Service", name), {
      metadata: { labels: { "app.kubernetes.io/component": "x" } },
    });
    await quiet(cluster);
    expect(await cluster.api.find(at(cluster, "Service", `${name}-headless`))).toBeUndefined();
    if (how === "answer") {
      proxy.inject(services, { kind: "status", code: 410 });
      for (const watch of proxy.watches(services)) watch.disturb("cut");
    } else for (const watch of proxy.watches(services)) watch.disturb("gone");
    await cluster.api.waitFor(at(cluster, "Service", `${name}-headless`), "to be there again", () => true);
    await cluster.api.waitFor(
      at(cluster, "Service", name),
      "to have its label again",
      ({ metadata }) => metadata.labels?.["app.kubernetes.io/component"] === "database",
    );
    expect(await operator.metric("tsdb_operator_lists_total", { resource: "services", reason: "gone" })).toBe(
      how === "answer" ? 1 : 2,
    );
  }
});

test("behaviour 5: an API server that is away for 30 s is waited for: no exit, nothing made twice, at most one apply each", async ({
  ownCluster: cluster,
}) => {
  const { plane } = cluster;
  const operator = await cluster.startOperator();
  await leading(operator);
  const names = ["one", "two", "three"];
  for (const name of names) await cluster.apply(database(name));
  for (const name of names) await cluster.api.waitFor(at(cluster, "StatefulSet", name), "to be there", () => true);
  await quiet(cluster, 3_000);
  const uids = await childUids(cluster);
  const before = cluster.proxy.requests.length;
  await plane!.stopApiServer("SIGKILL");
  await sleep(15_000);
  expect(await leads(operator)).toBe(false);
  expect(await isHealthy(operator)).toBe(false);
  await sleep(15_000);
  await plane!.startApiServer();
  await leading(operator);
  await sleep(10_000);
  expect(operator.program.isRunning).toBe(true);
  expect(await isHealthy(operator)).toBe(true);
  const written = applies(cluster, { subresource: "" }, before).filter(({ status }) => status !== undefined);
  for (const name of names)
    expect(written.filter(({ info }) => info.name.includes(name)).length).toBeLessThanOrEqual(1);
  expect(await childUids(cluster)).toEqual(uids);

  await cluster.api.patch(at(cluster, "TimeSeriesDB", "two"), { spec: { retention: { time: "9d" } } });
  await cluster.api.waitFor(at(cluster, "ConfigMap", "two-config"), "to have the new retention", (object) =>
    JSON.stringify(object["data"]).includes("9d"),
  );
});

const childUids = async ({ api, namespace }: TestCluster): Promise<readonly string[]> => {
  const kinds = [
    ["apps/v1", "StatefulSet"],
    ["v1", "Service"],
    ["v1", "ConfigMap"],
    ["v1", "PersistentVolumeClaim"],
  ] as const;
  const lists = await Promise.all(kinds.map(([apiVersion, kind]) => api.list(apiVersion, kind, namespace)));
  return lists
    .flat()
    .map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.uid}`)
    .toSorted();
};

test("behaviour 6: with a frozen API server the leader stops leading and says so, and its calls end", async ({
  ownCluster: cluster,
}) => {
  const { plane } = cluster;
  const operator = await cluster.startOperator();
  await leading(operator);
  await cluster.apply(database("metrics"));
  await cluster.api.waitFor(at(cluster, "StatefulSet", "metrics"), "to be there", () => true);
  await quiet(cluster, 3_000);
  plane!.apiServer.signal("SIGSTOP");
  try {
    await until("the lead to end", async () => ((await leads(operator)) ? undefined : true));
    await until("the health to turn bad", async () => ((await isHealthy(operator)) ? undefined : true));
    await sleep(25_000);
    expect(await operator.metric("tsdb_operator_api_requests_total", { code: "none" })).toBeGreaterThan(2);
  } finally {
    plane!.apiServer.signal("SIGCONT");
  }
  await leading(operator);
  expect(await isHealthy(operator)).toBe(true);
  await cluster.api.delete(at(cluster, "Service", "metrics"));
  await cluster.api.waitFor(at(cluster, "Service", "metrics"), "to be there again", () => true);
  expect(operator.program.isRunning).toBe(true);
});

test("behaviour 7: a start into failing lists is not ready, then recovers; a 429 is waited out", async ({
  cluster,
}) => {
  const { proxy, namespace } = cluster;
  const lists = { verb: "list", resource: "timeseriesdbs", namespace, userAgent: /tsdb-operator/ } as const;
  const failing = proxy.inject(lists, { kind: "status", code: 503 }, { times: 4 });
  proxy.inject({ ...lists, resource: "pods" }, { kind: "status", code: 500 }, { times: 2 });
  const operator = await cluster.startOperator({ isAwaited: false });
  const patient = { timeoutMs: 120_000 };
  const asked = async (): Promise<Response | undefined> => {
    const answer = await fetch(`${operator.url}/readyz`).catch(() => undefined);
    return answer !== undefined && failing.hits > 0 ? answer : undefined;
  };
  const readiness = await until("an answer", asked, patient);
  expect(readiness.status).toBe(503);
  expect(await readiness.text()).toContain("timeseriesdbs: ");
  await until("readiness", async () => ((await fetch(`${operator.url}/readyz`)).ok ? true : undefined), patient);
  await leading(operator);
  proxy.inject(
    { resource: "configmaps", verb: "patch", namespace },
    { kind: "status", code: 429, retryAfterSeconds: 3 },
  );
  await cluster.apply(database("metrics"));
  await cluster.api.waitFor(at(cluster, "StatefulSet", "metrics"), "to be there", () => true);
  const [turnedAway, taken] = applies(cluster, { resource: "configmaps" });
  expect(turnedAway!.status).toBe(429);
  expect(taken!.atMs - turnedAway!.atMs).toBeGreaterThanOrEqual(3_000);
});

test("behaviour 8: garbage, half lines, errors and cuts in every watch: the process lives, and sees what comes after", async ({
  cluster,
}) => {
  const { proxy, namespace } = cluster;
  const operator = await cluster.startOperator();
  await leading(operator);
  await applyReconciled(cluster, "metrics");
  for (const how of ["garbage", "truncate", "error", "cut", "end", "gone"] satisfies Disturbance[]) {
    for (const watch of proxy.watches({ namespace, userAgent: /tsdb-operator/ })) watch.disturb(how);
    await cluster.api.delete(at(cluster, "Service", "metrics"));
    await cluster.api.waitFor(at(cluster, "Service", "metrics"), `to be there again after ${how}`, () => true, {
      timeoutMs: 60_000,
    });
    await reconciled(cluster, "metrics");
  }
  expect(operator.program.isRunning).toBe(true);
  expect(await operator.metric("tsdb_operator_watch_missed_total")).toBe(0);
});

test("behaviour 9: of two, one writes; one that is killed is followed within 20 s, one that is stopped within 3 s", async ({
  cluster,
}) => {
  const first = await cluster.startOperator({ name: "first" });
  await leading(first);
  const second = await cluster.startOperator({ name: "second", isDirect: true });
  await sleep(5_000);
  expect([await leads(first), await leads(second)]).toEqual([true, false]);
  await cluster.apply(database("metrics"));
  await cluster.api.waitFor(at(cluster, "StatefulSet", "metrics"), "to be there", () => true);

  await first.program.stop("SIGKILL");
  let startMs = performance.now();
  await leading(second, 25_000);
  expect(performance.now() - startMs).toBeLessThan(20_000);

  const third = await cluster.startOperator({ name: "third" });
  await sleep(3_000);
  const { code } = await second.program.stop("SIGTERM");
  startMs = performance.now();
  expect(code).toBe(0);
  await leading(third);
  expect(performance.now() - startMs).toBeLessThan(3_000);
  await cluster.api.delete(at(cluster, "Service", "metrics"));
  await cluster.api.waitFor(at(cluster, "Service", "metrics"), "to be there again", () => true);
});

test("behaviour 10: a leader that was frozen for a minute writes nothing when it wakes, and ends", async ({
  cluster,
}) => {
  const { proxy, namespace } = cluster;
  const frozen = await cluster.startOperator({ name: "frozen" });
  await leading(frozen);
  await cluster.apply(database("metrics"));
  await cluster.api.waitFor(at(cluster, "StatefulSet", "metrics"), "to be there", () => true);
  await quiet(cluster, 3_000);
  // The other one goes past the proxy, so that what comes through it is the frozen one's.
  const other = await cluster.startOperator({ name: "other", isDirect: true });
  // It is frozen in the middle of work: there is always something to repair.
  const deleting = new AbortController();
  const work = (async () => {
    while (!deleting.signal.aborted) {
      await cluster.api.delete(at(cluster, "Service", "metrics"));
      await sleep(300);
    }
  })();
  await until("repairs", () => (applies(cluster, { resource: "services" }).length > 2 ? true : undefined));
  frozen.program.signal("SIGSTOP");
  // What was already under way when it froze.
  await sleep(1_000);
  const before = proxy.requests.length;
  await leading(other, 40_000);
  await sleep(40_000);
  frozen.program.signal("SIGCONT");
  const { code } = await frozen.program.exited;
  expect(code).toBe(1);
  expect(proxy.writes({ namespace }, before).map(String)).toEqual([]);
  deleting.abort();
  await work;
  expect(await leads(other)).toBe(true);
});

test("behaviour 12: a database that goes while its status is written is no error", async ({ cluster }) => {
  const { proxy, namespace } = cluster;
  const operator = await cluster.startOperator();
  await leading(operator);
  const status = { resource: "timeseriesdbs", subresource: "status", verb: "patch", namespace } as const;
  const deleted = proxy.inject(status, {
    kind: "before",
    run: () => cluster.api.delete(at(cluster, "TimeSeriesDB", "metrics")),
  });
  await cluster.apply(database("metrics"));
  await until("the deletion", () => (deleted.hits > 0 ? true : undefined));
  await quiet(cluster, 3_000);
  expect(await cluster.api.find(at(cluster, "TimeSeriesDB", "metrics"))).toBeUndefined();
  expect(operator.program.log()).not.toMatch(/"level":"(warn|error)".*metrics/);
});
