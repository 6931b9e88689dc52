/** Live objects of a database "metrics" in namespace "monitoring", as a real cluster has them, with what a test changes. */
import { specSchema, type Spec } from "../../../src/operator/api/schema.ts";
import type { StatusFacts } from "../../../src/operator/reconcile/conditions.ts";
import type { ContainerStatus, LiveClaim, LivePod, LiveStatefulSet } from "../../../src/operator/reconcile/live.ts";
import type { Member } from "../../../src/operator/reconcile/members.ts";

export const NOW_MS = Date.parse("2026-11-25T12:00:00Z");

export const spec = (changes: object = {}): Spec => specSchema.parse({ storage: { size: "10Gi" }, ...changes });

export interface PodChanges {
  readonly ordinal?: number;
  readonly isReady?: boolean;
  readonly revision?: string;
  readonly phase?: string;
  readonly container?: Partial<ContainerStatus>;
  readonly conditions?: NonNullable<LivePod["status"]>["conditions"];
  readonly deletionTimestamp?: string;
}

export function livePod(changes: PodChanges = {}): LivePod {
  const { ordinal = 0, isReady = true, revision = "r1", phase = "Running", container, conditions = [] } = changes;
  const { deletionTimestamp } = changes;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `metrics-${ordinal}`,
      namespace: "monitoring",
      uid: `pod-${ordinal}`,
      labels: { "controller-revision-hash": revision },
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    },
    spec: { containers: [{ name: "tsdb", image: "tsdb:1" }] },
    status: {
      phase,
      podIP: "10.0.0.7",
      conditions: [{ type: "Ready", status: isReady ? "True" : "False" }, ...conditions],
      containerStatuses: [{ name: "tsdb", ready: isReady, restartCount: 0, state: { running: {} }, ...container }],
    },
  };
}

export interface ClaimChanges {
  readonly ordinal?: number;
  readonly uid?: string;
  readonly requested?: string;
  readonly capacity?: string;
  readonly phase?: string;
  readonly status?: Partial<NonNullable<LiveClaim["status"]>>;
}

export function liveClaim(changes: ClaimChanges = {}): LiveClaim {
  const { ordinal = 0, uid = "claim-1", requested = "10Gi", capacity = requested, phase = "Bound", status } = changes;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: `data-metrics-${ordinal}`, namespace: "monitoring", uid },
    spec: { resources: { requests: { storage: requested } } },
    status: { phase, capacity: { storage: capacity }, ...status },
  };
}

export interface StatefulSetChanges {
  readonly replicas?: number;
  readonly generation?: number;
  readonly partition?: number;
  readonly status?: Partial<NonNullable<LiveStatefulSet["status"]>>;
}

export function liveStatefulSet(changes: StatefulSetChanges = {}): LiveStatefulSet {
  const { replicas = 1, generation = 1, partition = 0, status } = changes;
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: {
      name: "metrics",
      namespace: "monitoring",
      uid: "set-1",
      generation,
      creationTimestamp: "2026-11-25T11:00:00Z",
    },
    spec: { replicas, updateStrategy: { rollingUpdate: { partition } } },
    status: {
      observedGeneration: generation,
      replicas,
      readyReplicas: replicas,
      updatedReplicas: replicas,
      currentRevision: "r1",
      updateRevision: "r1",
      ...status,
    },
  };
}

export const liveMember = (changes: Partial<Member> = {}): Member => ({
  name: "metrics-0",
  pod: livePod(),
  claim: liveClaim(),
  engine: { state: "writable", configFileHash: "c0nf" },
  isRemembered: false,
  ...changes,
});

/** Of a database that is as it should be. */
export const statusFacts = (changes: Partial<StatusFacts> = {}): StatusFacts => ({
  namespace: "monitoring",
  name: "metrics",
  generation: 1,
  spec: spec(),
  previous: undefined,
  selector: "app.kubernetes.io/name=tsdb,tsdb.dev/database=metrics",
  configFileHash: "c0nf",
  obstacles: [],
  waiting: [],
  storage: [],
  statefulSet: liveStatefulSet(),
  members: [liveMember()],
  acceptedVolume: undefined,
  nowMs: NOW_MS,
  ...changes,
});
