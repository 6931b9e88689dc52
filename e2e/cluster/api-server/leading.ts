/** What the tests of the operator and its API server share: who leads, and what is as it should be where nobody plays a node. */
import { until } from "../../support/until.ts";
import { at, quiet } from "../reconcile/scene.ts";
import { condition, field } from "../support/api.ts";
import type { KubeObject } from "../support/api.ts";
import { database } from "../support/operator.ts";
import type { Operator } from "../support/operator.ts";
import type { TestCluster } from "../support/test-cluster.ts";
import type { Match } from "../proxy/recording.ts";

export const applies = (cluster: TestCluster, of: Match = {}, since = 0) =>
  cluster.proxy.writes({ namespace: cluster.namespace, ...of }, since).filter(({ info }) => info.resource !== "events");

export const isHealthy = async ({ url }: Operator): Promise<boolean> => (await fetch(`${url}/healthz`)).status === 200;

export const leads = async (operator: Operator): Promise<boolean> =>
  (await operator.metric("tsdb_operator_leader")) === 1;

export const leading = (operator: Operator, timeoutMs = 60_000) =>
  until("the lead", async () => ((await leads(operator)) ? true : undefined), { timeoutMs });

/** All that should be there is as it should be. Whether pods run is none of these tests' business: nobody plays a node. */
export async function reconciled(cluster: TestCluster, name: string): Promise<KubeObject> {
  const isReconciled = (object: KubeObject): boolean =>
    condition(object, "Reconciled")?.["status"] === "True" &&
    field(object, "status.observedGeneration") === object.metadata.generation;
  const timeoutMs = 90_000;
  await cluster.api.waitFor(at(cluster, "StatefulSet", name), "to be there", () => true, { timeoutMs });
  const reference = at(cluster, "TimeSeriesDB", name);
  const object = await cluster.api.waitFor(reference, "to be reconciled", isReconciled, { timeoutMs });
  await quiet(cluster);
  return object;
}

export async function applyReconciled(cluster: TestCluster, name: string): Promise<KubeObject> {
  await cluster.apply(database(name));
  return reconciled(cluster, name);
}
