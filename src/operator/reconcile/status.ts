/**
 * What is said about a database: a function of what was found. The same findings give the same status, so a database at rest
 * costs no writes; `lastTransitionTime` alone remembers, and moves only with a condition's status.
 */
import { statusOfReason, type ReasonOf } from "../api/reasons.ts";
import type { Condition, ConditionType, Phase, Status } from "../api/status.ts";
import { secondTime } from "../cluster/objects.ts";
import { baseUrl, CONTAINER } from "../desired/names.ts";
import {
  availability,
  configuration,
  isStopped,
  missingPod,
  progress,
  PROGRESS_OF_STORAGE,
  readiness,
  reconciliation,
  rememberedUid,
  rolloutOf,
  stall,
  storageCondition,
  troublesOf,
  volumeUidBefore,
  type Finding,
  type Rollout,
  type StatusFacts,
} from "./conditions.ts";
import type { LivePod } from "./live.ts";
import { isReady, type Member } from "./members.ts";

export interface StatusOutcome {
  readonly status: Status;
  /** When to look again though nothing happens; undefined: no need. */
  readonly lookAgainInMs: number | undefined;
}

export function statusOf(facts: StatusFacts): StatusOutcome {
  const { members, statefulSet, generation, previous } = facts;
  const missing = missingPod(facts);
  const troubles = troublesOf(facts, missing.isOverdue);
  const available = availability(facts);
  const reconciled = reconciliation(facts);
  const rollout = rolloutOf(facts);
  const config = configuration(facts);
  const storage = storageCondition(facts);
  const progressing = progress(facts, rollout, config);
  const degraded = troubles[0] ?? { reason: "NothingWrong", message: "Nothing is wrong." };
  const ready = readiness(facts, { reconciled, available, rollout, troubles });
  const stalled = stall(facts, reconciled, storage, troubles);

  const conditions = new ConditionList(facts);
  conditions.add("Ready", ready);
  conditions.add("Available", available);
  conditions.add("Progressing", progressing);
  conditions.add("Degraded", degraded);
  conditions.add("Reconciled", reconciled);
  conditions.add("ConfigApplied", config);
  conditions.add("StorageResized", storage);
  conditions.add("Stalled", stalled);

  const image = imageOf(members);
  const status: Status = {
    observedGeneration: generation,
    phase: phaseOf(facts, { ready, reconciled, degraded, storage, rollout }),
    replicas: statefulSet?.status?.replicas ?? 0,
    readyReplicas: members.filter(isReady).length,
    updatedReplicas: statefulSet?.status?.updatedReplicas ?? 0,
    selector: facts.selector,
    ...(image !== undefined && { image }),
    endpoints: { write: `${baseUrl(facts)}/api/v1/write`, query: baseUrl(facts) },
    members: members.map((member) => memberStatus(member, previous, facts.acceptedVolume)),
    conditions: conditions.list,
  };
  return { status, lookAgainInMs: missing.lookAgainInMs };
}

class ConditionList {
  readonly list: Condition[] = [];
  readonly #facts: StatusFacts;

  constructor(facts: StatusFacts) {
    this.#facts = facts;
  }

  add<T extends ConditionType>(type: T, { reason, message }: Finding<T>): void {
    const { previous, nowMs, generation } = this.#facts;
    const status = statusOfReason(type, reason);
    const before = previous?.conditions?.find((each) => each.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : secondTime(nowMs);
    this.list.push({
      type,
      status,
      reason,
      message: message.slice(0, MESSAGE_MAX),
      lastTransitionTime,
      observedGeneration: generation,
    });
  }
}

const MESSAGE_MAX = 2048;

/** The resource itself is to be changed. */
const INVALID: ReadonlySet<string> = new Set<ReasonOf<"Reconciled">>([
  "InvalidSpec",
  "NameCollision",
  "ManagedByAnother",
  "Refused",
]);

interface ForPhase {
  readonly ready: Finding<"Ready">;
  readonly reconciled: Finding<"Reconciled">;
  readonly degraded: Finding<"Degraded">;
  readonly storage: Finding<"StorageResized">;
  readonly rollout: Rollout;
}

function phaseOf(facts: StatusFacts, { ready, reconciled, degraded, storage, rollout }: ForPhase): Phase {
  if (reconciled.reason === "Paused") return "Paused";
  if (INVALID.has(reconciled.reason)) return "Invalid";
  if (degraded.reason !== "NothingWrong") return "Degraded";
  if (isStopped(facts)) return "Stopped";
  if (rollout.isUnderWay) return "Updating";
  if (statusOfReason("Ready", ready.reason) === "False") return "Provisioning";
  return PROGRESS_OF_STORAGE.has(storage.reason) ? "Resizing" : "Ready";
}

function memberStatus(member: Member, previous: Status | undefined, accepted: string | undefined) {
  const { name, claim, engine } = member;
  const before = volumeUidBefore(member, previous);
  // A claim that is away for a moment must not be forgotten: the next one would pass for it.
  const uid = claim === undefined ? before : rememberedUid(claim, before, accepted);
  const requested = claim?.spec?.resources?.requests?.storage;
  const capacity = claim?.status?.capacity?.storage;
  const state = claim?.status?.phase;
  return {
    name,
    ready: isReady(member),
    ...(engine !== undefined && { state: engine.state }),
    ...((claim !== undefined || uid !== undefined) && {
      volume: {
        ...(uid !== undefined && { uid }),
        ...(requested !== undefined && { requested }),
        ...(capacity !== undefined && { capacity }),
        ...(state !== undefined && { state }),
      },
    }),
  };
}

/** What runs, with the digest that the kubelet has found for it. */
function imageOf(members: readonly Member[]): string | undefined {
  const pod: LivePod | undefined = members.find((member) => member.pod !== undefined)?.pod;
  const image = pod?.spec?.containers?.find(({ name }) => name === CONTAINER)?.image;
  const imageId = pod?.status?.containerStatuses?.find(({ name }) => name === CONTAINER)?.imageID;
  const digest = /@(sha256:[0-9a-f]{64})$/.exec(imageId ?? "")?.[1];
  return image === undefined || digest === undefined || image.includes("@") ? image : `${image}@${digest}`;
}

/** Whether a status says what another one does. Times follow from the rest, and are not compared. */
export function isSameStatus(a: Status | undefined, b: Status | undefined): boolean {
  const essence = (status: Status | undefined): string =>
    JSON.stringify(status, (key, value: unknown) => {
      if (key === "lastTransitionTime") return undefined;
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)));
    });
  return essence(a) === essence(b);
}
