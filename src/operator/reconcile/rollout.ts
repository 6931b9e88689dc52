/**
 * Which members get a new template: the highest ordinal first, the next once that one is ready again. The StatefulSet does
 * the replacing; what it is told is a partition, below which members keep what they run. So a new template that does not
 * work stops at the first member, and the operator needs no right to delete pods.
 */
import { isPodReady, ordinalOf, REVISION_LABEL, type LivePod, type LiveStatefulSet } from "./live.ts";

export interface RolloutFacts {
  readonly databaseName: string;
  readonly replicas: number;
  /** Undefined before there is one. */
  readonly statefulSet: LiveStatefulSet | undefined;
  readonly pods: readonly LivePod[];
  /** Whether what is wanted has another template than the live StatefulSet. */
  readonly isTemplateNew: boolean;
}

/** The partition to ask for: members at or above it run the newest template. */
export function partitionOf({ databaseName, replicas, statefulSet, pods, isTemplateNew }: RolloutFacts): number {
  if (statefulSet === undefined || replicas <= 1) return 0;
  if (isTemplateNew) return replicas - 1;
  const partition = statefulSet.spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition === 0) return 0;
  // Before the controller has seen the newest template, the revision that it names is the one before.
  const { status, metadata } = statefulSet;
  if (status?.observedGeneration === undefined || status.observedGeneration < (metadata.generation ?? 0))
    return partition;
  const isDone = (ordinal: number): boolean =>
    pods.some(
      (pod) =>
        ordinalOf(pod.metadata.name, databaseName) === ordinal &&
        pod.metadata.labels?.[REVISION_LABEL] === status.updateRevision &&
        isPodReady(pod),
    );
  for (let ordinal = partition; ordinal < replicas; ordinal++) if (!isDone(ordinal)) return partition;
  return Math.min(partition, replicas) - 1;
}
