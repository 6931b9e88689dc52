/** Behaviour 24: a database that crashes again and again is told with its pod and its words, and heals by itself. */
import { expect } from "vitest";
import { condition, field } from "./support/api.ts";
import { applyReady, at, quiet, settled, test, waitForReason } from "./reconcile/scene.ts";
import { LAST_WORDS } from "./simulation/kubelet.ts";

const BAD = "somewhere/bad:1";

test("a crash loop is told with pod, exit code and last words, costs no writes while it lasts, and goes with the pod's health", async ({
  cluster,
  node: { kubelet },
}) => {
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  kubelet.plan = () => "crash-looping";
  await kubelet.replan();
  const told = await waitForReason(cluster, "metrics", "Degraded", "CrashLooping");
  const message = String(condition(told, "Degraded")?.["message"]);
  for (const part of ["metrics-0", "code 1", LAST_WORDS]) expect(message).toContain(part);
  expect([field(told, "status.phase"), condition(told, "Available")?.["status"]]).toEqual(["Degraded", "False"]);
  // It goes on and on, and that is no news.
  await quiet(cluster, 5_000);
  kubelet.plan = () => "ready";
  await kubelet.replan();
  await waitForReason(cluster, "metrics", "Degraded", "NothingWrong");
  const healed = await settled(cluster, "metrics");
  expect(field(healed, "status.phase")).toBe("Ready");
});

test("a change that makes the database crash is taken back by another change, without a hand on its pod", async ({
  cluster,
  node: { kubelet },
}) => {
  kubelet.plan = (pod) => (field(pod, "spec.containers.0.image") === BAD ? "crash-looping" : "ready");
  await cluster.startOperator();
  await applyReady(cluster, "metrics");
  const reference = at(cluster, "TimeSeriesDB", "metrics");
  await cluster.api.patch(reference, { spec: { image: BAD } });
  await waitForReason(cluster, "metrics", "Degraded", "CrashLooping");
  await cluster.api.patch(reference, { spec: { image: "somewhere/good:1" } });
  const healed = await settled(cluster, "metrics");
  expect(condition(healed, "Degraded")?.["reason"]).toBe("NothingWrong");
  const pod = await cluster.api.get(at(cluster, "Pod", "metrics-0"));
  expect(field(pod, "spec.containers.0.image")).toBe("somewhere/good:1");
});
