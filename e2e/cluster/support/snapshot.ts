/** What is in a namespace for a database, without what differs by chance: for comparing two ways to the same end. */
import type { Api, Json, KubeObject } from "./api.ts";

const CHILDREN = [
  ["apps/v1", "StatefulSet"],
  ["v1", "Service"],
  ["v1", "ConfigMap"],
  ["v1", "ServiceAccount"],
  ["v1", "PersistentVolumeClaim"],
  ["networking.k8s.io/v1", "NetworkPolicy"],
  ["policy/v1", "PodDisruptionBudget"],
] as const;

/** Set by the API server, or by other controllers, each time anew. */
const BY_CHANCE: ReadonlySet<string> = new Set([
  "clusterIP",
  "clusterIPs",
  "creationTimestamp",
  "generation",
  "lastTransitionTime",
  "namespace",
  "resourceVersion",
  "time",
  "uid",
  "volumeName",
  // Only where the controller saw the claim before its volume.
  "volume.beta.kubernetes.io/storage-provisioner",
  "volume.kubernetes.io/storage-provisioner",
]);

const UID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** All children of a database as the operator wants them, by `Kind/name`; what it owns of each included. */
export async function childrenOf(api: Api, namespace: string, name: string): Promise<Readonly<Record<string, Json>>> {
  const snapshot: Record<string, Json> = {};
  for (const [apiVersion, kind] of CHILDREN) {
    const objects = await api.list(apiVersion, kind, namespace, `labelSelector=tsdb.dev/database%3D${name}`);
    for (const object of objects)
      snapshot[`${kind}/${object.metadata.name}`] = without(namespace, withoutStatus(object));
  }
  return snapshot;
}

const withoutStatus = ({ metadata, ...rest }: KubeObject): Json => ({
  ...rest,
  status: undefined,
  metadata: {
    ...metadata,
    managedFields: metadata.managedFields?.filter(({ manager }) => manager === "tsdb-operator"),
  },
});

function without(namespace: string, value: unknown): Json {
  const clean = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(clean);
    // Ids of the installation, and names in the cluster's DNS, have the namespace in them.
    if (typeof one === "string") return one.replaceAll(namespace, "NAMESPACE").replaceAll(UID, "UID");
    if (typeof one !== "object" || one === null) return one;
    const kept = Object.entries(one).filter(([key]) => !BY_CHANCE.has(key));
    // Owned items of lists are named by their keys, such as an owner's uid.
    return Object.fromEntries(kept.map(([key, inner]) => [key.replaceAll(UID, "UID"), clean(inner)]));
  };
  return clean(value) as Json;
}
