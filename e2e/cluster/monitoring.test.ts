/** Behaviour 38: ServiceMonitors are of a kind that a cluster may not have, get later, and lose. */
import { expect } from "vitest";
import { condition, field, referenceTo } from "./support/api.ts";
import type { KubeObject } from "./support/api.ts";
import { database } from "./support/operator.ts";
import { serviceMonitorCrd } from "./support/service-monitors.ts";
import { test } from "./support/test-cluster.ts";

/** The kind is looked for every 45 s. */
const FOUND = { timeoutMs: 120_000 };

test("a ServiceMonitor is made once the cluster knows the kind, set right, changed, deleted, and survived without", async ({
  ownCluster: cluster,
}) => {
  const { api, namespace } = cluster;
  const crd = serviceMonitorCrd();
  const monitor = { apiVersion: "monitoring.coreos.com/v1", kind: "ServiceMonitor", name: "metrics", namespace };
  const configMap = { apiVersion: "v1", kind: "ConfigMap", name: "metrics-config", namespace };
  const ask = (monitoring: object | undefined, days = 30) =>
    cluster.apply(database("metrics", { retention: { time: `${days}d` }, ...(monitoring && { monitoring }) }));
  const isKept = (days: number) => (object: KubeObject) => JSON.stringify(object["data"]).includes(`${days}d`);
  const install = async () => {
    await api.apply(crd);
    const isEstablished = (object: KubeObject) => condition(object, "Established")?.["status"] === "True";
    await api.waitFor(referenceTo(crd), "to be established", isEstablished);
  };

  const operator = await cluster.startOperator();
  await ask({ serviceMonitor: true, labels: { team: "a" } });
  // Nothing waits for a kind that is not there.
  await api.waitFor({ ...monitor, apiVersion: "apps/v1", kind: "StatefulSet" }, "to be there", () => true, FOUND);

  await install();
  const made = await api.waitFor(monitor, "to be made", () => true, FOUND);
  expect(made.metadata.labels).toMatchObject({ team: "a", "tsdb.dev/database": "metrics" });
  expect(field(made, "spec.endpoints.0")).toMatchObject({ port: "http", path: "/metrics" });

  await api.patch(monitor, { spec: { endpoints: [{ port: "other" }] } });
  await api.waitFor(monitor, "to be set right", (one) => field(one, "spec.endpoints.0.port") === "http", FOUND);
  await ask({ serviceMonitor: true, labels: { team: "b" } });
  await api.waitFor(monitor, "to change", ({ metadata }) => metadata.labels?.["team"] === "b", FOUND);
  await ask(undefined);
  await api.waitForAbsence(monitor, FOUND);
  await ask({ serviceMonitor: true });
  await api.waitFor(monitor, "to be made again", () => true, FOUND);

  await api.delete(referenceTo(crd));
  await api.waitForAbsence(referenceTo(crd), FOUND);
  await ask({ serviceMonitor: true }, 31);
  await api.waitFor(configMap, "to be changed all the same", isKept(31), FOUND);
  await install();
  await api.waitFor(monitor, "to be made once more", () => true, FOUND);
  expect(operator.program.isRunning).toBe(true);
});
