/** What is said of a database while it lives: every version of its status, from the first on. */
import { expect } from "vitest";
import { condition, field } from "../support/api.ts";
import type { Json, KubeObject } from "../support/api.ts";
import { database } from "../support/operator.ts";
import type { TestCluster } from "../support/test-cluster.ts";
import { CONDITION_TYPES } from "../../../src/operator/api/status.ts";
import { applyReady, at, PATIENCE, settled, test, waitForReason } from "./scene.ts";

/** Collects every version of a database until the test says so. */
function recorded(cluster: TestCluster, name: string) {
  const versions: KubeObject[] = [];
  const ended = new AbortController();
  const of = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", namespace: cluster.namespace };
  const running = (async () => {
    for await (const { object } of cluster.api.watch(of, ended.signal))
      if (object.metadata.name === name) versions.push(object);
  })();
  return {
    versions,
    async stop() {
      ended.abort();
      await running;
      return versions;
    },
  };
}

const conditions = (object: KubeObject): readonly Json[] =>
  (field(object, "status.conditions") ?? []) as readonly Json[];

test("through creation and an update the status only goes forward, and times move with what they are of", async ({
  cluster,
}) => {
  await cluster.startOperator();
  const record = recorded(cluster, "metrics");
  await applyReady(cluster, "metrics");
  await cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), { spec: { image: "somewhere/newer:1" } });
  await settled(cluster, "metrics");
  const versions = await record.stop();

  const phases = versions.map((one) => field(one, "status.phase")).filter((phase) => phase !== undefined);
  const changes = phases.filter((phase, i) => phase !== phases[i - 1]);
  expect(changes).toEqual(["Provisioning", "Ready", "Updating", "Ready"]);
  for (const [i, version] of versions.entries()) {
    expect(Number(field(version, "status.observedGeneration") ?? 0)).toBeLessThanOrEqual(version.metadata.generation!);
    if (field(version, "status") === undefined) continue;
    expect(conditions(version).map(({ type }) => type)).toEqual([...CONDITION_TYPES]);
    const before = versions[i - 1];
    for (const { type, status, lastTransitionTime } of conditions(version)) {
      const old = before && condition(before, String(type));
      if (old?.["status"] === status) expect(lastTransitionTime, String(type)).toBe(old?.["lastTransitionTime"]);
    }
  }
});

test("a setting that takes effect without a restart is seen to do so, and the pod stays", async ({ cluster, node }) => {
  const { kubelet } = node;
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const pod = await cluster.api.get(at(cluster, "Pod", "metrics-0"));
  let isHeldBack = true;
  const { engines } = kubelet;
  const old = "0".repeat(16);
  engines!.answer = (_, state) => (isHeldBack ? { ...state, configFileHash: old } : state);
  await cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), { spec: { retention: { time: "7d" } } });
  const spreading = await waitForReason(cluster, "metrics", "ConfigApplied", "Spreading");
  expect(condition(spreading, "Ready")?.["status"]).toBe("True");
  isHeldBack = false;
  await waitForReason(cluster, "metrics", "ConfigApplied", "InForce");
  expect((await cluster.api.get(at(cluster, "Pod", "metrics-0"))).metadata.uid).toBe(pod.metadata.uid);
  const { data } = await cluster.api.get(at(cluster, "ConfigMap", "metrics-config"));
  expect(String((data as Json)["tsdb.yaml"])).toContain("retention: 1w");
});

test("a setting that needs a restart rolls the pod", async ({ cluster }) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const pod = await cluster.api.get(at(cluster, "Pod", "metrics-0"));
  await cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), { spec: { config: { memtableSize: "64MB" } } });
  await cluster.api.waitFor(
    at(cluster, "Pod", "metrics-0"),
    "to be another",
    (one) => one.metadata.uid !== pod.metadata.uid,
  );
  await settled(cluster, "metrics");
});

test("what the engine says of itself is told: a full disk, read-only by hand, and then well again", async ({
  cluster,
  node,
}) => {
  const { kubelet } = node;
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  let state = "readonly-disk";
  kubelet.engines!.answer = (_, said) => ({ ...said, state });
  const full = await waitForReason(cluster, "metrics", "Degraded", "DiskFull");
  expect(condition(full, "Ready")).toMatchObject({ status: "False", reason: "NotWritable" });
  expect(field(full, "status.members.0.state")).toBe("readonly-disk");
  state = "readonly-manual";
  await waitForReason(cluster, "metrics", "Degraded", "ReadOnlyByHand");
  await cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), { spec: { mode: "ReadOnly" } });
  await waitForReason(cluster, "metrics", "Ready", "ReadOnly");
  await waitForReason(cluster, "metrics", "Degraded", "NothingWrong");
  state = "writable";
  await cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), { spec: { mode: "Running" } });
  await settled(cluster, "metrics");
});

test("a claim that is replaced behind our back is told until it is accepted", async ({ cluster }) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const reference = at(cluster, "TimeSeriesDB", "metrics");
  const claim = at(cluster, "PersistentVolumeClaim", "data-metrics-0");
  await cluster.api.patch(reference, { spec: { mode: "Stopped" } });
  await waitForReason(cluster, "metrics", "Ready", "Stopped");
  await cluster.api.waitForAbsence(at(cluster, "Pod", "metrics-0"), PATIENCE);
  const { uid } = (await cluster.api.get(claim)).metadata;
  await cluster.api.delete(claim);
  const replaced = await cluster.api.waitFor(claim, "to be another", (one) => one.metadata.uid !== uid);
  await cluster.api.patch(reference, { spec: { mode: "Running" } });
  const told = await waitForReason(cluster, "metrics", "Degraded", "VolumeReplaced");
  const annotation = `tsdb.dev/accept-volume=${replaced.metadata.uid}`;
  expect(condition(told, "Degraded")?.["message"]).toContain(annotation);
  await cluster.api.patch(reference, {
    metadata: { annotations: { "tsdb.dev/accept-volume": replaced.metadata.uid } },
  });
  await waitForReason(cluster, "metrics", "Degraded", "NothingWrong");
  await settled(cluster, "metrics");
});

test("a spec that the API server takes and that cannot be carried out changes nothing, and is told", async ({
  cluster,
}) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const pod = await cluster.api.get(at(cluster, "Pod", "metrics-0"));
  const reference = at(cluster, "TimeSeriesDB", "metrics");
  await cluster.api.patch(reference, { spec: { podTemplate: { spec: { hostNetwork: true } } } });
  const told = await waitForReason(cluster, "metrics", "Reconciled", "InvalidSpec");
  expect(condition(told, "Reconciled")?.["message"]).toContain("spec.podTemplate");
  expect([field(told, "status.phase"), condition(told, "Available")?.["status"]]).toEqual(["Invalid", "True"]);
  // Others are not held up by it.
  await applyReady(cluster, "other");
  expect((await cluster.api.get(at(cluster, "Pod", "metrics-0"))).metadata.uid).toBe(pod.metadata.uid);
  await cluster.api.patch(reference, { spec: { podTemplate: null } });
  await settled(cluster, "metrics");
});

test("the pods' own StatefulSet is scaled by nobody, and a database is made in one go with kubectl's wait", async ({
  cluster,
}) => {
  await cluster.startOperator();
  await cluster.apply(database("metrics"));
  await settled(cluster, "metrics");
  await cluster.api.patch(at(cluster, "StatefulSet", "metrics"), { spec: { replicas: 0 } });
  await cluster.api.waitFor(
    at(cluster, "StatefulSet", "metrics"),
    "to have its member again",
    (one) => field(one, "spec.replicas") === 1,
    { timeoutMs: 5_000 },
  );
  await settled(cluster, "metrics");
});
