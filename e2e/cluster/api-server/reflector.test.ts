/** Reflectors on the real API server, behind a proxy that breaks their watches in every way there is. */
import { expect } from "vitest";
import { sleep, until } from "../../support/until.ts";
import type { Disturbance } from "../proxy/faults.ts";
import { Mirror } from "./own-client.ts";
import { test } from "../support/test-cluster.ts";
import type { TestCluster } from "../support/test-cluster.ts";

const WATCH = { resource: "configmaps", verb: "watch", userAgent: /tsdb-operator\/e2e/ } as const;

const put = (cluster: TestCluster, name: string, value = "1"): Promise<unknown> =>
  cluster.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { value } });
const remove = (cluster: TestCluster, name: string): Promise<void> =>
  cluster.api.delete({ apiVersion: "v1", kind: "ConfigMap", namespace: cluster.namespace, name });

const watches = (cluster: TestCluster) => cluster.proxy.watches({ ...WATCH, namespace: cluster.namespace });

test("a large list comes in pages, and the watch goes on from there", async ({ cluster }) => {
  const names = Array.from({ length: 1_200 }, (_, i) => `c-${i}`);
  for (let i = 0; i < names.length; i += 50)
    await Promise.all(names.slice(i, i + 50).map((name) => put(cluster, name)));
  await using mirror = await Mirror.of(cluster);
  expect(mirror.store.size).toBeGreaterThanOrEqual(1_200);
  const lists = cluster.proxy.recorded({ resource: "configmaps", verb: "list", userAgent: /tsdb-operator\/e2e/ });
  expect(lists.length).toBeGreaterThanOrEqual(3);
  await put(cluster, "c-7", "2");
  await remove(cluster, "c-8");
  await mirror.caughtUp();
  expect(mirror.lists).toEqual(["start"]);
});

test("behaviour 3: an expired version, as an answer and as an event, is listed anew, missed update and missed delete included", async ({
  cluster,
}) => {
  for (const how of ["answer", "event"]) {
    for (const name of ["kept", "updated", "deleted"]) await put(cluster, name, how);
    await using mirror = await Mirror.of(cluster);
    await mirror.caughtUp();
    mirror.changes.length = 0;
    // From here on nothing is told.
    for (const watch of watches(cluster)) watch.disturb("silence");
    await put(cluster, "updated", `${how}-2`);
    await remove(cluster, "deleted");
    if (how === "answer") {
      cluster.proxy.inject(WATCH, { kind: "status", code: 410 });
      for (const watch of watches(cluster)) watch.disturb("cut");
    } else for (const watch of watches(cluster)) watch.disturb("gone");
    await mirror.caughtUp();
    expect(new Set(mirror.changes)).toEqual(new Set(["updated", "deleted"]));
    expect(mirror.lists).toEqual(["start", "gone"]);
  }
});

test("behaviour 4: a watch that has gone silent is opened anew before twice its time", async ({ cluster }) => {
  await using mirror = await Mirror.of(cluster, undefined, { watchSecondsMin: 6, watchSecondsMax: 6, graceMs: 2_000 });
  await mirror.caughtUp();
  for (const watch of watches(cluster)) watch.disturb("silence");
  await put(cluster, "unheard");
  const startMs = performance.now();
  await mirror.caughtUp(12_000);
  expect(performance.now() - startMs).toBeLessThan(12_000);
  expect(mirror.ends).toContain("silent");
  expect(mirror.lists).toEqual(["start"]);
});

test("behaviour 8: half a line and a line of garbage are survived, and what they hid is seen", async ({ cluster }) => {
  await using mirror = await Mirror.of(cluster);
  for (const how of ["truncate", "garbage", "error", "cut", "end"] satisfies Disturbance[]) {
    await mirror.watched();
    for (const watch of watches(cluster)) watch.disturb(how);
    await put(cluster, `after-${how}`);
    await put(cluster, "changed", how);
    await mirror.caughtUp();
  }
  expect(mirror.lists).toEqual(["start", "garbage"]);
});

test("behaviour 7: an API server that fails at the start is waited for", async ({ cluster }) => {
  const { proxy } = cluster;
  const list = { resource: "configmaps", verb: "list", userAgent: /tsdb-operator\/e2e/ } as const;
  const faults = [503, 500, 429].map((code) => proxy.inject(list, { kind: "status", code }));
  await using mirror = await Mirror.of(cluster);
  expect(faults.map(({ hits }) => hits)).toEqual([1, 1, 1]);
  expect(mirror.problem).toBeUndefined();
  await mirror.caughtUp();
});

test("a watch over hours, in seconds: its ends by the server's own time lose nothing and list nothing", async ({
  cluster,
}) => {
  await using mirror = await Mirror.of(cluster, undefined, { watchSecondsMin: 1, watchSecondsMax: 2 });
  for (let i = 0; i < 40 || mirror.ends.length < 4; i++) {
    await put(cluster, `c-${i % 7}`, String(i));
    if (i % 5 === 4) await remove(cluster, `c-${i % 7}`);
    await sleep(250);
  }
  await mirror.caughtUp();
  expect(mirror.ends.length).toBeGreaterThan(3);
  expect(new Set(mirror.ends)).toEqual(new Set(["timeout"]));
  expect(mirror.lists).toEqual(["start"]);
});

test("an audit beside a busy watch finds nothing missing, and finds what a watch keeps to itself", async ({
  cluster,
}) => {
  const times = { auditMs: 3_000, auditWaitMs: 4_000 };
  await using mirror = await Mirror.of(cluster, undefined, times);
  for (let i = 0; i < 60; i++) {
    await put(cluster, `c-${i % 5}`, String(i));
    await sleep(100);
  }
  await mirror.caughtUp();
  expect(mirror.lists).toContain("audit");
  expect(mirror.lists).not.toContain("missed");
  for (const watch of watches(cluster)) watch.disturb("silence");
  await put(cluster, "unheard");
  await mirror.caughtUp(20_000);
  expect(mirror.lists).toContain("missed");
});

test("behaviour 5: an API server that is killed and comes back is followed again, without a list", async ({
  ownCluster,
}) => {
  await put(ownCluster, "before");
  await using mirror = await Mirror.of(ownCluster);
  await mirror.caughtUp();
  await ownCluster.plane!.stopApiServer("SIGKILL");
  await until("the problem to be noticed", () => mirror.problem);
  await sleep(5_000);
  await ownCluster.plane!.startApiServer();
  await put(ownCluster, "after");
  await mirror.caughtUp(60_000);
});
