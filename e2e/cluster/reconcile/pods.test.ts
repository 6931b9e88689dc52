/** Pods that do not start are told, rollouts recover by themselves, and an operator that comes back restarts nobody. */
import { expect } from "vitest";
import { condition, field } from "../support/api.ts";
import { database } from "../support/operator.ts";
import type { Plan } from "../simulation/kubelet.ts";
import { applyReady, at, PATIENCE, quiet, settled, test, waitForReason, writes, writesDuring } from "./scene.ts";

test("a bad image is told, and the right one rolls out by itself", async ({ cluster, node }) => {
  const { kubelet } = node;
  kubelet.plan = (pod) => (field(pod, "spec.containers.0.image") === "nowhere/bad:1" ? "image-missing" : "ready");
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const reference = at(cluster, "TimeSeriesDB", "metrics");
  await cluster.api.patch(reference, { spec: { image: "nowhere/bad:1" } });
  const told = await waitForReason(cluster, "metrics", "Degraded", "ImagePullFailed");
  expect(condition(told, "Degraded")?.["message"]).toContain("Pod metrics-0 cannot pull the image nowhere/bad:1");
  expect(field(told, "status.phase")).toBe("Degraded");
  await cluster.api.patch(reference, { spec: { image: "somewhere/good:1" } });
  const healed = await settled(cluster, "metrics");
  expect(condition(healed, "Degraded")?.["reason"]).toBe("NothingWrong");
  expect(field(healed, "status.image")).toContain("somewhere/good:1@sha256:");
});

test("each way not to start has its reason, which goes when the pod is ready", async ({ cluster, node }) => {
  const { kubelet } = node;
  await cluster.startOperator();
  const ways: readonly (readonly [Plan, string, string])[] = [
    ["unschedulable", "Unschedulable", "Insufficient memory"],
    ["image-missing", "ImagePullFailed", "cannot pull the image"],
  ];
  for (const [plan, reason, says] of ways) {
    const name = plan;
    kubelet.plan = () => plan;
    await cluster.apply(database(name));
    const told = await waitForReason(cluster, name, "Degraded", reason);
    expect(condition(told, "Degraded")?.["message"]).toContain(says);
    expect(condition(told, "Degraded")?.["message"]).toContain(`${name}-0`);
    kubelet.plan = () => "ready";
    const fixedMs = performance.now();
    await kubelet.replan();
    await waitForReason(cluster, name, "Degraded", "NothingWrong");
    expect(performance.now() - fixedMs).toBeLessThan(5_000);
  }
});

test("an operator that is started again, or killed and started again, writes nothing", async ({ cluster }) => {
  const first = await cluster.startOperator();
  await applyReady(cluster, "metrics", { network: { allowFrom: [] }, resources: { limits: { memory: "1Gi" } } });
  const pod = await cluster.api.get(at(cluster, "Pod", "metrics-0"));
  await first.program.stop("SIGTERM");
  expect(
    await writesDuring(cluster, async () => {
      const second = await cluster.startOperator({ name: "second" });
      await quiet(cluster, 5_000);
      await second.program.stop("SIGKILL");
      await cluster.startOperator({ name: "third" });
      // The lease of one that was killed runs out first.
      await quiet(cluster, 25_000);
    }),
  ).toEqual([]);
  expect((await cluster.api.get(at(cluster, "Pod", "metrics-0"))).metadata.uid).toBe(pod.metadata.uid);
});

test("while it is paused nothing is written but the status, and afterwards what waited is done", async ({
  cluster,
}) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const reference = at(cluster, "TimeSeriesDB", "metrics");
  await cluster.api.patch(reference, { spec: { paused: true } });
  await waitForReason(cluster, "metrics", "Reconciled", "Paused");
  const before = await quiet(cluster);
  await cluster.api.patch(reference, { spec: { image: "somewhere/newer:1", storage: { size: "2Gi" } } });
  await cluster.api.patch(at(cluster, "Service", "metrics"), { spec: { type: "NodePort" } });
  await cluster.api.delete(at(cluster, "ConfigMap", "metrics-config"));
  const waiting = await cluster.api.waitFor(reference, "to say what waits", (one) =>
    [
      "StatefulSet metrics",
      "ConfigMap metrics-config",
      "Service metrics",
      "PersistentVolumeClaim data-metrics-0",
    ].every((name) => String(condition(one, "Reconciled")?.["message"]).includes(name)),
  );
  expect([field(waiting, "status.phase"), condition(waiting, "Ready")?.["status"]]).toEqual(["Paused", "False"]);
  await quiet(cluster);
  expect(
    writes(cluster)
      .slice(before)
      .filter(({ info }) => info.subresource !== "status"),
  ).toEqual([]);
  await cluster.api.patch(reference, { spec: { paused: false } });
  await settled(cluster, "metrics");
  expect(field(await cluster.api.get(at(cluster, "Service", "metrics")), "spec.type")).toBe("ClusterIP");
  const pod = await cluster.api.get(at(cluster, "Pod", "metrics-0"));
  expect(field(pod, "spec.containers.0.image")).toBe("somewhere/newer:1");
});

test("a stopped database has no pod and keeps its volume, whatever whenDeleted says, and starts again", async ({
  cluster,
}) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics", { storage: { size: "1Gi", whenDeleted: "Delete" } });
  const claim = await cluster.api.get(at(cluster, "PersistentVolumeClaim", "data-metrics-0"));
  const reference = at(cluster, "TimeSeriesDB", "metrics");
  await cluster.api.patch(reference, { spec: { mode: "Stopped" } });
  const stopped = await waitForReason(cluster, "metrics", "Ready", "Stopped");
  expect([field(stopped, "status.phase"), condition(stopped, "Available")?.["status"]]).toEqual(["Stopped", "False"]);
  await cluster.api.waitForAbsence(at(cluster, "Pod", "metrics-0"), PATIENCE);
  await cluster.api.patch(reference, { spec: { mode: "Running" } });
  await settled(cluster, "metrics");
  const kept = await cluster.api.get(at(cluster, "PersistentVolumeClaim", "data-metrics-0"));
  expect(kept.metadata.uid).toBe(claim.metadata.uid);
});
