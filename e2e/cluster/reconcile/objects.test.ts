/** From a TimeSeriesDB to objects, and nothing more: what is made, what is left alone, what is waited for. */
import { expect } from "vitest";
import { until } from "../../support/until.ts";
import { condition, field } from "../support/api.ts";
import type { KubeObject } from "../support/api.ts";
import type { RecordedRequest } from "../proxy/recording.ts";
import { database } from "../support/operator.ts";
import { applyReady, at, PATIENCE, quiet, settled, test, waitForReason, writes, writesDuring } from "./scene.ts";

test("a database as small as may be gets all its objects, becomes Ready, and then nothing is written", async ({
  cluster,
}) => {
  await cluster.startOperator();
  const made = await applyReady(cluster, "metrics");
  expect(made).toMatchObject({
    status: { phase: "Ready", replicas: 1, readyReplicas: 1, updatedReplicas: 1, observedGeneration: 1 },
  });
  for (const [kind, name] of [
    ["PersistentVolumeClaim", "data-metrics-0"],
    ["ConfigMap", "metrics-config"],
    ["ServiceAccount", "metrics"],
    ["Service", "metrics-headless"],
    ["Service", "metrics"],
    ["StatefulSet", "metrics"],
  ] as const) {
    const object = await cluster.api.get(at(cluster, kind, name));
    expect(object.metadata.labels).toMatchObject({ "tsdb.dev/database": "metrics" });
    // A claim outlives its database, so it has no owner.
    expect(object.metadata.ownerReferences ?? []).toHaveLength(kind === "PersistentVolumeClaim" ? 0 : 1);
  }
  // One apply for each of them, and one for each status that is news.
  const applies = writes(cluster).filter(({ info }) => info.subresource === "");
  expect(applies.map(({ info }) => info.name).sort()).toEqual(
    ["data-metrics-0", "metrics", "metrics", "metrics", "metrics-config", "metrics-headless"].sort(),
  );
  expect(await writesDuring(cluster, () => new Promise((resolve) => setTimeout(resolve, 20_000)))).toEqual([]);
});

test("a database named tsdb, whose Service would put TSDB_ variables into pods, becomes Ready, too", async ({
  cluster,
}) => {
  await cluster.startOperator();
  await applyReady(cluster, "tsdb");
  const pod = await cluster.api.get(at(cluster, "Pod", "tsdb-0"));
  expect(field(pod, "spec.enableServiceLinks")).toBe(false);
});

test("objects of somebody else's under our names are left alone, and told", async ({ cluster }) => {
  const theirs = [
    { apiVersion: "v1", kind: "Service", metadata: { name: "metrics" }, spec: { ports: [{ port: 1 }] } },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "data-other-0" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    },
  ];
  for (const object of theirs) await cluster.apply(object);
  await cluster.startOperator();
  await cluster.apply(database("metrics"));
  await cluster.apply(database("other"));
  const collided = await waitForReason(cluster, "metrics", "Reconciled", "NameCollision");
  expect(condition(collided, "Reconciled")?.["message"]).toContain("Service metrics");
  expect(condition(collided, "Stalled")?.["status"]).toBe("True");
  // A Service is only a way in: the rest is made.
  await cluster.api.waitFor(at(cluster, "StatefulSet", "metrics"), "to be there", () => true);
  await waitForReason(cluster, "other", "Reconciled", "NameCollision");
  await quiet(cluster);
  // On somebody else's volume no pod may start.
  expect(await cluster.api.find(at(cluster, "StatefulSet", "other"))).toBeUndefined();
  const service = await cluster.api.get(at(cluster, "Service", "metrics"));
  expect([service.metadata.labels, field(service, "spec.ports.0.port")]).toEqual([undefined, 1]);
  expect((await cluster.api.get(at(cluster, "PersistentVolumeClaim", "data-other-0"))).metadata.labels).toBeUndefined();
});

test("another installation's objects are not touched, and the message says how to take them over", async ({
  cluster,
}) => {
  const first = await cluster.startOperator({ flags: ["--installation=first"] });
  await applyReady(cluster, "metrics");
  await first.program.stop("SIGTERM");
  const before = writes(cluster).length;
  await cluster.startOperator({ name: "second", flags: ["--installation=second"] });
  const told = await waitForReason(cluster, "metrics", "Reconciled", "ManagedByAnother");
  expect(condition(told, "Reconciled")?.["message"]).toContain("--installation=first");
  await quiet(cluster);
  expect(
    writes(cluster)
      .slice(before)
      .filter(({ info }) => info.subresource !== "status"),
  ).toEqual([]);
});

test("a database that is deleted while it is being made has nothing made for it any more", async ({ cluster }) => {
  const { proxy, namespace } = cluster;
  const deleteIt = proxy.inject(
    { resource: "configmaps", verb: "patch", namespace },
    { kind: "before", run: () => cluster.api.delete(at(cluster, "TimeSeriesDB", "metrics")) },
  );
  await cluster.startOperator();
  await cluster.apply(database("metrics"));
  await until("the deletion", () => (deleteIt.hits > 0 ? true : undefined));
  await quiet(cluster);
  for (const kind of ["StatefulSet", "Service"] as const)
    await cluster.api.waitForAbsence(at(cluster, kind, "metrics"), PATIENCE);
  await cluster.api.waitForAbsence(at(cluster, "ConfigMap", "metrics-config"), PATIENCE);
  // Its volume was there already, and stays.
  expect(await cluster.api.find(at(cluster, "PersistentVolumeClaim", "data-metrics-0"))).toBeDefined();
});

test("one that is deleted and made again waits for the old objects and takes its volume over", async ({ cluster }) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics", { image: "tsdb.dev/tsdb:old" });
  const claim = await cluster.api.get(at(cluster, "PersistentVolumeClaim", "data-metrics-0"));
  // The old StatefulSet cannot go for a while, as with pods that take their time.
  const reference = at(cluster, "StatefulSet", "metrics");
  await cluster.api.patch(reference, { metadata: { finalizers: ["e2e.tsdb.dev/slow"] } });
  await cluster.api.delete(at(cluster, "TimeSeriesDB", "metrics"));
  await cluster.api.waitForAbsence(at(cluster, "TimeSeriesDB", "metrics"), PATIENCE);
  const before = await quiet(cluster);
  await cluster.apply(database("metrics"));
  await waitForReason(cluster, "metrics", "Reconciled", "WaitingForDeletion");
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  // No hot loop: a status for each thing that is news, and no more.
  expect(writes(cluster).length - before).toBeLessThan(20);
  await cluster.api.patch(reference, { metadata: { finalizers: [] } });
  await settled(cluster, "metrics");
  const taken = await cluster.api.get(at(cluster, "PersistentVolumeClaim", "data-metrics-0"));
  expect(taken.metadata.uid).toBe(claim.metadata.uid);
  // What last ran on the volume, and not the operator's default.
  const made = await cluster.api.get(reference);
  expect(field(made, "spec.template.spec.containers.0.image")).toBe("tsdb.dev/tsdb:old");
});

test.for([
  ["while the operator runs", true],
  ["with no operator running", false],
] as const)(
  "a namespace is deleted with all that is in it %s, and nothing of ours holds it up",
  async ([, isRunning], { cluster }) => {
    const { api } = cluster;
    const name = `${cluster.namespace}-gone`;
    await api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    // It has rights everywhere and looks into that namespace alone: other tests have operators of their own.
    const { program } = await cluster.startOperator({ isClusterWide: true, flags: [`--namespaces=${name}`] });
    await api.apply({ ...database("metrics"), metadata: { name: "metrics", namespace: name } });
    await api.waitFor({ ...at(cluster, "StatefulSet", "metrics"), namespace: name }, "to be there", () => true);
    if (!isRunning) await program.stop("SIGTERM");
    await api.delete({ apiVersion: "v1", kind: "Namespace", name });
    await api.call("DELETE", `/api/v1/namespaces/${name}/pods?gracePeriodSeconds=0`);
    // A claim that a pod has used is kept by Kubernetes' own finalizer until the pod is gone.
    await api.waitForAbsence({ apiVersion: "v1", kind: "Namespace", name }, { timeoutMs: 120_000 });
  },
);

test("a database whose objects are refused again and again is tried less and less, and holds no other one up", async ({
  cluster,
}) => {
  const { api, namespace, proxy } = cluster;
  await cluster.startOperator({ flags: ["--workers=2"] });
  const isNoisy = { namespace, isWrite: true, where: ({ info }: RecordedRequest) => /\bnoisy\b/.test(info.name) };
  const refused = proxy.inject(isNoisy, { kind: "status", code: 500 }, { times: Infinity });
  await cluster.apply(database("noisy"));
  await until("the first refusal", () => (refused.hits > 0 ? true : undefined), PATIENCE);
  const names = Array.from({ length: 10 }, (_, i) => `calm-${i}`);
  const before = refused.hits;
  for (const name of names) await cluster.apply(database(name));
  for (const name of names) await api.waitFor(at(cluster, "TimeSeriesDB", name), "to be ready", isReady, PATIENCE);
  // Each try is a write for each of its objects, and after seven tries a minute has passed.
  expect(refused.hits - before).toBeLessThan(100);
  refused.remove();
  await api.waitFor(at(cluster, "TimeSeriesDB", "noisy"), "to be ready once it may be", isReady, PATIENCE);
});

const isReady = (object: KubeObject): boolean => condition(object, "Ready")?.["status"] === "True";
