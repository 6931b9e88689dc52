/**
 * What the operator may do in a cluster, verb by verb: no more than it does, as a test over the API server's audit log holds
 * it to. No Secrets, no pods/exec, no right to delete a pod, a StatefulSet or a claim. install.yaml and the chart are
 * printed from here.
 *
 * Server-side apply asks for `patch`, and for `create` too where the object is new.
 */
import { RESOURCES, type ResourceType } from "./cluster/objects.ts";

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const rule = ({ group, plural }: ResourceType, verbs: readonly string[], subresource = ""): PolicyRule => ({
  apiGroups: [group],
  resources: [subresource === "" ? plural : `${plural}/${subresource}`],
  verbs,
});

const WATCH = ["list", "watch"] as const;
/** `get`: before an object is made for the first time, whether one of its name belongs to somebody else. */
const KEEP = ["get", ...WATCH, "create", "patch"] as const;

/** Where databases are: in every namespace, or in one. */
export const databaseRules: readonly PolicyRule[] = [
  rule(RESOURCES.timeSeriesDB, ["get", ...WATCH]),
  rule(RESOURCES.timeSeriesDB, ["patch"], "status"),
  rule(RESOURCES.persistentVolumeClaim, KEEP),
  rule(RESOURCES.configMap, KEEP),
  rule(RESOURCES.serviceAccount, KEEP),
  rule(RESOURCES.service, KEEP),
  rule(RESOURCES.statefulSet, KEEP),
  rule(RESOURCES.networkPolicy, [...KEEP, "delete"]),
  rule(RESOURCES.serviceMonitor, [...KEEP, "delete"]),
  // One member needs no budget, and would only block drains: what is left of one is deleted, and none is made.
  rule(RESOURCES.podDisruptionBudget, [...WATCH, "delete"]),
  rule(RESOURCES.pod, WATCH),
  rule(RESOURCES.event, ["create", "patch"]),
];

/** In the namespace of the lease alone. */
export const leaseRules: readonly PolicyRule[] = [rule(RESOURCES.lease, ["get", "create", "update"])];
