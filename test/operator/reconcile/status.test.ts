/** What users are told about a database, given what was found. */
import { expect, test } from "vitest";
import { statusOfReason } from "../../../src/operator/api/reasons.ts";
import { CONDITION_TYPES, statusSchema, type ConditionType, type Status } from "../../../src/operator/api/status.ts";
import type { StatusFacts } from "../../../src/operator/reconcile/conditions.ts";
import { isSameStatus, statusOf } from "../../../src/operator/reconcile/status.ts";
import { liveClaim, liveMember, livePod, liveStatefulSet, NOW_MS, spec, statusFacts } from "../support/live.ts";

const reasonsOf = (status: Status): Partial<Record<ConditionType, string>> =>
  Object.fromEntries((status.conditions ?? []).map(({ type, reason }) => [type, reason]));
const condition = (status: Status, type: ConditionType) => status.conditions?.find((each) => each.type === type);

const HEALTHY = {
  Ready: "Serving",
  Available: "MembersReady",
  Progressing: "Settled",
  Degraded: "NothingWrong",
  Reconciled: "UpToDate",
  ConfigApplied: "InForce",
  StorageResized: "AtSize",
  Stalled: "NotStalled",
};

test("a database that serves as asked is Ready, and every condition says so", () => {
  const { status, lookAgainInMs } = statusOf(statusFacts());
  expect(reasonsOf(status)).toEqual(HEALTHY);
  expect(lookAgainInMs).toBeUndefined();
  expect(statusSchema.parse(status)).toEqual(status);
  expect(status).toMatchObject({
    observedGeneration: 1,
    phase: "Ready",
    replicas: 1,
    readyReplicas: 1,
    updatedReplicas: 1,
    image: "tsdb:1",
    endpoints: {
      write: "http://metrics.monitoring.svc:8080/api/v1/write",
      query: "http://metrics.monitoring.svc:8080",
    },
    members: [
      {
        name: "metrics-0",
        ready: true,
        state: "writable",
        volume: { uid: "claim-1", requested: "10Gi", capacity: "10Gi", state: "Bound" },
      },
    ],
  });
  for (const { lastTransitionTime, observedGeneration } of status.conditions ?? [])
    expect([lastTransitionTime, observedGeneration]).toEqual(["2026-11-25T12:00:00Z", 1]);
});

const starting = livePod({ isReady: false });
const noPod = liveMember({ pod: undefined, engine: undefined });
const crash = (exitCode: number, more: object = {}) => ({
  restartCount: 3,
  state: { waiting: { reason: "CrashLoopBackOff" } },
  lastState: { terminated: { exitCode, ...more } },
});

const cases: readonly {
  readonly when: string;
  readonly facts: Partial<StatusFacts>;
  readonly phase: string;
  /** Reasons that differ from a healthy database's. */
  readonly reasons: Partial<Record<ConditionType, string>>;
  readonly says?: { readonly [T in ConditionType]?: string };
}[] = [
  {
    when: "nothing exists yet",
    facts: { statefulSet: undefined, members: [liveMember({ pod: undefined, claim: undefined, engine: undefined })] },
    phase: "Provisioning",
    reasons: {
      Ready: "NotAvailable",
      Available: "NoMemberReady",
      Progressing: "Starting",
      ConfigApplied: "NotReported",
    },
    says: { Progressing: "Not ready yet: metrics-0." },
  },
  {
    when: "its pod starts",
    facts: { members: [liveMember({ pod: starting, engine: undefined })] },
    phase: "Provisioning",
    reasons: {
      Ready: "NotAvailable",
      Available: "NoMemberReady",
      Progressing: "Starting",
      ConfigApplied: "NotReported",
    },
  },
  {
    when: "it replays its log",
    facts: { members: [liveMember({ pod: starting, engine: { state: "replaying", configFileHash: "c0nf" } })] },
    phase: "Provisioning",
    reasons: { Ready: "NotAvailable", Available: "NoMemberReady", Progressing: "Replaying" },
  },
  {
    when: "its template is new",
    facts: { statefulSet: liveStatefulSet({ status: { updateRevision: "r2", updatedReplicas: 0 } }) },
    phase: "Updating",
    reasons: { Ready: "RollingOut", Progressing: "RollingOut" },
    says: { Progressing: "0 of 1 members run the newest template." },
  },
  {
    when: "the StatefulSet's controller has not seen its newest spec",
    facts: { statefulSet: liveStatefulSet({ generation: 2, status: { observedGeneration: 1 } }) },
    phase: "Updating",
    reasons: { Ready: "RollingOut", Progressing: "RollingOut" },
  },
  {
    when: "its image cannot be pulled",
    facts: {
      members: [
        liveMember({
          pod: livePod({ isReady: false, container: { state: { waiting: { reason: "ImagePullBackOff" } } } }),
          engine: undefined,
        }),
      ],
    },
    phase: "Degraded",
    reasons: {
      Ready: "NotAvailable",
      Available: "NoMemberReady",
      Progressing: "Starting",
      Degraded: "ImagePullFailed",
      ConfigApplied: "NotReported",
    },
    says: { Degraded: "Pod metrics-0 cannot pull the image tsdb:1 of its container tsdb." },
  },
  {
    when: "it crashes again and again",
    facts: {
      members: [
        liveMember({
          pod: livePod({
            isReady: false,
            container: crash(1, {
              message:
                'cut off"}\n{"level":"info","msg":"starting"}\n{"level":"error","ts":"12:00","msg":"cannot start: no"}\n',
            }),
          }),
          engine: undefined,
        }),
      ],
    },
    phase: "Degraded",
    reasons: {
      Ready: "NotAvailable",
      Available: "NoMemberReady",
      Progressing: "Starting",
      Degraded: "CrashLooping",
      ConfigApplied: "NotReported",
    },
    says: {
      Degraded: "Container tsdb of pod metrics-0 ends again and again with code 1; its last words: cannot start: no",
    },
  },
  {
    when: "it runs between two crashes for want of memory",
    facts: {
      members: [
        liveMember({
          pod: livePod({
            isReady: false,
            container: { ...crash(137, { reason: "OOMKilled" }), state: { running: {} } },
          }),
          engine: undefined,
        }),
      ],
    },
    phase: "Degraded",
    reasons: {
      Ready: "NotAvailable",
      Available: "NoMemberReady",
      Progressing: "Starting",
      Degraded: "CrashLooping",
      ConfigApplied: "NotReported",
    },
    says: {
      Degraded:
        "Container tsdb of pod metrics-0 ends again and again with code 137 (OOMKilled); see `kubectl logs --previous metrics-0`",
    },
  },
  {
    when: "its data is too new for it",
    facts: { members: [liveMember({ pod: livePod({ isReady: false, container: crash(5) }), engine: undefined })] },
    phase: "Degraded",
    reasons: {
      Ready: "NotAvailable",
      Available: "NoMemberReady",
      Progressing: "Starting",
      Degraded: "FormatTooNew",
      ConfigApplied: "NotReported",
    },
  },
  {
    when: "no node takes its pod",
    facts: {
      members: [
        liveMember({
          pod: livePod({
            isReady: false,
            phase: "Pending",
            conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes: not enough memory" }],
          }),
          engine: undefined,
        }),
      ],
    },
    phase: "Degraded",
    reasons: {
      Ready: "NotAvailable",
      Available: "NoMemberReady",
      Progressing: "Starting",
      Degraded: "Unschedulable",
      ConfigApplied: "NotReported",
    },
    says: { Degraded: "No node takes pod metrics-0: 0/3 nodes: not enough memory" },
  },
  {
    when: "its disk is full",
    facts: { members: [liveMember({ engine: { state: "readonly-disk", configFileHash: "c0nf" } })] },
    phase: "Degraded",
    reasons: { Ready: "NotWritable", Degraded: "DiskFull" },
  },
  {
    when: "somebody made it read-only by hand",
    facts: { members: [liveMember({ engine: { state: "readonly-manual", configFileHash: "c0nf" } })] },
    phase: "Degraded",
    reasons: { Ready: "NotWritable", Degraded: "ReadOnlyByHand" },
  },
  {
    when: "the spec asks for read-only",
    facts: {
      spec: spec({ mode: "ReadOnly" }),
      members: [liveMember({ engine: { state: "readonly-manual", configFileHash: "c0nf" } })],
    },
    phase: "Ready",
    reasons: { Ready: "ReadOnly" },
  },
  {
    when: "it is stopped and its pod is ending",
    facts: {
      spec: spec({ mode: "Stopped" }),
      statefulSet: liveStatefulSet({ replicas: 0 }),
      members: [liveMember({ pod: livePod({ deletionTimestamp: "2026-11-25T11:59:00Z" }), engine: undefined })],
    },
    phase: "Stopped",
    reasons: { Ready: "Stopping", Available: "Stopped", Progressing: "Stopping", ConfigApplied: "NotReported" },
  },
  {
    when: "it is stopped",
    facts: { spec: spec({ mode: "Stopped" }), statefulSet: liveStatefulSet({ replicas: 0 }), members: [noPod] },
    phase: "Stopped",
    reasons: { Ready: "Stopped", Available: "Stopped", ConfigApplied: "NotReported" },
  },
  {
    when: "it is paused and nothing waits",
    facts: { spec: spec({ paused: true }) },
    phase: "Paused",
    reasons: { Reconciled: "Paused" },
  },
  {
    when: "it is paused and a change waits",
    facts: { spec: spec({ paused: true }), waiting: ["StatefulSet metrics"] },
    phase: "Paused",
    reasons: { Ready: "NotReconciled", Reconciled: "Paused", ConfigApplied: "NotWritten" },
    says: { Reconciled: "spec.paused is set; these wait to be written: StatefulSet metrics." },
  },
  {
    when: "its spec cannot be carried out",
    facts: {
      spec: undefined,
      configFileHash: undefined,
      obstacles: [{ reason: "InvalidSpec", message: "spec.podTemplate: no." }],
    },
    phase: "Invalid",
    reasons: {
      Ready: "NotReconciled",
      Reconciled: "InvalidSpec",
      ConfigApplied: "NotWritten",
      StorageResized: "NotBound",
      Stalled: "NotReconciled",
    },
  },
  {
    when: "an object of its name is somebody else's",
    facts: {
      obstacles: [
        { reason: "QuotaExceeded", message: "too much." },
        { reason: "NameCollision", message: "Service metrics belongs to nobody we know." },
      ],
    },
    phase: "Invalid",
    reasons: {
      Ready: "NotReconciled",
      Reconciled: "NameCollision",
      ConfigApplied: "NotWritten",
      Stalled: "NotReconciled",
    },
    says: { Reconciled: "Service metrics belongs to nobody we know." },
  },
  {
    when: "objects of an earlier resource are still there",
    facts: { obstacles: [{ reason: "WaitingForDeletion", message: "StatefulSet metrics is being deleted." }] },
    phase: "Provisioning",
    reasons: {
      Ready: "NotReconciled",
      Progressing: "WaitingForDeletion",
      Reconciled: "WaitingForDeletion",
      ConfigApplied: "NotWritten",
    },
  },
  {
    when: "a changed setting is on its way",
    facts: { configFileHash: "newer" },
    phase: "Ready",
    reasons: { Progressing: "ConfigSpreading", ConfigApplied: "Spreading" },
  },
  {
    when: "its volume grows",
    facts: { storage: [{ reason: "Resizing", message: "growing." }] },
    phase: "Resizing",
    reasons: { Progressing: "Resizing", StorageResized: "Resizing" },
  },
  {
    when: "its volume cannot grow",
    facts: {
      storage: [
        { reason: "Resizing", message: "growing." },
        { reason: "NotExpandable", message: "the class says no." },
      ],
    },
    phase: "Ready",
    reasons: { Progressing: "Resizing", StorageResized: "NotExpandable", Stalled: "StorageNotResized" },
    says: { StorageResized: "the class says no." },
  },
  {
    when: "its volume is lost",
    facts: { members: [liveMember({ claim: liveClaim({ phase: "Lost" }) })] },
    phase: "Degraded",
    reasons: { Degraded: "VolumeLost", Stalled: "VolumeReplaced" },
  },
];

test.each(cases)("while $when, phase and reasons say so", ({ facts, phase, reasons, says }) => {
  const { status } = statusOf(statusFacts(facts));
  expect(reasonsOf(status)).toEqual({ ...HEALTHY, ...reasons });
  expect(status.phase).toBe(phase);
  expect(statusSchema.parse(status)).toEqual(status);
  for (const [type, message] of Object.entries(says ?? {}))
    expect(condition(status, type as ConditionType)?.message).toBe(message);
});

test("a status comes from its reason, and every message is a sentence", () => {
  for (const { facts } of cases)
    for (const { type, status, reason, message } of statusOf(statusFacts(facts)).status.conditions ?? []) {
      expect(status).toBe(statusOfReason(type as ConditionType, reason as never));
      expect(message).not.toBe("");
    }
});

test("a transition time moves with the status of its condition, and with nothing else", () => {
  const before = statusOf(statusFacts()).status;
  const laterMs = NOW_MS + 60_000;
  const after = statusOf(
    statusFacts({
      previous: before,
      nowMs: laterMs,
      generation: 2,
      spec: spec({ mode: "ReadOnly" }),
      members: [liveMember({ engine: { state: "readonly-disk", configFileHash: "c0nf" } })],
    }),
  ).status;
  const moved = CONDITION_TYPES.filter(
    (type) => condition(after, type)?.lastTransitionTime !== condition(before, type)?.lastTransitionTime,
  );
  expect(moved).toEqual(["Ready", "Degraded"]);
  expect(condition(after, "Degraded")).toMatchObject({
    lastTransitionTime: "2026-11-25T12:01:00Z",
    observedGeneration: 2,
  });
});

test("the same findings are the same status, whatever the time and the order of keys", () => {
  const before = statusOf(statusFacts()).status;
  const later = statusOf(statusFacts({ previous: before, nowMs: NOW_MS + 1e7 })).status;
  expect(later).toEqual(before);
  const fromServer = JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(before).toReversed()))) as Status;
  expect(isSameStatus(fromServer, later)).toBe(true);
  expect(isSameStatus(undefined, later)).toBe(false);
  expect(isSameStatus(before, statusOf(statusFacts({ members: [noPod] })).status)).toBe(false);
});

test("another claim under the old name is told until the user accepts it", () => {
  const before = statusOf(statusFacts()).status;
  const replaced = { members: [liveMember({ claim: liveClaim({ uid: "claim-2" }) })] };
  const away = statusOf(statusFacts({ previous: before, members: [liveMember({ claim: undefined })] })).status;
  const told = statusOf(statusFacts({ ...replaced, previous: away })).status;
  expect(condition(told, "Degraded")).toMatchObject({
    reason: "VolumeReplaced",
    message: expect.stringContaining("tsdb.dev/accept-volume=claim-2") as string,
  });
  expect(condition(told, "Stalled")?.reason).toBe("VolumeReplaced");
  const still = statusOf(statusFacts({ ...replaced, previous: told })).status;
  expect(still).toEqual(told);
  const accepted = statusOf(statusFacts({ ...replaced, previous: still, acceptedVolume: "claim-2" })).status;
  expect(reasonsOf(accepted)).toEqual(HEALTHY);
  expect(accepted.members?.[0]?.volume?.uid).toBe("claim-2");
  // A third one is not what was accepted.
  const third = { members: [liveMember({ claim: liveClaim({ uid: "claim-3" }) })] };
  const again = statusOf(statusFacts({ ...third, previous: accepted, acceptedVolume: "claim-2" })).status;
  expect(condition(again, "Degraded")?.reason).toBe("VolumeReplaced");
});

test("a pod that nobody makes is told after a while, and not before", () => {
  const facts = { statefulSet: liveStatefulSet({ status: { replicas: 0, updatedReplicas: 0 } }), members: [noPod] };
  const first = statusOf(statusFacts(facts));
  expect([reasonsOf(first.status).Degraded, first.lookAgainInMs]).toEqual(["NothingWrong", 15_000]);
  const soon = statusOf(statusFacts({ ...facts, previous: first.status, nowMs: NOW_MS + 10_000 }));
  expect([reasonsOf(soon.status).Degraded, soon.lookAgainInMs]).toEqual(["NothingWrong", 5_000]);
  const late = statusOf(statusFacts({ ...facts, previous: soon.status, nowMs: NOW_MS + 15_000 }));
  expect([reasonsOf(late.status).Degraded, late.lookAgainInMs]).toEqual(["PodNotCreated", undefined]);
});

test("a leader that has just begun says what the one before it said, until it has asked the members", () => {
  const before = statusOf(statusFacts()).status;
  const unasked = {
    members: [liveMember({ engine: { state: "writable", configFileHash: undefined }, isRemembered: true })],
  };
  expect(statusOf(statusFacts({ ...unasked, previous: before })).status).toEqual(before);
  const edited = statusOf(statusFacts({ ...unasked, previous: before, generation: 2, configFileHash: "newer" })).status;
  expect(condition(edited, "ConfigApplied")?.reason).toBe("Spreading");
});

test("the image is shown with the digest that the kubelet found", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const pod = livePod({ container: { imageID: `docker.io/library/tsdb@${digest}` } });
  expect(statusOf(statusFacts({ members: [liveMember({ pod })] })).status.image).toBe(`tsdb:1@${digest}`);
});
