/**
 * Objects as the API server has them, and the resources of it that the operator knows. Objects are raw JSON from the wire to
 * the wire: typed models drop the fields they do not know, and a NetworkPolicy without its `from` allows everybody.
 */
import { assert } from "../../base/assert.ts";

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: OwnedFields;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  /** Never in an object that comes out of a store: see owned-fields.ts. */
  readonly managedFields?: readonly ManagedFieldsEntry[];
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/**
 * What one field manager owns, in the shape of `managedFields[].fieldsV1`: `f:NAME` a field, `k:{...}` an item of a list by
 * its keys, `v:...` an item of a set, `.` the thing itself.
 */
export interface OwnedFields {
  readonly [key: string]: OwnedFields;
}

export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
}

const namespaced = (group: string, version: string, plural: string, kind: string): ResourceType => ({
  group,
  version,
  plural,
  kind,
  isNamespaced: true,
});

/** Every resource that the operator reads or writes; there are no others (see rbac.ts). */
export const RESOURCES = {
  timeSeriesDB: namespaced("tsdb.dev", "v1", "timeseriesdbs", "TimeSeriesDB"),
  statefulSet: namespaced("apps", "v1", "statefulsets", "StatefulSet"),
  service: namespaced("", "v1", "services", "Service"),
  configMap: namespaced("", "v1", "configmaps", "ConfigMap"),
  serviceAccount: namespaced("", "v1", "serviceaccounts", "ServiceAccount"),
  persistentVolumeClaim: namespaced("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
  pod: namespaced("", "v1", "pods", "Pod"),
  networkPolicy: namespaced("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
  podDisruptionBudget: namespaced("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
  serviceMonitor: namespaced("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor"),
  lease: namespaced("coordination.k8s.io", "v1", "leases", "Lease"),
  event: namespaced("events.k8s.io", "v1", "events", "Event"),
  storageClass: {
    group: "storage.k8s.io",
    version: "v1",
    plural: "storageclasses",
    kind: "StorageClass",
    isNamespaced: false,
  },
} as const satisfies Record<string, ResourceType>;

export const apiVersionOf = ({ group, version }: Pick<ResourceType, "group" | "version">): string =>
  group === "" ? version : `${group}/${version}`;

const typesByKind: ReadonlyMap<string, ResourceType> = new Map(
  Object.values(RESOURCES).map((type) => [`${apiVersionOf(type)} ${type.kind}`, type]),
);

/** The resource that an object is one of, or that a reference names; it must be one of `RESOURCES`. */
export function typeOf({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): ResourceType {
  const type = typesByKind.get(`${apiVersion} ${kind}`);
  assert(type !== undefined, `${apiVersion} ${kind} is no resource of the operator's`);
  return type;
}

/** An object among those of its type; what has no namespace has the empty one. */
export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

export const keyOf = ({ metadata }: KubeObject): ObjectKey => ({
  namespace: metadata.namespace ?? "",
  name: metadata.name,
});

/** `namespace/name`, or the name alone of what has no namespace. */
export const keyText = ({ namespace, name }: ObjectKey): string => (namespace === "" ? name : `${namespace}/${name}`);

export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf("/");
  return { namespace: text.slice(0, Math.max(0, slash)), name: text.slice(slash + 1) };
}

/**
 * Orders resource versions of one type: negative when `a` is older than `b`. Kubernetes promises that they are decimal
 * numbers that grow; undefined when one is not, as some servers that only look like it have them.
 */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined || !DECIMAL.test(a) || !DECIMAL.test(b)) return undefined;
  // They outgrow 2^53 on some servers. Without leading zeros the longer number is the larger one.
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
const DECIMAL = /^(0|[1-9][0-9]*)$/;

const MICROSECOND_DIGITS = "000";

/** Wall time as the API server wants a MicroTime: RFC 3339 with six digits; it refuses three. */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace("Z", `${MICROSECOND_DIGITS}Z`);

/** Wall time as the API server wants a Time: RFC 3339 in whole seconds. */
export const secondTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
