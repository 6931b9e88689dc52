/** How far volumes have come to the size that is asked for, and when a restart must help. */
import { expect, test } from "vitest";
import type { Refusal } from "../../../src/operator/reconcile/refusals.ts";
import { RESIZE_PATIENCE_MS, storageOutcome, type StorageFacts } from "../../../src/operator/reconcile/storage.ts";
import { liveClaim, NOW_MS, type ClaimChanges } from "../support/live.ts";

const outcome = (claim: ClaimChanges | undefined, changes: Partial<StorageFacts> = {}) =>
  storageOutcome({
    size: "20Gi",
    claims: [{ name: "data-metrics-0", live: claim && liveClaim(claim) }],
    refusalOf: () => undefined,
    restart: undefined,
    nowMs: NOW_MS,
    ...changes,
  });

const fileSystemPending = (sinceMs: number): ClaimChanges => ({
  requested: "20Gi",
  capacity: "10Gi",
  status: {
    conditions: [
      { type: "FileSystemResizePending", status: "True", lastTransitionTime: new Date(sinceMs).toISOString() },
    ],
  },
});

const refused = (kind: Refusal["kind"], message: string) => ({ refusalOf: () => ({ kind, message }) });
const NO_EXPANSION =
  'persistentvolumeclaims "data-metrics-0" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize';

test.each<{
  when: string;
  claim: ClaimChanges | undefined;
  changes?: Partial<StorageFacts>;
  reason: string | undefined;
}>([
  { when: "it has the size", claim: { requested: "20Gi" }, reason: undefined },
  { when: "it has the size in another spelling", claim: { requested: "20480Mi" }, reason: undefined },
  { when: "the driver gave a little more", claim: { requested: "20Gi", capacity: "21Gi" }, reason: undefined },
  { when: "there is none", claim: undefined, reason: "NotBound" },
  { when: "it has no volume", claim: { requested: "20Gi", phase: "Pending" }, reason: "NotBound" },
  { when: "it is larger than asked", claim: { requested: "30Gi" }, reason: "ShrinkRefused" },
  { when: "growth was just asked for", claim: { requested: "20Gi", capacity: "10Gi" }, reason: "Resizing" },
  { when: "growth is still to be asked for", claim: { requested: "10Gi" }, reason: "Resizing" },
  {
    when: "the class does not grow volumes",
    claim: { requested: "10Gi" },
    changes: refused("Forbidden", NO_EXPANSION),
    reason: "NotExpandable",
  },
  {
    when: "a quota refuses it",
    claim: { requested: "10Gi" },
    changes: refused("Quota", "exceeded quota: small"),
    reason: "QuotaExceeded",
  },
  {
    when: "the API server refuses it otherwise",
    claim: { requested: "10Gi" },
    changes: refused("Invalid", "no"),
    reason: "ResizeRefused",
  },
  {
    when: "another part of the claim is refused and its size is right",
    claim: { requested: "20Gi" },
    changes: refused("Invalid", "no"),
    reason: undefined,
  },
  {
    when: "the driver cannot",
    claim: {
      requested: "20Gi",
      capacity: "10Gi",
      status: { allocatedResourceStatuses: { storage: "ControllerResizeInfeasible" } },
    },
    reason: "ResizeInfeasible",
  },
  { when: "its file system is growing", claim: fileSystemPending(NOW_MS), reason: "FileSystemResizePending" },
  {
    when: "its file system waits for a restart",
    claim: fileSystemPending(NOW_MS - RESIZE_PATIENCE_MS),
    reason: "RestartPending",
  },
])("a claim is found to be so when $when", ({ claim, changes, reason }) => {
  const { findings } = outcome(claim, changes);
  expect(findings.map((finding) => finding.reason)).toEqual(reason === undefined ? [] : [reason]);
  for (const { message } of findings) expect(message).toContain("data-metrics-0");
});

test("a restart is asked for only after the kubelet has had its time, and once", () => {
  const early = outcome(fileSystemPending(NOW_MS - 60_000));
  expect([early.restart, early.lookAgainInMs]).toEqual([undefined, RESIZE_PATIENCE_MS - 60_000]);
  const late = outcome(fileSystemPending(NOW_MS - RESIZE_PATIENCE_MS));
  expect([late.restart, late.lookAgainInMs]).toEqual(["20Gi", undefined]);
  const asked = outcome(fileSystemPending(NOW_MS - 2 * RESIZE_PATIENCE_MS), { restart: "20Gi" });
  expect([asked.restart, asked.lookAgainInMs]).toEqual(["20Gi", undefined]);
});

test("what was put on the template stays there when growth is done", () => {
  expect(outcome({ requested: "20Gi" }, { restart: "20Gi" }).restart).toBe("20Gi");
});
