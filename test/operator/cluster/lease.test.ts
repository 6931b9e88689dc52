import fc from "fast-check";
import { expect, test } from "vitest";
import { Candidate, LeaseServer, connectionLost, pass, settled } from "./lease-model.ts";

function started(...clocksMs: number[]): { server: LeaseServer; all: Candidate[] } {
  const server = new LeaseServer();
  const all = clocksMs.map((nowMs, i) => new Candidate(server, `operator-${i}`, nowMs));
  for (const { lease } of all) lease.start();
  return { server, all };
}

const NOW = Date.UTC(2026, 10, 25);
const MINUTES_5 = 300_000;

const leaders = (all: readonly Candidate[]): Candidate[] => all.filter(({ lease }) => lease.holds());

test("one of several leads, at once where there is no lease yet, and renews it while the others wait", async () => {
  const { server, all } = started(NOW, NOW, NOW);
  await settled();
  expect(leaders(all)).toHaveLength(1);
  const [leader] = leaders(all);
  await pass(all, 60_000);
  expect(leaders(all)).toEqual([leader]);
  expect(server.transitions).toBe(0);
  expect(leader!.states).toEqual(["leading"]);
});

test("a leader that is gone is followed by another within 20 s, not before its lease has run out", async () => {
  const { server, all } = started(NOW, NOW);
  await settled();
  const dead = leaders(all)[0]!;
  const alive = all.find((one) => one !== dead)!;
  await pass(all, 5_000);
  dead.isFrozen = true;
  await pass(all, 12_000);
  expect(alive.lease.holds()).toBe(false);
  await pass(all, 8_000);
  expect(alive.lease.holds()).toBe(true);
  expect(server.transitions).toBe(1);
});

test("clocks that are five minutes apart, either way, never make two leaders nor a leader too early", async () => {
  for (const skewMs of [MINUTES_5, -MINUTES_5]) {
    const { server, all } = started(NOW, NOW + skewMs);
    await settled();
    for (let i = 0; i < 300; i++) {
      await pass(all, 200);
      expect(leaders(all)).toHaveLength(1);
    }
    expect(server.transitions).toBe(0);
  }
});

test("a leader that was frozen for a minute may not write from its first moment on, and learns that it has lost", async () => {
  const { all } = started(NOW, NOW);
  await settled();
  const frozen = leaders(all)[0]!;
  const other = all.find((one) => one !== frozen)!;
  frozen.isFrozen = true;
  await pass(all, 60_000);
  expect(other.lease.holds()).toBe(true);
  frozen.isFrozen = false;
  frozen.clock.skip(60_000);
  expect(frozen.lease.holds()).toBe(false);
  await pass(all, 5_000);
  expect(frozen.lease.state).toBe("lost");
  expect(frozen.states).toEqual(["leading", "lost"]);
});

test("a machine that was suspended stops its monotonic clock, and its leader does not write before it has renewed", async () => {
  const { all } = started(NOW);
  await settled();
  const [only] = all;
  only!.clock.jumpWall(60_000);
  expect(only!.lease.holds()).toBe(false);
  await pass(all, 2_200);
  expect(only!.lease.holds()).toBe(true);
  only!.clock.jumpWall(-MINUTES_5);
  expect(only!.lease.holds()).toBe(true);
});

test("without an API server a leader stops writing after 10 s, and goes on with it if nobody has led meanwhile", async () => {
  const { server, all } = started(NOW, NOW);
  await settled();
  const leader = leaders(all)[0]!;
  server.before = connectionLost;
  await pass(all, 9_000);
  expect(leader.lease.holds()).toBe(true);
  await pass(all, 3_000);
  expect(leaders(all)).toEqual([]);
  expect(leader.lease.problem).toContain("reset");
  await pass(all, 30_000);
  server.before = undefined;
  await pass(all, 3_000);
  expect(leaders(all)).toHaveLength(1);
  expect(all.filter(({ lease }) => lease.state === "lost").length).toBeLessThanOrEqual(1);
});

test("the time to lead begins when a renewal is sent, not when it is answered", async () => {
  const { server, all } = started(NOW);
  await settled();
  const only = all[0]!;
  server.after = () => new Promise((resolve) => void only.clock.after(4_000, resolve));
  // Sent after 2 s, answered after 6.
  await pass(all, 3_000);
  server.after = undefined;
  server.before = connectionLost;
  await pass(all, 8_800);
  expect(only.lease.holds()).toBe(true);
  await pass(all, 400);
  expect(only.lease.holds()).toBe(false);
});

test("a renewal whose answer is lost is found again as one's own", async () => {
  const { server, all } = started(NOW, NOW);
  await settled();
  const leader = leaders(all)[0]!;
  server.after = connectionLost;
  await pass(all, 4_000);
  server.after = undefined;
  await pass(all, 60_000);
  expect(leaders(all)).toEqual([leader]);
  expect(server.transitions).toBe(0);
});

test("a lease that somebody else touches is read again, and what they wrote is kept", async () => {
  const { server, all } = started(NOW);
  await settled();
  const before = server.object!;
  server.write({ ...before, metadata: { ...before.metadata, labels: { team: "metrics" } } });
  const requests = server.requests;
  await pass(all, 4_400);
  expect(leaders(all)).toEqual(all);
  expect(server.requests - requests).toBeLessThanOrEqual(4);
  expect(server.object!.metadata.labels).toEqual({ team: "metrics" });
});

test("a lease that is deleted is made again; who made it leads", async () => {
  const { server, all } = started(NOW, NOW);
  await settled();
  for (let i = 0; i < 10; i++) {
    server.object = undefined;
    await pass(
      all.filter(({ lease }) => lease.state !== "lost"),
      5_000,
    );
    expect(leaders(all).map(({ lease }) => lease.state)).toEqual(["leading"]);
    expect(server.holder).not.toBe("");
  }
});

test("a lease that is deleted is not made again by one whose own had run out before", async () => {
  const { server, all } = started(NOW, NOW);
  await settled();
  const slept = leaders(all)[0]!;
  const other = all.find((one) => one !== slept)!;
  slept.isFrozen = true;
  await pass(all, 20_000);
  expect(other.lease.holds()).toBe(true);
  slept.clock.skip(20_000);
  slept.isFrozen = false;
  server.object = undefined;
  for (let passedMs = 0; passedMs < 30_000; passedMs += 200) {
    await pass(all, 200);
    expect(leaders(all)).toEqual([other]);
  }
  expect(slept.lease.state).toBe("lost");
});

test("a lease that was taken and given back meanwhile is lost, too: another has led", async () => {
  const { server, all } = started(NOW);
  await settled();
  const spec = server.object!["spec"] as object;
  server.write({ ...server.object!, spec: { ...spec, holderIdentity: "", leaseTransitions: 2 } });
  await pass(all, 4_000);
  expect(all[0]!.lease.state).toBe("lost");
});

test("a released lease is taken at the next look, within 3 s", async () => {
  const { server, all } = started(NOW, NOW);
  await settled();
  const leader = leaders(all)[0]!;
  const other = all.find((one) => one !== leader)!;
  await pass(all, 5_000);
  await leader.lease.release();
  expect(leader.lease.holds()).toBe(false);
  expect(server.holder).toBe("");
  await pass([other], 2_600);
  expect(other.lease.holds()).toBe(true);
});

test("the lease is released even when a renewal was under way", async () => {
  const { server, all } = started(NOW);
  await settled();
  let answer: (() => void) | undefined;
  server.after = () => new Promise((resolve) => void (answer = resolve));
  await pass(all, 2_200);
  server.after = undefined;
  const released = all[0]!.lease.release();
  answer!();
  await released;
  expect(server.holder).toBe("");
});

test("who only waited gives nothing up, and a lost lease is not touched", async () => {
  const { server, all } = started(NOW, NOW);
  await settled();
  const waiting = all.find(({ lease }) => !lease.holds())!;
  const writes = server.writes;
  await waiting.lease.release();
  expect(server.writes).toBe(writes);
  expect(leaders(all)).toHaveLength(1);
});

test("a lease edited into nonsense is taken over", async () => {
  for (const spec of [
    undefined,
    null,
    "x",
    {},
    { holderIdentity: "ghost" },
    { holderIdentity: "g", leaseDurationSeconds: 1 },
  ]) {
    const server = new LeaseServer();
    server.write({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "tsdb-operator" }, spec });
    const only = new Candidate(server, "operator");
    only.lease.start();
    await pass([only], 18_000);
    expect(only.lease.holds()).toBe(true);
  }
});

const fault = fc.constantFrom("none", "none", "lost before", "lost after", "freeze one", "jump wall", "delete", "hang");

test("whatever happens, there are never two who may write", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ fault, which: fc.nat(2), lastsMs: fc.integer({ min: 500, max: 40_000 }) }), {
        maxLength: 12,
      }),
      async (steps) => {
        const { server, all } = started(NOW, NOW + MINUTES_5, NOW - MINUTES_5);
        // Each has seen the lease: who never has, and finds none, makes it at once.
        await pass(all, 5_000);
        const alone = async (durationMs: number): Promise<void> => {
          for (let passedMs = 0; passedMs < durationMs; passedMs += 500) {
            await pass(all, 500, 500);
            expect(leaders(all.filter(({ isFrozen }) => !isFrozen)).length).toBeLessThanOrEqual(1);
          }
        };
        // And it is deleted once: that it is gone, and gone again, looks the same to one who slept in between.
        const first = steps.findIndex(({ fault: what }) => what === "delete");
        for (const [i, { fault: what, which, lastsMs }] of steps.entries()) {
          const one = all[which]!;
          if (what === "lost before") server.before = connectionLost;
          if (what === "lost after") server.after = connectionLost;
          if (what === "freeze one") one.isFrozen = true;
          if (what === "jump wall") one.clock.jumpWall(which % 2 === 0 ? lastsMs : -lastsMs);
          if (what === "hang") server.before = () => new Promise(() => {});
          if (what === "delete" && i === first) server.object = undefined;
          await alone(lastsMs);
          server.before = server.after = undefined;
          if (!one.isFrozen) continue;
          // It wakes up: the clock has gone on all at once.
          one.clock.skip(lastsMs);
          one.isFrozen = false;
          expect(leaders(all).length).toBeLessThanOrEqual(1);
        }
      },
    ),
    { numRuns: 100 },
  );
}, 60_000);
