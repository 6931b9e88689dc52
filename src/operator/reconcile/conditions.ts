/**
 * The conditions of a database, each from what was found: a reason of the one table (api/reasons.ts) and a sentence for the
 * user. Texts hold nothing that moves by itself.
 */
import { conditionTable, gravest, type ReasonOf } from "../api/reasons.ts";
import type { Spec } from "../api/schema.ts";
import type { ConditionType, Status } from "../api/status.ts";
import type { LiveClaim, LiveStatefulSet } from "./live.ts";
import { engineTrouble, isReady, podTrouble, type Member, type Trouble } from "./members.ts";
import type { StorageFinding } from "./storage.ts";

/** Why objects are not as the spec asks. */
export interface Obstacle {
  readonly reason: ReasonOf<"Reconciled">;
  readonly message: string;
}

export interface StatusFacts {
  readonly namespace: string;
  readonly name: string;
  /** Of the spec that all this is about. */
  readonly generation: number;
  /** Undefined when it is no valid one. */
  readonly spec: Spec | undefined;
  readonly previous: Status | undefined;
  /** `key=value,...` of the members' pods. */
  readonly selector: string;
  /** Of the engine's file that the spec asks for; undefined when that is not known. */
  readonly configFileHash: string | undefined;
  readonly obstacles: readonly Obstacle[];
  /** Objects that are not as the spec asks, while nothing may be written. */
  readonly waiting: readonly string[];
  readonly storage: readonly StorageFinding[];
  readonly statefulSet: LiveStatefulSet | undefined;
  /** In the order of their ordinals. */
  readonly members: readonly Member[];
  /** The uid that the user has accepted for a claim that is another than before. */
  readonly acceptedVolume: string | undefined;
  readonly nowMs: number;
}

export type Finding<T extends ConditionType> = { readonly reason: ReasonOf<T>; readonly message: string };

export const isStopped = ({ spec }: StatusFacts): boolean => spec?.mode === "Stopped";

/** On a TimeSeriesDB: the uid of a claim whose data is not that of before, and that is to be used all the same. */
export const ACCEPT_VOLUME_ANNOTATION = "tsdb.dev/accept-volume";

/** A StatefulSet's controller makes a pod within a second, unless something refuses it. */
export const POD_PATIENCE_MS = 15_000;

export const volumeUidBefore = ({ name }: Member, previous: Status | undefined): string | undefined =>
  previous?.members?.find((each) => each.name === name)?.volume?.uid;

const isReplaced = ({ metadata }: LiveClaim, before: string | undefined, accepted: string | undefined): boolean =>
  before !== undefined && metadata.uid !== before && metadata.uid !== accepted;

/** The old one until the new one is accepted: the status is all that remembers it. */
export const rememberedUid = (claim: LiveClaim, before: string | undefined, accepted: string | undefined) =>
  isReplaced(claim, before, accepted) ? before : claim.metadata.uid;

export function availability(facts: StatusFacts): Finding<"Available"> {
  const ready = facts.members.filter(isReady).length;
  if (ready > 0) return { reason: "MembersReady", message: `${ready} of ${facts.members.length} members are ready.` };
  return isStopped(facts)
    ? { reason: "Stopped", message: "No pod runs, as spec.mode asks." }
    : { reason: "NoMemberReady", message: "No member is ready." };
}

export function reconciliation({ obstacles, spec, waiting }: StatusFacts): Finding<"Reconciled"> {
  const first = gravest("Reconciled", obstacles);
  if (first !== undefined) {
    const same = obstacles.filter(({ reason }) => reason === first.reason).map(({ message }) => message);
    return { reason: first.reason, message: same.join(" ") };
  }
  if (spec?.paused !== true) return { reason: "UpToDate", message: "Every object is as the spec asks." };
  const what = waiting.length === 0 ? "nothing waits to be written" : `these wait to be written: ${waiting.join(", ")}`;
  return { reason: "Paused", message: `spec.paused is set; ${what}.` };
}

export interface Rollout {
  /** Pods of an earlier template are being replaced, or will be. */
  readonly isUnderWay: boolean;
  readonly message: string;
}

export function rolloutOf({ statefulSet, spec }: StatefulSetAndSpec): Rollout {
  const { status, metadata } = statefulSet ?? {};
  const replicas = spec?.mode === "Stopped" ? 0 : (statefulSet?.spec?.replicas ?? 0);
  const updated = status?.updatedReplicas ?? 0;
  // Of one that its controller has not seen at all nothing is to be replaced yet.
  const isSeen = status?.observedGeneration === undefined || status.observedGeneration === metadata?.generation;
  // The two are one once every member of the newest template is ready; a new StatefulSet begins with one.
  const isOneRevision = status?.currentRevision === undefined || status.currentRevision === status.updateRevision;
  const isUnderWay = statefulSet !== undefined && replicas > 0 && !(isSeen && isOneRevision);
  return { isUnderWay, message: `${Math.min(updated, replicas)} of ${replicas} members run the newest template.` };
}
type StatefulSetAndSpec = Pick<StatusFacts, "statefulSet" | "spec">;

export const PROGRESS_OF_STORAGE: ReadonlySet<string> = new Set<ReasonOf<"StorageResized">>([
  "Resizing",
  "FileSystemResizePending",
  "RestartPending",
]);

export function progress(
  facts: StatusFacts,
  rollout: Rollout,
  config: Finding<"ConfigApplied">,
): Finding<"Progressing"> {
  const { members, obstacles, storage } = facts;
  const leaving = obstacles.find(({ reason }) => reason === "WaitingForDeletion");
  if (leaving !== undefined) return { reason: "WaitingForDeletion", message: leaving.message };
  if (isStopped(facts)) {
    const running = members.filter(({ pod }) => pod !== undefined).map(({ name }) => name);
    if (running.length > 0) return { reason: "Stopping", message: `These pods are ending: ${running.join(", ")}.` };
  } else {
    if (rollout.isUnderWay) return { reason: "RollingOut", message: rollout.message };
    const replaying = members.filter(({ engine }) => engine?.state === "replaying").map(({ name }) => name);
    if (replaying.length > 0)
      return {
        reason: "Replaying",
        message: `${replaying.join(", ")} reads its write-ahead log; /-/state has its progress.`,
      };
    const starting = members.filter((member) => !isReady(member)).map(({ name }) => name);
    if (starting.length > 0 && facts.spec !== undefined)
      return { reason: "Starting", message: `Not ready yet: ${starting.join(", ")}.` };
  }
  const growing = storage.find(({ reason }) => PROGRESS_OF_STORAGE.has(reason));
  if (growing !== undefined) return { reason: "Resizing", message: growing.message };
  if (config.reason === "Spreading") return { reason: "ConfigSpreading", message: config.message };
  return { reason: "Settled", message: "Nothing is under way." };
}

/** Whether the StatefulSet's controller should have made a pod by now, and has not. */
export function missingPod(facts: StatusFacts): {
  readonly isOverdue: boolean;
  readonly lookAgainInMs: number | undefined;
} {
  const { statefulSet, members, previous, nowMs } = facts;
  const { status, metadata, spec } = statefulSet ?? {};
  const isWanted = (spec?.replicas ?? 0) > 0 && status?.observedGeneration === metadata?.generation;
  const isMissing = isWanted && (status?.replicas ?? 0) === 0 && members.every(({ pod }) => pod === undefined);
  if (!isMissing) return { isOverdue: false, lookAgainInMs: undefined };
  const told = previous?.conditions?.find(({ type, status: is }) => type === "Available" && is === "False");
  const sinceMs = Math.max(Date.parse(told?.lastTransitionTime ?? ""), Date.parse(metadata?.creationTimestamp ?? ""));
  const leftMs = Number.isNaN(sinceMs) ? POD_PATIENCE_MS : sinceMs + POD_PATIENCE_MS - nowMs;
  return { isOverdue: leftMs <= 0, lookAgainInMs: leftMs > 0 ? leftMs : undefined };
}

/** All that is wrong, the gravest first. */
export function troublesOf(facts: StatusFacts, isPodOverdue: boolean): readonly Trouble[] {
  const { members, previous, acceptedVolume, spec, name } = facts;
  const found: Trouble[] = [];
  for (const member of members) {
    const { pod, claim } = member;
    if (claim?.status?.phase === "Lost")
      found.push({ reason: "VolumeLost", message: `The volume behind the claim ${claim.metadata.name} is gone.` });
    const before = volumeUidBefore(member, previous);
    if (claim !== undefined && isReplaced(claim, before, acceptedVolume))
      found.push({
        reason: "VolumeReplaced",
        message:
          `The claim ${claim.metadata.name} is another one than before, and so is its data. Restore a backup, or accept it: ` +
          `kubectl annotate tsdb ${name} --overwrite ${ACCEPT_VOLUME_ANNOTATION}=${claim.metadata.uid ?? ""}`,
      });
    const ofPod = pod && podTrouble(pod);
    if (ofPod !== undefined) found.push(ofPod);
    const ofEngine = engineTrouble(member, spec?.mode === "ReadOnly");
    if (ofEngine !== undefined) found.push(ofEngine);
  }
  if (isPodOverdue)
    found.push({
      reason: "PodNotCreated",
      message: `No pod is made for StatefulSet ${name}; \`kubectl describe statefulset ${name}\` has what refuses it, such as a ResourceQuota.`,
    });
  const order = Object.keys(conditionTable.Degraded.reasons);
  return found.sort((a, b) => order.indexOf(a.reason) - order.indexOf(b.reason));
}

export function configuration({
  members,
  configFileHash,
  obstacles,
  waiting,
  previous,
  generation,
}: StatusFacts): Finding<"ConfigApplied"> {
  if (configFileHash === undefined || obstacles.length > 0 || waiting.length > 0)
    return { reason: "NotWritten", message: "The settings are not written yet; Reconciled says why." };
  const before = previous?.conditions?.find(({ type }) => type === "ConfigApplied");
  // A leader that has just begun says what the one before it said, until it has asked.
  if (members.some(({ isRemembered }) => isRemembered) && before?.observedGeneration === generation)
    return { reason: before.reason as ReasonOf<"ConfigApplied">, message: before.message };
  const told = members.filter(({ engine }) => engine !== undefined);
  if (told.length < members.length || told.length === 0) {
    const silent = members.filter(({ engine }) => engine === undefined).map(({ name }) => name);
    return { reason: "NotReported", message: `These do not say which settings they run with: ${silent.join(", ")}.` };
  }
  const behind = told.filter(({ engine }) => engine?.configFileHash !== configFileHash).map(({ name }) => name);
  if (behind.length > 0)
    return {
      reason: "Spreading",
      message: `The newest settings are on their way to ${behind.join(", ")}; the kubelet takes up to two minutes. If it lasts longer, the log of the pod says why.`,
    };
  return { reason: "InForce", message: "Every member runs with the newest settings." };
}

export function storageCondition({ storage, spec }: StatusFacts): Finding<"StorageResized"> {
  const first = gravest("StorageResized", storage);
  if (first !== undefined) return first;
  if (spec === undefined)
    return { reason: "NotBound", message: "The spec is not valid; volumes are left as they are." };
  return { reason: "AtSize", message: `Each volume has ${spec.storage.size}.` };
}

const WRITABLE_TROUBLE: ReadonlySet<string> = new Set<ReasonOf<"Degraded">>([
  "DiskFull",
  "DiskFault",
  "ReadOnlyByHand",
]);

interface Findings {
  readonly reconciled: Finding<"Reconciled">;
  readonly available: Finding<"Available">;
  readonly rollout: Rollout;
  readonly troubles: readonly Trouble[];
}

export function readiness(
  facts: StatusFacts,
  { reconciled, available, rollout, troubles }: Findings,
): Finding<"Ready"> {
  const { members, waiting, spec } = facts;
  const isAsAsked = reconciled.reason === "UpToDate" || (reconciled.reason === "Paused" && waiting.length === 0);
  if (!isAsAsked) return { reason: "NotReconciled", message: reconciled.message };
  if (isStopped(facts))
    return members.some(({ pod }) => pod !== undefined)
      ? { reason: "Stopping", message: "Pods are still ending." }
      : { reason: "Stopped", message: "No pod runs, as spec.mode asks." };
  if (available.reason !== "MembersReady") return { reason: "NotAvailable", message: available.message };
  if (rollout.isUnderWay) return { reason: "RollingOut", message: rollout.message };
  const unready = members.filter((member) => !isReady(member)).map(({ name }) => name);
  if (unready.length > 0) return { reason: "MembersNotReady", message: `Not ready: ${unready.join(", ")}.` };
  const refusing = troubles.find(({ reason }) => WRITABLE_TROUBLE.has(reason));
  if (refusing !== undefined) return { reason: "NotWritable", message: refusing.message };
  return spec?.mode === "ReadOnly"
    ? { reason: "ReadOnly", message: "Queries are answered and writes refused, as spec.mode asks." }
    : { reason: "Serving", message: "Writes are taken and queries answered." };
}

/** What passes by itself, if one waits. */
const PASSING: ReadonlySet<string> = new Set<ReasonOf<"Reconciled">>([
  "UpToDate",
  "Paused",
  "WaitingForDeletion",
  "ApplyFailed",
]);
const SETTLED_STORAGE: ReadonlySet<string> = new Set<ReasonOf<"StorageResized">>([
  "ShrinkRefused",
  "NotExpandable",
  "QuotaExceeded",
  "ResizeRefused",
  "ResizeInfeasible",
]);

export function stall(
  { spec }: StatusFacts,
  reconciled: Finding<"Reconciled">,
  storage: Finding<"StorageResized">,
  troubles: readonly Trouble[],
): Finding<"Stalled"> {
  if (!PASSING.has(reconciled.reason)) return { reason: "NotReconciled", message: reconciled.message };
  const replaced = troubles.find(({ reason }) => reason === "VolumeReplaced" || reason === "VolumeLost");
  if (replaced !== undefined) return { reason: "VolumeReplaced", message: replaced.message };
  if (spec !== undefined && SETTLED_STORAGE.has(storage.reason))
    return { reason: "StorageNotResized", message: storage.message };
  return { reason: "NotStalled", message: "Nobody is needed." };
}
