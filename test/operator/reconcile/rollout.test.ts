/** New templates reach one member at a time, the highest first, and stop where one does not become ready. */
import { expect, test } from "vitest";
import type { LivePod } from "../../../src/operator/reconcile/live.ts";
import { partitionOf, type RolloutFacts } from "../../../src/operator/reconcile/rollout.ts";
import { livePod, liveStatefulSet } from "../support/live.ts";

const asked = (changes: Partial<RolloutFacts>): number =>
  partitionOf({
    databaseName: "metrics",
    replicas: 3,
    statefulSet: liveStatefulSet({ replicas: 3, status: { updateRevision: "r2" } }),
    pods: [],
    isTemplateNew: false,
    ...changes,
  });

const pods = (...revisions: readonly string[]): LivePod[] =>
  revisions.map((revision, ordinal) => livePod({ ordinal, revision }));
const at = (partition: number, status: object = {}) => ({
  statefulSet: liveStatefulSet({ replicas: 3, partition, status: { updateRevision: "r2", ...status } }),
});

test("a new StatefulSet, and one of a single member, have no partition", () => {
  expect(asked({ statefulSet: undefined, isTemplateNew: true })).toBe(0);
  expect(asked({ replicas: 1, isTemplateNew: true })).toBe(0);
});

test("a new template is for the last member first, whatever the partition was", () => {
  for (const partition of [0, 1, 2]) expect(asked({ ...at(partition), isTemplateNew: true })).toBe(2);
});

test("the next member follows once all before it run the newest template and are ready", () => {
  expect(asked({ ...at(2), pods: pods("r1", "r1", "r2") })).toBe(1);
  expect(asked({ ...at(1), pods: pods("r1", "r2", "r2") })).toBe(0);
  expect(asked({ ...at(0), pods: pods("r2", "r2", "r2") })).toBe(0);
});

test("it stays where a member is old, not ready, leaving or missing", () => {
  expect(asked({ ...at(2), pods: pods("r1", "r1", "r1") })).toBe(2);
  expect(
    asked({ ...at(2), pods: [...pods("r1", "r1"), livePod({ ordinal: 2, revision: "r2", isReady: false })] }),
  ).toBe(2);
  expect(asked({ ...at(2), pods: [livePod({ ordinal: 2, revision: "r2", deletionTimestamp: "now" })] })).toBe(2);
  expect(asked({ ...at(2), pods: pods("r1", "r1") })).toBe(2);
  expect(asked({ ...at(1), pods: [...pods("r1", "r1"), livePod({ ordinal: 2, revision: "r2" })] })).toBe(1);
});

test("it stays until the controller has seen the newest template: the revision it names is the one before", () => {
  expect(asked({ ...at(2, { observedGeneration: 0 }), pods: pods("r1", "r1", "r2") })).toBe(2);
});

test("a partition beyond the members, as after scaling in, comes down", () => {
  expect(asked({ ...at(7) })).toBe(2);
});
