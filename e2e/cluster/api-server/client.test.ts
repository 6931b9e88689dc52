/** The operator's client on the real API server: what it sends, what it is answered, and what it makes of it. */
import { expect } from "vitest";
import { ClusterError } from "../../../src/operator/cluster/errors.ts";
import { EventRecorder } from "../../../src/operator/cluster/events.ts";
import { RESOURCES } from "../../../src/operator/cluster/objects.ts";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import { ownedFields } from "../../../src/operator/cluster/owned-fields.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { ManualClock } from "../../../test/support/clock.ts";
import { until } from "../../support/until.ts";
import { field } from "../support/api.ts";
import { ownClient } from "./own-client.ts";
import { test } from "../support/test-cluster.ts";

const configMap = (namespace: string, name: string, fields: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace, name },
  ...fields,
});

const refusal = async (promise: Promise<unknown>): Promise<ClusterError> => {
  const thrown: unknown = await promise.then(
    () => expect.fail("nothing was refused"),
    (error: unknown) => error,
  );
  if (!(thrown instanceof ClusterError)) throw thrown;
  return thrown;
};

test("behaviour 33: the bytes on the wire are the built object, and the API server keeps all of it", async ({
  cluster,
}) => {
  const { namespace, proxy } = cluster;
  await using it = ownClient(cluster);
  const policy: KubeObject = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace, name: "metrics" },
    spec: {
      podSelector: { matchLabels: { "tsdb.dev/database": "metrics" } },
      policyTypes: ["Ingress"],
      ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ port: 9090, protocol: "TCP" }] }],
    },
  };
  const database: KubeObject = {
    apiVersion: "tsdb.dev/v1",
    kind: "TimeSeriesDB",
    metadata: { namespace, name: "metrics" },
    spec: { storage: { size: "1Gi" }, podTemplate: { spec: { futureField: { deep: [1, { x: null }] } } } },
  };
  for (const object of [policy, database]) {
    await it.client.apply(object);
    const sent = proxy.writes({ namespace }).at(-1);
    expect(sent?.text).toBe(JSON.stringify(object));
    expect(sent?.status).toBe(201);
  }
  const stored = await it.client.get(RESOURCES.networkPolicy, { namespace, name: "metrics" });
  expect(stored!["spec"]).toEqual(policy["spec"]);
  const kept = await it.client.get(RESOURCES.timeSeriesDB, { namespace, name: "metrics" });
  expect(field(kept, "spec.podTemplate.spec.futureField.deep.0")).toBe(1);
});

test("an apply creates, repeats itself without a write, gives up what it leaves out, and keeps what others set", async ({
  cluster,
}) => {
  const { namespace, api } = cluster;
  await using it = ownClient(cluster);
  const first = await it.client.apply(configMap(namespace, "c", { data: { a: "1", b: "2" } }));
  const again = await it.client.apply(configMap(namespace, "c", { data: { a: "1", b: "2" } }));
  expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  expect(ownedFields(again)).toEqual({ "f:data": { "f:a": {}, "f:b": {} } });

  const reference = { apiVersion: "v1", kind: "ConfigMap", namespace, name: "c" };
  await api.patch(reference, { data: { a: "theirs", c: "3" }, metadata: { labels: { team: "x" } } });
  const repaired = await it.client.apply(configMap(namespace, "c", { data: { a: "1" } }));
  expect(repaired["data"]).toEqual({ a: "1", c: "3" });
  expect(repaired.metadata.labels).toEqual({ team: "x" });
});

test("an apply to one object does not touch its successor, and a status is never made for what is gone", async ({
  cluster,
}) => {
  const { namespace } = cluster;
  await using it = ownClient(cluster);
  const made = await it.client.apply(configMap(namespace, "c"));
  const of = (uid: string): KubeObject => ({ ...configMap(namespace, "c"), metadata: { namespace, name: "c", uid } });
  await it.client.apply(of(made.metadata.uid!));
  expect(await refusal(it.client.apply(of("0f6a2f0e-0000-4000-8000-000000000000")))).toMatchObject({
    isConflict: true,
  });

  const status = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", metadata: { namespace, name: "gone" }, status: {} };
  expect(await refusal(it.client.applyStatus(status))).toMatchObject({ isNotFound: true });
  expect(await it.client.get(RESOURCES.timeSeriesDB, { namespace, name: "gone" })).toBeUndefined();
});

test("a delete is for one object as it was, and what is gone already is fine", async ({ cluster }) => {
  const { namespace } = cluster;
  await using it = ownClient(cluster);
  const budget = await it.client.apply({
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { namespace, name: "metrics" },
    spec: { maxUnavailable: 1, selector: { matchLabels: { a: "b" } } },
  });
  const key = { namespace, name: "metrics" };
  const type = RESOURCES.podDisruptionBudget;
  const other = "0f6a2f0e-0000-4000-8000-000000000000";
  expect(await refusal(it.client.delete(type, key, { uid: other }))).toMatchObject({ isConflict: true });
  await it.client.delete(type, key, { uid: budget.metadata.uid! });
  expect(await it.client.get(type, key)).toBeUndefined();
  await it.client.delete(type, key, { uid: budget.metadata.uid! });
});

test("what the API server refuses says which field, and a warning of its is heard", async ({ cluster }) => {
  const { namespace } = cluster;
  await using it = ownClient(cluster);
  const misspelt = { ...configMap(namespace, "c"), dat: { a: "1" } };
  expect((await refusal(it.client.apply(misspelt))).message).toMatch(/Cannot apply ConfigMap .*dat/);
  const claim = (size: string): KubeObject => ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { namespace, name: "data" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: size } } },
  });
  await it.client.apply(claim("2Gi"));
  const shrunk = await refusal(it.client.apply(claim("1Gi")));
  expect(shrunk).toMatchObject({ status: 422, reason: "Invalid", isInvalid: true });
  expect(shrunk.causes[0]?.field).toBe("spec");
  expect(shrunk.causes[0]?.message).toContain("immutable");

  await cluster.api.patch(
    { apiVersion: "v1", kind: "Namespace", name: namespace },
    {
      metadata: { labels: { "pod-security.kubernetes.io/warn": "restricted" } },
    },
  );
  const labels = { a: "b" };
  await it.client.apply({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { namespace, name: "s" },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { hostNetwork: true, containers: [{ name: "c", image: "x" }] } },
    },
  });
  expect(it.warnings.join()).toContain('would violate PodSecurity "restricted');
});

test("what is not there and what is not served are told apart", async ({ cluster }) => {
  const { namespace } = cluster;
  await using it = ownClient(cluster);
  expect(await it.client.get(RESOURCES.configMap, { namespace, name: "none" })).toBeUndefined();
  expect(await refusal(it.client.list(RESOURCES.serviceMonitor, { namespace }))).toMatchObject({ isNotServed: true });
});

test("a watch from a version that is yet to come is told nothing, and no error: only a list shows it", async ({
  cluster,
}) => {
  const { namespace } = cluster;
  await using it = ownClient(cluster);
  const options = { namespace, resourceVersion: "999999999999", timeoutSeconds: 3 };
  const watching = it.client.watch(RESOURCES.configMap, options, new AbortController().signal);
  const first = watching.next();
  await it.client.apply(configMap(namespace, "unheard"));
  expect(await first).toEqual({ done: true, value: undefined });
});

test("an event is taken by the API server, and so is its repetition", async ({ cluster }) => {
  const { namespace, api } = cluster;
  await using it = ownClient(cluster);
  const clock = new ManualClock(Date.now());
  const outcomes: string[] = [];
  const recorder = new EventRecorder({
    client: it.client,
    instance: "operator-1",
    clock,
    random: Math.random,
    log: silentLogger,
    onOutcome: (outcome) => outcomes.push(outcome),
  });
  const regarding = await it.client.apply({
    apiVersion: "tsdb.dev/v1",
    kind: "TimeSeriesDB",
    metadata: { namespace, name: "metrics" },
    spec: { storage: { size: "1Gi" } },
  });
  const note = "é".repeat(2_000);
  const event = { regarding, type: "Warning", reason: "InvalidSpec", action: "Check", note } as const;
  for (let i = 0; i < 3; i++) {
    recorder.record(event);
    clock.advance(11 * 60_000);
    await recorder.flush();
  }
  expect(outcomes).toEqual(["sent", "sent", "sent"]);
  const [stored, ...more] = (await api.list("events.k8s.io/v1", "Event", namespace)).filter(
    ({ reason }) => reason === "InvalidSpec",
  );
  expect(more).toEqual([]);
  expect(field(stored, "series.count")).toBe(3);
  expect(field(stored, "regarding.uid")).toBe(regarding.metadata.uid);
});

test("behaviour 7: a 429 is waited out as long as the API server says", async ({ cluster }) => {
  const { namespace, proxy } = cluster;
  await using it = ownClient(cluster);
  proxy.inject({ resource: "configmaps", verb: "patch" }, { kind: "status", code: 429, retryAfterSeconds: 2 });
  await it.client.apply(configMap(namespace, "c"));
  const [first, second] = proxy.writes({ namespace, resource: "configmaps" });
  expect(second!.atMs - first!.atMs).toBeGreaterThanOrEqual(2_000);
  expect(second!.atMs - first!.atMs).toBeLessThan(5_000);
});

test("a write whose answer is lost is sent again, and is done once", async ({ cluster }) => {
  const { namespace, proxy } = cluster;
  await using it = ownClient(cluster);
  proxy.inject({ resource: "configmaps", verb: "patch" }, { kind: "lost-answer" });
  const made = await it.client.apply(configMap(namespace, "c", { data: { a: "1" } }));
  expect(proxy.writes({ namespace, resource: "configmaps" }).map(({ status }) => status)).toEqual([201, 200]);
  const stored = await it.client.get(RESOURCES.configMap, { namespace, name: "c" });
  expect(stored!.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
});

test("behaviour 6: a call to a frozen API server ends in time, and the next one goes well once it is back", async ({
  ownCluster,
}) => {
  const { namespace, plane } = ownCluster;
  await using it = ownClient(ownCluster);
  await it.client.apply(configMap(namespace, "c"));
  plane!.apiServer.signal("SIGSTOP");
  try {
    const startMs = performance.now();
    const error = await refusal(it.client.apply(configMap(namespace, "c", { data: { a: "1" } })));
    expect(error).toMatchObject({ reason: "Timeout", isTransient: true });
    expect(performance.now() - startMs).toBeLessThan(32_000);
  } finally {
    plane!.apiServer.signal("SIGCONT");
  }
  await until("an apply that goes well", () =>
    it.client.apply(configMap(namespace, "c", { data: { a: "2" } })).catch(() => undefined),
  );
});
