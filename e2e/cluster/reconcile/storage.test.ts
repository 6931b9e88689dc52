/** Volumes grow, whatever the pods are at; what cannot grow is told, and holds up nothing else. */
import { expect } from "vitest";
import { condition, field } from "../support/api.ts";
import type { KubeObject } from "../support/api.ts";
import type { TestCluster } from "../support/test-cluster.ts";
import { CLASSES } from "../simulation/volumes.ts";
import { applyReady, at, PATIENCE, quiet, settled, test, waitForReason, writes, writesDuring } from "./scene.ts";

const CLAIM = "data-metrics-0";

const grow = (cluster: TestCluster, size: string, more: object = {}): Promise<KubeObject> =>
  cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), { spec: { storage: { size }, ...more } });

const podUid = async (cluster: TestCluster): Promise<string | undefined> =>
  (await cluster.api.get(at(cluster, "Pod", "metrics-0"))).metadata.uid;

const requested = async (cluster: TestCluster): Promise<unknown> =>
  field(await cluster.api.get(at(cluster, "PersistentVolumeClaim", CLAIM)), "spec.resources.requests.storage");

test("growth is one write of the claim, the pod stays, and the capacity is shown", async ({ cluster }) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const uid = await podUid(cluster);
  const written = await writesDuring(cluster, async () => {
    await grow(cluster, "2Gi");
    await waitForReason(cluster, "metrics", "StorageResized", "AtSize");
    await settled(cluster, "metrics");
  });
  const objects = written.filter((write) => !write.includes("/status"));
  expect(objects).toEqual([`patch persistentvolumeclaims ${CLAIM}`]);
  expect(await podUid(cluster)).toBe(uid);
  const { status } = await cluster.api.get(at(cluster, "TimeSeriesDB", "metrics"));
  expect(field(status, "members.0.volume")).toMatchObject({ requested: "2Gi", capacity: "2Gi", state: "Bound" });
});

test("a class that cannot grow is tried once and told, and other changes of the spec go on", async ({ cluster }) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics", { storage: { size: "1Gi", className: CLASSES.fixed } });
  const before = await quiet(cluster);
  await grow(cluster, "2Gi", { resources: { requests: { memory: "64Mi" } } });
  const told = await waitForReason(cluster, "metrics", "StorageResized", "NotExpandable");
  expect(condition(told, "StorageResized")?.["message"]).toContain("allowVolumeExpansion");
  expect(condition(told, "Stalled")?.["status"]).toBe("True");
  await settled(cluster, "metrics");
  const pod = await cluster.api.get(at(cluster, "Pod", "metrics-0"));
  expect(field(pod, "spec.containers.0.resources.requests.memory")).toBe("64Mi");
  const tries = writes(cluster)
    .slice(before)
    .filter(({ info }) => info.name === CLAIM);
  // The next one comes after 15 s, the one after that 30 s later.
  expect(tries.length).toBeLessThanOrEqual(3);
  for (const { status } of tries) expect(status).toBe(403);
  expect(await requested(cluster)).toBe("1Gi");
});

test("a quota that refuses the growth is told, and raising it heals without touching the resource", async ({
  cluster,
}) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const quota = (storage: string) =>
    cluster.apply({
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: { name: "small" },
      spec: { hard: { "requests.storage": storage } },
    });
  await quota("1Gi");
  await cluster.api.waitFor(at(cluster, "ResourceQuota", "small"), "to be counted", (one) => {
    return field(one, "status.used") !== undefined;
  });
  await grow(cluster, "2Gi");
  const told = await waitForReason(cluster, "metrics", "StorageResized", "QuotaExceeded");
  expect(condition(told, "Ready")?.["status"]).toBe("True");
  await quota("5Gi");
  await waitForReason(cluster, "metrics", "StorageResized", "AtSize");
});

test("a quota that lets no pod be made is told, and raising it heals", async ({ cluster }) => {
  const quota = (pods: string) =>
    cluster.apply({ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "pods" }, spec: { hard: { pods } } });
  await quota("0");
  await cluster.api.waitFor(at(cluster, "ResourceQuota", "pods"), "to be counted", (one) => {
    return field(one, "status.used") !== undefined;
  });
  await cluster.startOperator();
  await cluster.apply({
    apiVersion: "tsdb.dev/v1",
    kind: "TimeSeriesDB",
    metadata: { name: "metrics" },
    spec: { storage: { size: "1Gi" } },
  });
  const told = await waitForReason(cluster, "metrics", "Degraded", "PodNotCreated");
  expect(condition(told, "Degraded")?.["message"]).toContain("ResourceQuota");
  await quota("5");
  await settled(cluster, "metrics");
  await waitForReason(cluster, "metrics", "Degraded", "NothingWrong");
});

test("a database that crashes because its disk is full is grown all the same", async ({ cluster, node }) => {
  const { kubelet } = node;
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  kubelet.plan = () => "crash-looping";
  await kubelet.replan();
  await cluster.api.waitFor(
    at(cluster, "TimeSeriesDB", "metrics"),
    "to be unavailable",
    (one) => condition(one, "Available")?.["status"] === "False",
  );
  await grow(cluster, "3Gi");
  await waitForReason(cluster, "metrics", "StorageResized", "AtSize");
  expect(await requested(cluster)).toBe("3Gi");
});

test("where only a restart grows the file system, the pod is restarted once, through its template", async ({
  cluster,
  node,
}) => {
  const { volumes } = node;
  await cluster.startOperator();
  await applyReady(cluster, "metrics", { storage: { size: "1Gi", className: CLASSES.offline } });
  const uid = await podUid(cluster);
  await grow(cluster, "2Gi");
  await cluster.api.waitFor(
    at(cluster, "Pod", "metrics-0"),
    "to be another",
    (pod) => pod.metadata.uid !== uid && pod.metadata.annotations?.["tsdb.dev/restart"] === "2Gi",
  );
  const restarted = await podUid(cluster);
  await volumes.growFileSystems();
  await waitForReason(cluster, "metrics", "StorageResized", "AtSize");
  await settled(cluster, "metrics");
  expect(await podUid(cluster)).toBe(restarted);
});

test("growth and another template in one edit are both done", async ({ cluster, node }) => {
  const { volumes } = node;
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  volumes.isStuck = true;
  await grow(cluster, "2Gi", { resources: { requests: { cpu: "10m" } } });
  // While the growth is still under way.
  await cluster.api.waitFor(
    at(cluster, "Pod", "metrics-0"),
    "to have the new template",
    (pod) => field(pod, "spec.containers.0.resources.requests.cpu") === "10m",
  );
  await waitForReason(cluster, "metrics", "StorageResized", "Resizing");
  await volumes.resume();
  await waitForReason(cluster, "metrics", "StorageResized", "AtSize");
  await settled(cluster, "metrics");
});

test("shrinking and another class are refused at the door, with the way out in the message", async ({ cluster }) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics", { storage: { size: "2Gi", className: CLASSES.growing } });
  const written = await writesDuring(cluster, async () => {
    await expect(grow(cluster, "1Gi")).rejects.toThrow(/a volume cannot shrink; make a new TimeSeriesDB/);
    const other = { spec: { storage: { size: "2Gi", className: CLASSES.fixed } } };
    await expect(cluster.api.patch(at(cluster, "TimeSeriesDB", "metrics"), other)).rejects.toThrow(
      /the class of existing volumes cannot be changed/,
    );
  });
  expect(written).toEqual([]);
});

test("a retained volume that is larger than a new database asks for stays as it is, and that is told", async ({
  cluster,
}) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics", { storage: { size: "2Gi" } });
  await cluster.api.delete(at(cluster, "TimeSeriesDB", "metrics"));
  await cluster.api.waitForAbsence(at(cluster, "StatefulSet", "metrics"), PATIENCE);
  await cluster.api.waitForAbsence(at(cluster, "Pod", "metrics-0"), PATIENCE);
  await applyReady(cluster, "metrics", { storage: { size: "1Gi" } });
  const told = await waitForReason(cluster, "metrics", "StorageResized", "ShrinkRefused");
  expect(condition(told, "StorageResized")?.["message"]).toContain("set spec.storage.size to 2Gi");
  expect(await requested(cluster)).toBe("2Gi");
});
