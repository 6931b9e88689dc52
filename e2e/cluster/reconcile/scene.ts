/** What the tests of reconciling share: a database on a node that is played, and what the operator wrote meanwhile. */
import { until } from "../../support/until.ts";
import { condition, field } from "../support/api.ts";
import type { KubeObject, Reference } from "../support/api.ts";
import { database } from "../support/operator.ts";
import { test as clusterTest } from "../support/test-cluster.ts";
import type { TestCluster } from "../support/test-cluster.ts";
import type { RecordedRequest } from "../proxy/recording.ts";
import { SimulatedKubelet } from "../simulation/kubelet.ts";
import { SimulatedVolumes } from "../simulation/volumes.ts";

export interface Node {
  readonly kubelet: SimulatedKubelet;
  readonly volumes: SimulatedVolumes;
}

/** Pods start and claims get volumes, in the test's namespace, until the test is over. */
export const test = clusterTest.extend<{ readonly node: Node }>({
  node: [
    async ({ cluster: { api, namespace } }, use) => {
      const volumes = await SimulatedVolumes.start(api, namespace);
      const kubelet = await SimulatedKubelet.start(api, { namespace });
      await use({ kubelet, volumes });
      await kubelet.stop();
      await volumes.stop();
    },
    { auto: true },
  ],
});

/** What comes within seconds on a machine that has nothing else to do. */
export const PATIENCE = { timeoutMs: 120_000 } as const;

const KINDS = {
  TimeSeriesDB: "tsdb.dev/v1",
  StatefulSet: "apps/v1",
  NetworkPolicy: "networking.k8s.io/v1",
  PodDisruptionBudget: "policy/v1",
  ResourceQuota: "v1",
  Service: "v1",
  ConfigMap: "v1",
  ServiceAccount: "v1",
  PersistentVolumeClaim: "v1",
  Pod: "v1",
} as const;

/** An object of the test's namespace. */
export const at = ({ namespace }: TestCluster, kind: keyof typeof KINDS, name: string): Reference => ({
  apiVersion: KINDS[kind],
  kind,
  name,
  namespace,
});

/** Waits until a database's condition has a reason. */
export const waitForReason = (cluster: TestCluster, name: string, type: string, reason: string): Promise<KubeObject> =>
  cluster.api.waitFor(
    at(cluster, "TimeSeriesDB", name),
    `${type} is ${reason}`,
    (object) => condition(object, type)?.["reason"] === reason && isCurrent(object),
    PATIENCE,
  );

const isCurrent = (object: KubeObject): boolean =>
  field(object, "status.observedGeneration") === object.metadata.generation;

/** Applies a database and waits until it is Ready and all is settled. */
export async function applyReady(cluster: TestCluster, name: string, spec: object = {}): Promise<KubeObject> {
  await cluster.apply(database(name, spec));
  return settled(cluster, name);
}

export async function settled(cluster: TestCluster, name: string): Promise<KubeObject> {
  const object = await cluster.api.waitFor(
    at(cluster, "TimeSeriesDB", name),
    "to be settled",
    (one) =>
      isCurrent(one) &&
      condition(one, "Ready")?.["status"] === "True" &&
      condition(one, "Progressing")?.["status"] === "False" &&
      condition(one, "ConfigApplied")?.["status"] === "True",
    PATIENCE,
  );
  await quiet(cluster);
  return object;
}

/** What the operator wrote, its lease and events aside. */
export const writes = ({ proxy, namespace }: TestCluster): readonly RecordedRequest[] =>
  proxy.writes({ namespace }).filter(({ info }) => info.resource !== "leases" && info.resource !== "events");

/** Waits until the operator has written nothing for a while. @returns how much it has written by then */
export async function quiet(cluster: TestCluster, forMs = 1_500): Promise<number> {
  let count = writes(cluster).length;
  let sinceMs = performance.now();
  await until(
    "the operator to be quiet",
    () => {
      const now = writes(cluster).length;
      if (now !== count) [count, sinceMs] = [now, performance.now()];
      return performance.now() - sinceMs >= forMs ? true : undefined;
    },
    PATIENCE,
  );
  return count;
}

/** What the operator writes while something is done, until it is quiet again. */
export async function writesDuring(cluster: TestCluster, act: () => Promise<unknown>): Promise<readonly string[]> {
  const before = await quiet(cluster);
  await act();
  await quiet(cluster);
  return writes(cluster)
    .slice(before)
    .map(
      ({ info }) =>
        `${info.verb} ${info.resource}${info.subresource === "" ? "" : `/${info.subresource}`} ${info.name}`,
    );
}
