/**
 * Every reason that a condition may have: its status, and what it means. The one table of them: the operator takes reasons
 * from here alone, and docs/reference/conditions.md is printed from it. A reason that was released keeps its meaning.
 */
import type { ConditionType } from "./status.ts";

export type ConditionStatus = "True" | "False" | "Unknown";

/** For people: what is the case, and what to do about it. */
type Meaning = string;

type Reasons = Readonly<Record<string, readonly [ConditionStatus, Meaning]>>;

export interface ConditionRow {
  /** The question that the condition answers. */
  readonly asks: string;
  /** The gravest first: where several hold, the first is the reason. */
  readonly reasons: Reasons;
}

export const conditionTable = {
  Ready: {
    asks: "Does it serve as the spec asks? What `kubectl wait --for=condition=Ready` and `helm --wait` look at.",
    reasons: {
      NotReconciled: ["False", "The objects are not as the spec asks. `Reconciled` says why."],
      NotAvailable: ["False", "No member answers. `Degraded` and `Progressing` say why."],
      RollingOut: ["False", "Members are being replaced by ones of the newest spec. Wait."],
      MembersNotReady: ["False", "Some members answer, others do not. `Degraded` and `Progressing` say why."],
      NotWritable: [
        "False",
        "Queries are answered and writes refused, though the spec asks for both. `Degraded` says why.",
      ],
      Stopping: ["False", "`mode: Stopped` is asked for, and pods are still ending. Wait."],
      Stopped: ["True", "As asked: no pod runs, and the volume stays. Set `spec.mode: Running` to go on."],
      ReadOnly: ["True", "As asked: queries are answered and writes refused. Set `spec.mode: Running` to take writes."],
      Serving: ["True", "Writes are taken and queries answered."],
    },
  },
  Available: {
    asks: "Are queries answered?",
    reasons: {
      Stopped: ["False", "`mode: Stopped` is asked for."],
      NoMemberReady: ["False", "No member is ready. `Degraded` and `Progressing` say why."],
      MembersReady: ["True", "At least one member is ready."],
    },
  },
  Progressing: {
    asks: "Is something under way that ends by itself?",
    reasons: {
      WaitingForDeletion: ["True", "Objects of an earlier resource of this name are being deleted. Wait."],
      Stopping: ["True", "Pods are ending, as `mode: Stopped` asks."],
      RollingOut: ["True", "Pods are replaced one by one, by ones of the newest spec."],
      Replaying: ["True", "A member reads its write-ahead log and will be ready after that."],
      Starting: ["True", "Pods are made, or start."],
      Resizing: ["True", "Volumes are growing."],
      ConfigSpreading: ["True", "A changed setting is on its way to the members. It takes up to two minutes."],
      Settled: ["False", "Nothing is under way."],
    },
  },
  Degraded: {
    asks: "Is something wrong that needs a look, though other parts may work?",
    reasons: {
      VolumeReplaced: [
        "True",
        "A member's claim is another one than before, so its data is not that of before. Restore a backup, or accept the new volume with the annotation that the message names.",
      ],
      VolumeLost: ["True", "The volume behind a claim is gone. Restore a backup into a new TimeSeriesDB."],
      FormatTooNew: [
        "True",
        "The data was written by a newer version of the database. Set `spec.image` to that version or a newer one.",
      ],
      BadConfig: ["True", "The database refuses its configuration. The pod's log names the setting."],
      ImagePullFailed: ["True", "A pod's image cannot be pulled. Correct `spec.image` or `spec.imagePullSecrets`."],
      Unschedulable: ["True", "No node takes a pod. Its message says what is missing."],
      ContainerCannotStart: ["True", "A pod's container cannot be made. The message has the kubelet's reason."],
      CrashLooping: ["True", "The database ends again and again. `kubectl logs --previous` of the pod says why."],
      PodFailed: ["True", "A pod has failed and is not replaced. `kubectl describe` of the pod says why."],
      PodNotCreated: [
        "True",
        "The StatefulSet controller makes no pod: a ResourceQuota, a LimitRange or an admission rule refuses it. `kubectl describe` of the StatefulSet has its message.",
      ],
      DiskFault: ["True", "The disk refuses the write-ahead log. Writes are refused until it takes them again."],
      DiskFull: [
        "True",
        "The volume is nearly full and writes are refused. Raise `spec.storage.size` or lower `spec.retention`; it goes on by itself.",
      ],
      ReadOnlyByHand: [
        "True",
        "Somebody made a member read-only over its API. `POST /api/v1/admin/writable` ends that.",
      ],
      NothingWrong: ["False", "Nothing is wrong."],
    },
  },
  Reconciled: {
    asks: "Are the objects in the cluster as the spec asks?",
    reasons: {
      InvalidSpec: [
        "False",
        "The spec cannot be carried out; the message names the field. What runs is left as it is.",
      ],
      NameCollision: [
        "False",
        "An object of a name that is needed is there and belongs to somebody else. It is left alone: rename or delete it, or choose another name for this resource.",
      ],
      ManagedByAnother: [
        "False",
        "Another installation of the operator has made the objects. Stop one of the two from watching this namespace.",
      ],
      WaitingForDeletion: ["False", "Objects of an earlier resource of this name are being deleted. Wait."],
      QuotaExceeded: ["False", "A ResourceQuota refuses an object. Raise it; the operator tries again by itself."],
      Forbidden: [
        "False",
        "The operator may not write an object. Its Role lacks a right, or an admission rule refuses it.",
      ],
      Refused: [
        "False",
        "The API server finds an object wrong; the message has its words. Often a value in `spec.podTemplate`.",
      ],
      ApplyFailed: ["False", "The API server fails again and again to write an object. The operator goes on trying."],
      UnstableField: [
        "False",
        "Somebody else keeps changing a field that the operator sets. It was repaired three times and is now left alone: find out who it is with `kubectl get --show-managed-fields`.",
      ],
      Paused: ["False", "`spec.paused` is set: nothing is written but the status. The message names what waits."],
      UpToDate: ["True", "Every object is as the spec asks."],
    },
  },
  ConfigApplied: {
    asks: "Do the members run with the settings of the spec?",
    reasons: {
      NotWritten: ["False", "The ConfigMap is not as the spec asks. `Reconciled` says why."],
      NotReported: [
        "Unknown",
        "No member tells which settings it runs with: none runs, or the operator cannot reach port 8081 of its pods.",
      ],
      Spreading: [
        "False",
        "The kubelet hands a changed ConfigMap to pods within two minutes. If it lasts longer, the member's log says why it refuses its file.",
      ],
      InForce: ["True", "Every member has read the newest settings."],
    },
  },
  StorageResized: {
    asks: "Have the volumes the size that the spec asks for?",
    reasons: {
      ShrinkRefused: [
        "False",
        "A volume is larger than the spec asks for, and volumes cannot shrink. Set the size it has.",
      ],
      NotExpandable: [
        "False",
        "The volume's StorageClass does not let volumes grow. Set `allowVolumeExpansion: true` on it if its driver can; it is tried again by itself.",
      ],
      QuotaExceeded: ["False", "A ResourceQuota refuses the new size. Raise it; it is tried again by itself."],
      ResizeRefused: ["False", "The API server refuses the new size; the message has its words."],
      ResizeInfeasible: ["False", "The storage driver cannot make the volume this large; the claim's events say why."],
      RestartPending: ["False", "The volume has grown and its file system grows with a restart, which is under way."],
      FileSystemResizePending: ["False", "The volume has grown; the kubelet grows its file system."],
      Resizing: ["False", "The storage driver grows the volume."],
      NotBound: ["Unknown", "A claim has no volume yet. It may wait for its first pod; its events say more."],
      AtSize: ["True", "Each volume has the size that the spec asks for."],
    },
  },
  Stalled: {
    asks: "Is somebody needed before it can go on?",
    reasons: {
      NotReconciled: ["True", "The spec or the cluster must be changed. `Reconciled` says what."],
      StorageNotResized: ["True", "The volumes cannot have the size that is asked for. `StorageResized` says why."],
      VolumeReplaced: ["True", "A volume is not the one of before. `Degraded` says what to do."],
      NotStalled: ["False", "Nobody is needed."],
    },
  },
} as const satisfies Readonly<Record<ConditionType, ConditionRow>>;

type Table = typeof conditionTable;
export type ReasonOf<T extends ConditionType> = Extract<keyof Table[T]["reasons"], string>;

export const statusOfReason = <T extends ConditionType>(type: T, reason: ReasonOf<T>): ConditionStatus =>
  (conditionTable[type].reasons as Reasons)[reason]![0];

/** The gravest of what holds. */
export function gravest<T extends ConditionType, F extends { readonly reason: ReasonOf<T> }>(
  type: T,
  findings: readonly F[],
): F | undefined {
  const order = Object.keys(conditionTable[type].reasons);
  return findings.toSorted((a, b) => order.indexOf(a.reason) - order.indexOf(b.reason))[0];
}

/** Events on a TimeSeriesDB: what the operator did, and what it could not do. */
export const eventTable = {
  Created: ["Normal", "Objects were made for a new database, or for a field that asks for one more."],
  RollingOut: [
    "Normal",
    "The pods' template has changed, and members are replaced one by one. The note has the fields.",
  ],
  Growing: ["Normal", "A volume is being grown."],
  Repaired: ["Normal", "Somebody had changed a field that the operator sets; it was set back. The note has the field."],
  Deleted: [
    "Normal",
    "An object that the spec does not ask for any more was deleted. Never a volume, a StatefulSet or a pod.",
  ],
  LeftAlone: [
    "Warning",
    "A field was repaired three times in ten minutes and is now left as somebody else keeps setting it.",
  ],
  ApplyFailed: ["Warning", "An object could not be written. The note has the API server's words."],
  InvalidSpec: ["Warning", "The spec cannot be carried out. The note has the field."],
  NameCollision: ["Warning", "A name that is needed belongs to an object of somebody else's, which is left alone."],
  ManagedByAnother: ["Warning", "Another installation of the operator has made the objects."],
} as const satisfies Readonly<Record<string, readonly ["Normal" | "Warning", Meaning]>>;

export type EventReason = keyof typeof eventTable;
