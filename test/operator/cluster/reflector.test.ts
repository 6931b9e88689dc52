import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Logger } from "../../../src/base/logger.ts";
import type { ClusterError } from "../../../src/operator/cluster/errors.ts";
import { RESOURCES } from "../../../src/operator/cluster/objects.ts";
import { Reflector } from "../../../src/operator/cluster/reflector.ts";
import type { ReflectorOptions } from "../../../src/operator/cluster/reflector.ts";
import { Store } from "../../../src/operator/cluster/store.ts";
import { ManualClock } from "../../support/clock.ts";
import { Random } from "../../support/random.ts";
import { WatchModel, lost, notServed, refused } from "./watch-model.ts";

class Bench {
  readonly model = new WatchModel();
  readonly clock = new ManualClock();
  readonly changes: string[] = [];
  readonly ends: string[] = [];
  readonly listed: string[] = [];
  readonly served: boolean[] = [];
  readonly logged: string[] = [];
  missed = 0;
  readonly store: Store;
  readonly reflector: Reflector;

  constructor(options: Partial<ReflectorOptions> = {}) {
    this.store = new Store({
      type: RESOURCES.configMap,
      ownerOf: ({ metadata }) => metadata.labels?.["tsdb.dev/database"],
      onChange: (owner) => this.changes.push(owner),
    });
    const log = (level: string) => (_: object, message: string) => void this.logged.push(`${level}: ${message}`);
    const logger: Logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
    this.reflector = new Reflector({
      client: this.model,
      store: this.store,
      clock: this.clock,
      random: () => 0.5,
      log: logger,
      onWatchEnd: (reason) => this.ends.push(reason),
      onList: (reason) => this.listed.push(reason),
      onMissed: (count) => void (this.missed += count),
      onServed: (isServed) => this.served.push(isServed),
      ...options,
    });
  }

  async started(): Promise<this> {
    this.reflector.start();
    await this.settle();
    return this;
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 6; i++) await turn();
  }

  async pass(durationMs: number, stepMs = Math.min(durationMs, 1_000)): Promise<void> {
    await this.settle();
    for (let passedMs = 0; passedMs < durationMs; passedMs += stepMs) {
      this.clock.advance(Math.min(stepMs, durationMs - passedMs));
      await this.settle();
    }
  }

  get known(): string[] {
    return Array.from(
      this.store.all(),
      ({ object: { metadata } }) => `${metadata.name}@${metadata.resourceVersion}`,
    ).sort();
  }

  get truth(): string[] {
    return Array.from(
      this.model.objects.values(),
      ({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`,
    ).sort();
  }
}

test("a store is filled by a list, page by page, and follows by a watch", async () => {
  const bench = new Bench();
  for (let i = 0; i < 1_234; i++) bench.model.put(`c-${i}`);
  await bench.started();
  expect(bench.reflector.isSynced).toBe(true);
  expect(bench.known).toEqual(bench.truth);
  expect(bench.changes).toHaveLength(1_234);
  bench.model.put("c-7");
  bench.model.put("new");
  bench.model.delete("c-8");
  await bench.settle();
  expect(bench.known).toEqual(bench.truth);
  expect(bench.changes.slice(1_234)).toEqual(["owner-c-7", "owner-new", "owner-c-8"]);
  expect([bench.model.lists, bench.model.watches]).toEqual([1, 1]);
  await bench.reflector.stop();
});

test("objects are kept without their managedFields, but with what of them is ours", async () => {
  const bench = new Bench();
  bench.model.put("c");
  await bench.started();
  const [cached] = bench.store.all();
  expect(cached!.object.metadata.managedFields).toBeUndefined();
  expect(cached!.owned).toEqual({ "f:data": {} });
  await bench.reflector.stop();
});

test("what ends by itself goes on from where it was, without a list", async () => {
  const bench = await new Bench().started();
  for (let i = 0; i < 5; i++) {
    bench.model.put(`c-${i}`);
    await bench.pass(400_000, 100_000);
    bench.model.endAll("end");
    await bench.settle();
    bench.model.put(`d-${i}`);
    await bench.settle();
    expect(bench.known).toEqual(bench.truth);
  }
  // Each of these 2,000 s had an audit now and then, which lists beside the watch.
  expect(bench.listed.filter((reason) => reason !== "audit")).toEqual(["start"]);
  expect(bench.model.watchesAtOnceMax).toBe(1);
  expect(bench.missed).toBe(0);
  await bench.reflector.stop();
});

test("an expired version, told by the answer or by an event, is listed anew; nothing that happened meanwhile is lost", async () => {
  for (const asEvent of [false, true]) {
    const bench = new Bench();
    for (const name of ["kept", "changed", "gone"]) bench.model.put(name);
    await bench.started();
    bench.model.isSilent = true;
    bench.model.endAll(asEvent ? refused(410, "Expired") : lost());
    bench.model.put("changed", { x: 1 });
    bench.model.delete("gone");
    bench.model.put("new");
    bench.model.compact();
    bench.model.isSilent = false;
    bench.changes.length = 0;
    await bench.pass(5_000, 100);
    expect(bench.known).toEqual(bench.truth);
    expect(bench.changes.toSorted()).toEqual(["owner-changed", "owner-gone", "owner-new"]);
    expect(bench.listed).toEqual(["start", "gone"]);
    await bench.reflector.stop();
  }
});

test("an API server that is away is asked less and less often, and is found again within 30 s", async () => {
  const bench = new Bench();
  bench.model.put("c");
  await bench.started();
  bench.model.refusal = lost;
  bench.model.endAll(lost());
  await bench.pass(600_000);
  expect(bench.reflector.isSynced).toBe(true);
  expect(bench.reflector.problem).toContain("ConnectionFailed");
  const asked = bench.model.watches + bench.model.lists;
  expect(asked).toBeLessThan(100);
  bench.model.delete("c");
  bench.model.put("d");
  bench.model.refusal = undefined;
  await bench.pass(30_000);
  expect(bench.known).toEqual(bench.truth);
  expect(bench.reflector.problem).toBeUndefined();
  expect(bench.listed.filter((reason) => reason !== "audit")).toEqual(["start"]);
  await bench.reflector.stop();
});

test("a server that refuses the first list leaves it unsynced, and says why", async () => {
  const cases: { refusal: () => ClusterError; says: string }[] = [
    { refusal: () => refused(500, "InternalError"), says: "debug: lost sight" },
    {
      refusal: () => refused(403, "Forbidden"),
      says: "error: the operator's role must grant list and watch on configmaps",
    },
    { refusal: notServed, says: "error: install the CustomResourceDefinition of configmaps" },
  ];
  for (const { refusal, says } of cases) {
    const bench = new Bench();
    bench.model.refusal = refusal;
    await bench.started();
    expect(bench.reflector.isSynced).toBe(false);
    expect(bench.reflector.problem).toBeDefined();
    expect(bench.logged[0]).toContain(says);
    bench.model.refusal = undefined;
    bench.model.put("c");
    await bench.pass(1_000, 100);
    expect(bench.reflector.isSynced).toBe(true);
    expect(bench.known).toEqual(bench.truth);
    await bench.reflector.stop();
  }
});

test("a time to come back that the server names is kept", async () => {
  const bench = new Bench();
  bench.model.refusal = () => refused(429, "TooManyRequests", { retryAfterMs: 7_000 });
  await bench.started();
  await bench.pass(6_900, 100);
  expect(bench.model.lists).toBe(1);
  await bench.pass(200, 100);
  expect(bench.model.lists).toBe(2);
  await bench.reflector.stop();
});

test("garbage in a watch is listed away; the same again and again does not make it spin", async () => {
  const bench = await new Bench().started();
  for (let i = 0; i < 20; i++) {
    bench.model.endAll(refused(0, "BadAnswer"));
    await bench.pass(1_000);
  }
  expect(bench.model.lists).toBeLessThan(12);
  bench.model.put("c");
  await bench.pass(31_000);
  expect(bench.known).toEqual(bench.truth);
  expect(bench.listed).toContain("garbage");
  await bench.reflector.stop();
});

test("something in between that ends each watch at once does not make it spin", async () => {
  const bench = await new Bench().started();
  for (let i = 0; i < 600; i++) {
    bench.model.endAll("end");
    await bench.pass(100);
  }
  expect(bench.model.watches).toBeLessThan(16);
  await bench.reflector.stop();
});

test("a watch that goes silent is given up after three minutes where there were bookmarks", async () => {
  const bench = await new Bench().started();
  bench.model.put("before");
  bench.model.bookmark();
  await bench.settle();
  // The connection is open, and nothing comes through it any more.
  bench.model.isSilent = true;
  bench.model.endAll("end");
  await bench.pass(1_000);
  bench.model.isSilent = false;
  bench.model.put("meanwhile");
  await bench.pass(100_000);
  expect(bench.ends).toEqual(["timeout"]);
  await bench.reflector.stop();

  const heard = await new Bench().started();
  heard.model.put("a");
  heard.model.bookmark();
  await heard.settle();
  await heard.pass(179_000);
  expect(heard.ends).toEqual([]);
  await heard.pass(2_000);
  expect(heard.ends).toEqual(["silent"]);
  expect(heard.model.openWatches).toBe(1);
  await heard.reflector.stop();
});

test("a watch that goes silent without ever a bookmark is given up before twice its time, and what happened is seen", async () => {
  const bench = new Bench({ times: { watchSecondsMin: 60, watchSecondsMax: 60 } });
  bench.model.isSilent = true;
  await bench.started();
  bench.model.put("unheard");
  bench.model.isSilent = false;
  await bench.pass(91_000);
  expect(bench.ends).toEqual(["silent"]);
  expect(bench.known).toEqual(bench.truth);
  expect(bench.listed).toEqual(["start"]);
  await bench.reflector.stop();
});

test("what a watch fails to tell is found by the next audit, counted, and acted on", async () => {
  const bench = new Bench();
  for (const name of ["kept", "changed", "gone"]) bench.model.put(name);
  await bench.started();
  bench.changes.length = 0;
  bench.model.putUnseen("changed");
  bench.model.deleteUnseen("gone");
  bench.model.putUnseen("new");
  // Later versions are told of: the watch has passed by what it missed.
  bench.model.put("seen");
  await bench.pass(661_000);
  expect(bench.missed).toBe(3);
  expect(bench.known).toEqual(bench.truth);
  expect(bench.changes.toSorted()).toEqual(["owner-changed", "owner-gone", "owner-new", "owner-seen"]);
  expect(bench.logged).toContain("warn: the watch had missed changes");
  expect(bench.listed).toEqual(["start", "audit", "missed"]);
  await bench.reflector.stop();
});

test("an audit of a watch that is merely behind waits for it, and finds nothing", async () => {
  const bench = await new Bench({ times: { auditMs: 100_000 } }).started();
  bench.model.put("a");
  await bench.settle();
  bench.model.isSilent = true;
  bench.model.endAll("end");
  await bench.pass(1_000);
  bench.model.isSilent = false;
  bench.model.put("b");
  bench.model.delete("a");
  await bench.pass(100_000 - 1_000);
  expect(bench.listed).toEqual(["start", "audit"]);
  bench.model.endAll("end");
  await bench.pass(3_000);
  expect(bench.missed).toBe(0);
  expect(bench.known).toEqual(bench.truth);
  expect(bench.listed).toEqual(["start", "audit"]);
  await bench.reflector.stop();
});

test("a server that was restored from a backup is believed, older versions and all", async () => {
  const bench = new Bench();
  bench.model.put("a");
  const backup = new Map(bench.model.objects);
  const { version } = bench.model;
  bench.model.put("a", { changed: true });
  bench.model.put("b");
  await bench.started();
  bench.model.goBack(backup, version);
  await bench.pass(5_000, 100);
  expect(bench.known).toEqual(bench.truth);
  expect(bench.listed).toEqual(["start", "gone"]);
  bench.model.put("b");
  await bench.settle();
  expect(bench.known).toEqual(bench.truth);
  await bench.reflector.stop();
});

test("an optional resource that is not there is looked for, comes within a minute, and goes", async () => {
  const bench = new Bench({ isOptional: true });
  bench.model.refusal = notServed;
  await bench.started();
  expect([bench.reflector.isSynced, bench.reflector.isServed]).toEqual([true, false]);
  expect(bench.reflector.problem).toBeUndefined();
  await bench.pass(600_000);
  expect(bench.model.lists).toBeLessThan(16);
  expect(bench.reflector.silenceMs).toBeLessThanOrEqual(45_000);
  bench.model.refusal = undefined;
  bench.model.put("m");
  await bench.pass(45_000);
  expect(bench.reflector.isServed).toBe(true);
  expect(bench.known).toEqual(bench.truth);
  bench.model.refusal = notServed;
  bench.changes.length = 0;
  bench.model.endAll("end");
  await bench.pass(2_000);
  expect(bench.reflector.isServed).toBe(false);
  expect(bench.changes).toEqual(["owner-m"]);
  expect(bench.store.size).toBe(0);
  expect(bench.served).toEqual([false, true, false]);
  expect(bench.logged).toEqual([]);
  await bench.reflector.stop();
});

test("nothing goes on after it was stopped, whatever it was doing", async () => {
  for (const refusal of [undefined, lost, notServed]) {
    const bench = new Bench({ isOptional: true });
    bench.model.refusal = refusal;
    await bench.started();
    await bench.reflector.stop();
    await bench.settle();
    const asked = bench.model.lists + bench.model.watches;
    await bench.pass(1_000_000, 100_000);
    expect(bench.model.lists + bench.model.watches).toBe(asked);
    expect(bench.model.openWatches).toBe(0);
    expect(bench.clock.pendingTimers).toBe(0);
  }
});

const act = fc.constantFrom(
  "put",
  "put",
  "put",
  "delete",
  "end",
  "lost",
  "gone",
  "garbage",
  "refuse",
  "serve",
  "compact",
  "bookmark",
  "silent",
  "time",
);

test("whatever the server does, the store comes to be what is there, and every owner of what changed was told", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(act, fc.nat(7), fc.nat(60_000)), { maxLength: 50 }),
      fc.nat(),
      async (steps, seed) => {
        const random = new Random(seed);
        const bench = await new Bench({ random: () => random.next() }).started();
        const refusals = [
          lost,
          () => refused(500, "InternalError"),
          () => refused(401, "Unauthorized"),
          () => refused(429, "TooManyRequests"),
        ];
        for (const [what, which, lastsMs] of steps) {
          if (what === "put") bench.model.put(`c-${which}`);
          if (what === "delete") bench.model.delete(`c-${which}`);
          if (what === "end") bench.model.endAll("end");
          if (what === "lost") bench.model.endAll(lost());
          if (what === "gone") bench.model.endAll(refused(410, "Expired"));
          if (what === "garbage") bench.model.endAll(refused(0, "BadAnswer"));
          if (what === "refuse") bench.model.refusal = refusals[which % 4];
          if (what === "serve") bench.model.refusal = undefined;
          if (what === "compact") bench.model.compact();
          if (what === "bookmark") bench.model.bookmark();
          if (what === "silent") bench.model.isSilent = which % 2 === 0;
          if (what === "time") await bench.pass(lastsMs, 5_000);
          if (which % 3 === 0) await bench.settle();
        }
        bench.model.refusal = undefined;
        bench.model.isSilent = false;
        // The longest that anything of it waits: a silent watch without bookmarks.
        await bench.pass(700_000, 10_000);
        expect(bench.known).toEqual(bench.truth);
        expect(bench.model.watchesAtOnceMax).toBeLessThanOrEqual(1);
        expect(bench.missed).toBe(0);
        bench.changes.length = 0;
        for (const name of bench.model.objects.keys()) bench.model.delete(name);
        await bench.settle();
        expect(bench.store.size).toBe(0);
        await bench.reflector.stop();
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);
