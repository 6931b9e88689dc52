/** The lease on the real API server: two that want to lead, their clocks apart, and an API server that goes away. */
import { expect } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { Clock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { LeaseHolder } from "../../../src/operator/cluster/lease.ts";
import type { LeaseState } from "../../../src/operator/cluster/lease.ts";
import { sleep, until } from "../../support/until.ts";
import { field } from "../support/api.ts";
import { ownClient } from "./own-client.ts";
import type { OwnClient } from "./own-client.ts";
import { test } from "../support/test-cluster.ts";
import type { TestCluster } from "../support/test-cluster.ts";

const MINUTES_5 = 300_000;
const NAME = "tsdb-operator";

const skewed = (byMs: number): Clock => ({ ...systemClock, nowMs: () => systemClock.nowMs() + byMs });

class Contender implements AsyncDisposable {
  readonly lease: LeaseHolder;
  readonly states: LeaseState[] = [];
  readonly #own: OwnClient;

  constructor(cluster: TestCluster, identity: string, clock: Clock = systemClock) {
    this.#own = ownClient(cluster);
    this.lease = new LeaseHolder({
      client: this.#own.client,
      key: { namespace: cluster.namespace, name: NAME },
      identity,
      clock,
      random: Math.random,
      log: silentLogger,
      onChange: (state) => this.states.push(state),
      times: { leaseMs: 6_000, renewDeadlineMs: 4_000, retryMs: 500 },
    });
    this.lease.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lease.release();
    await this.#own[Symbol.asyncDispose]();
  }
}

const spec = (cluster: TestCluster, path: string) => async (): Promise<unknown> => {
  const reference = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespace: cluster.namespace, name: NAME };
  return field(await cluster.api.find(reference), `spec.${path}`);
};

const leads = (contenders: readonly Contender[], what = "a leader") =>
  until(what, () => contenders.find(({ lease }) => lease.holds()));

test("behaviour 11: with clocks five minutes apart, there is one leader, and it stays", async ({ cluster }) => {
  await using ahead = new Contender(cluster, "ahead", skewed(MINUTES_5));
  await using behind = new Contender(cluster, "behind", skewed(-MINUTES_5));
  await using exact = new Contender(cluster, "exact");
  const all = [ahead, behind, exact];
  const leader = await leads(all);
  for (let i = 0; i < 200; i++) {
    expect(all.filter(({ lease }) => lease.holds())).toEqual([leader]);
    await sleep(100);
  }
  expect(await spec(cluster, "leaseTransitions")()).toBe(0);
});

test("behaviour 9: a lease that is given up is taken over at once", async ({ cluster }) => {
  const first = new Contender(cluster, "first");
  await leads([first]);
  await using second = new Contender(cluster, "second");
  await sleep(1_000);
  expect(second.lease.holds()).toBe(false);
  await first[Symbol.asyncDispose]();
  const startMs = performance.now();
  await leads([second]);
  expect(performance.now() - startMs).toBeLessThan(3_000);
  expect(await spec(cluster, "holderIdentity")()).toBe("second");
});

test("behaviour 1: a conflict, a lost answer and a stranger's edit of the lease cost a few requests and no leadership", async ({
  cluster,
}) => {
  const { proxy, namespace } = cluster;
  await using only = new Contender(cluster, "only");
  await leads([only]);
  const update = { resource: "leases", verb: "update", namespace } as const;
  for (const fault of [{ kind: "status", code: 409 }, { kind: "lost-answer" }, { kind: "reset" }] as const) {
    const rule = proxy.inject(update, fault);
    await until("the fault", () => (rule.hits === 1 ? true : undefined));
    await sleep(2_000);
    expect(only.lease.holds()).toBe(true);
  }
  await cluster.api.patch(
    { apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespace, name: NAME },
    {
      metadata: { labels: { team: "x" } },
    },
  );
  await sleep(2_000);
  expect(only.states).toEqual(["leading"]);
  const reads = proxy.recorded({ resource: "leases", verb: "get", namespace });
  expect(reads.length).toBeLessThanOrEqual(5);
});

test("behaviour 6: a frozen API server ends the lead before another could have it, and gives it back to who had it", async ({
  ownCluster,
}) => {
  await using only = new Contender(ownCluster, "only");
  await leads([only]);
  ownCluster.plane!.apiServer.signal("SIGSTOP");
  const startMs = performance.now();
  try {
    await until("the lead to end", () => (only.lease.holds() ? undefined : true));
    expect(performance.now() - startMs).toBeLessThan(6_000);
    await until("the state to say so", () => (only.lease.state === "suspended" ? true : undefined));
    expect(only.lease.problem).toContain("did not answer");
  } finally {
    ownCluster.plane!.apiServer.signal("SIGCONT");
  }
  await leads([only], "the lead again");
  expect(only.states).toEqual(["leading", "suspended", "leading"]);
});
