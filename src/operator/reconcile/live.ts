/**
 * The parts of live objects that the operator reads, under names and types. Objects are raw JSON that the API server has
 * checked against its own schemas; fields it may leave out are optional here.
 */
import type { KubeObject, ObjectMeta } from "../cluster/objects.ts";

export interface LiveDatabase extends KubeObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}

export interface LiveStatefulSet extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly metadata?: Partial<ObjectMeta> };
    readonly updateStrategy?: { readonly rollingUpdate?: { readonly partition?: number } };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
  };
}

export interface ClaimCondition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string | null;
}

export interface LiveClaim extends KubeObject {
  readonly spec?: {
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
  readonly status?: {
    readonly phase?: string;
    readonly capacity?: { readonly storage?: string };
    readonly conditions?: readonly ClaimCondition[];
    readonly allocatedResourceStatuses?: Readonly<Record<string, string>>;
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly image?: string;
  readonly imageID?: string;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: object;
    readonly terminated?: Terminated;
  };
  readonly lastState?: { readonly terminated?: Terminated };
}

export interface Terminated {
  readonly exitCode: number;
  readonly reason?: string;
  readonly signal?: number;
  /** The last lines of its log, as the template asks for. */
  readonly message?: string;
}

export interface LivePod extends KubeObject {
  readonly spec?: {
    readonly containers?: readonly { readonly name: string; readonly image?: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly podIP?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** What StatefulSets call the revision of a pod. */
export const REVISION_LABEL = "controller-revision-hash";

export const isPodReady = (pod: LivePod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

/** The number at the end of a member's name; undefined of a pod that is none of the StatefulSet's. */
export function ordinalOf(memberName: string, databaseName: string): number | undefined {
  const [, digits] = new RegExp(`^${databaseName}-(0|[1-9][0-9]*)$`).exec(memberName) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
