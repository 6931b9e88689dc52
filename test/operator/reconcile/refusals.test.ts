/** What was refused comes again slowly; something else in its place comes at once. */
import { expect, test } from "vitest";
import { ClusterError } from "../../../src/operator/cluster/errors.ts";
import { Refusals } from "../../../src/operator/reconcile/refusals.ts";
import { ManualClock } from "../../support/clock.ts";

const error = (status: number, detail: string) => new ClusterError("apply x", { status, reason: "", detail });
const quota = error(403, 'pods "x" is forbidden: exceeded quota: small, requested: 2, used: 1, limited: 2');

test("the same object waits longer after each refusal, up to five minutes", () => {
  const clock = new ManualClock();
  const refusals = new Refusals(clock);
  expect(refusals.waitMs("a", "1")).toBe(0);
  const waits = Array.from({ length: 7 }, () => {
    expect(refusals.refused("a", "1", quota)).toBe(true);
    const waitMs = refusals.waitMs("a", "1");
    clock.advance(waitMs);
    return waitMs / 1000;
  });
  expect(waits).toEqual([15, 30, 60, 120, 240, 300, 300]);
  expect(refusals.waitMs("a", "1")).toBe(0);
});

test("another object in its place is sent at once, and what was taken is forgotten", () => {
  const refusals = new Refusals(new ManualClock());
  refusals.refused("a", "1", quota);
  expect(refusals.get("a")).toEqual({ kind: "Quota", message: quota.detail });
  expect([refusals.waitMs("a", "2"), refusals.waitMs("b", "1")]).toEqual([0, 0]);
  refusals.taken("a");
  expect([refusals.get("a"), refusals.waitMs("a", "1")]).toEqual([undefined, 0]);
});

test("a server that fails is told after the third time, and the queue decides when it is asked again", () => {
  const refusals = new Refusals(new ManualClock());
  const told = Array.from({ length: 3 }, () => {
    expect(refusals.refused("a", "1", error(500, "etcd"))).toBe(false);
    expect(refusals.waitMs("a", "1")).toBe(0);
    return refusals.get("a")?.kind;
  });
  expect(told).toEqual([undefined, undefined, "Failing"]);
});

test("who refuses is told apart", () => {
  const refusals = new Refusals(new ManualClock());
  for (const [status, detail, kind] of [
    [403, "exceeded quota: small", "Quota"],
    [403, "User cannot patch", "Forbidden"],
    [422, "spec: Forbidden: updates to statefulset spec", "Invalid"],
    [400, "strict decoding error", "Invalid"],
  ] as const) {
    refusals.refused("a", detail, error(status, detail));
    expect(refusals.get("a")?.kind).toBe(kind);
  }
});

test("a database that is gone takes its refusals along", () => {
  const refusals = new Refusals(new ManualClock());
  refusals.refused("monitoring/metrics Service metrics", "1", quota);
  refusals.refused("monitoring/metrics2 Service metrics2", "1", quota);
  refusals.forget("monitoring/metrics ");
  expect(refusals.get("monitoring/metrics Service metrics")).toBeUndefined();
  expect(refusals.get("monitoring/metrics2 Service metrics2")).toBeDefined();
});
