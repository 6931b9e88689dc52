import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { silentLogger } from "../../../src/base/logger.ts";
import { ClusterError } from "../../../src/operator/cluster/errors.ts";
import { EventRecorder } from "../../../src/operator/cluster/events.ts";
import type { EventNote } from "../../../src/operator/cluster/events.ts";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import { ManualClock } from "../../support/clock.ts";

const MINUTE = 60_000;
const database: KubeObject = {
  apiVersion: "tsdb.dev/v1",
  kind: "TimeSeriesDB",
  metadata: { namespace: "monitoring", name: "metrics", uid: "u-1", resourceVersion: "7" },
};
const pod: KubeObject = { apiVersion: "v1", kind: "Pod", metadata: { namespace: "monitoring", name: "metrics-0" } };

const note = (fields: Partial<EventNote> = {}): EventNote => ({
  regarding: database,
  type: "Warning",
  reason: "InvalidSpec",
  action: "Check",
  note: "spec.storage.size is not a quantity",
  ...fields,
});

class Bench {
  readonly clock = new ManualClock(Date.UTC(2026, 10, 25));
  readonly created: KubeObject[] = [];
  readonly merged: object[] = [];
  readonly outcomes: string[] = [];
  mayWrite = true;
  failure: ClusterError | undefined;
  held: Promise<void> | undefined;
  #sequence = 0;
  readonly recorder = new EventRecorder({
    client: {
      mayWrite: true,
      create: async (event) => this.#serve(() => void this.created.push(event), event),
      mergeEvent: async (key, patch) => this.#serve(() => void this.merged.push({ ...key, ...patch }), pod),
    },
    instance: "operator-1",
    clock: this.clock,
    random: () => ++this.#sequence / 1000,
    log: silentLogger,
    onOutcome: (outcome) => this.outcomes.push(outcome),
  });

  async say(fields: Partial<EventNote> = {}): Promise<void> {
    this.recorder.record(note(fields));
    await this.recorder.flush();
  }

  async #serve(act: () => void, answer: KubeObject): Promise<KubeObject> {
    await this.held;
    if (this.failure !== undefined) throw this.failure;
    act();
    return answer;
  }
}

test("an event is as the API server wants it", async () => {
  const bench = new Bench();
  await bench.say({ related: pod });
  expect(bench.created).toEqual([
    {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { namespace: "monitoring", name: "metrics.004189374bc6" },
      eventTime: "2026-11-25T00:00:00.000000Z",
      type: "Warning",
      reason: "InvalidSpec",
      action: "Check",
      note: "spec.storage.size is not a quantity",
      regarding: {
        apiVersion: "tsdb.dev/v1",
        kind: "TimeSeriesDB",
        namespace: "monitoring",
        name: "metrics",
        uid: "u-1",
        resourceVersion: "7",
      },
      related: { apiVersion: "v1", kind: "Pod", namespace: "monitoring", name: "metrics-0" },
      reportingController: "tsdb.dev/operator",
      reportingInstance: "operator-1",
    },
  ]);
});

test("the same reason for the same object is told once in ten minutes, then counted on the event that is there", async () => {
  const bench = new Bench();
  for (let minute = 0; minute < 50; minute++) {
    await bench.say({ note: `attempt ${minute}` });
    bench.clock.advance(MINUTE);
  }
  expect(bench.created).toHaveLength(1);
  const { namespace, name } = bench.created[0]!.metadata;
  expect(bench.merged).toEqual(
    [10, 20, 30, 40].map((minute) => ({
      namespace,
      name,
      series: { count: minute + 1, lastObservedTime: `2026-11-25T00:${minute}:00.000000Z` },
    })),
  );
  expect(bench.outcomes.filter((outcome) => outcome === "repeated")).toHaveLength(45);
});

test("another reason, another object and another member are events of their own", async () => {
  const bench = new Bench();
  const other = { ...database, metadata: { ...database.metadata, uid: "u-2" } };
  for (const fields of [{}, { reason: "Other" }, { regarding: other }, { related: pod }, { type: "Normal" as const }])
    await bench.say(fields);
  expect(bench.created).toHaveLength(5);
  expect(new Set(bench.created.map(({ metadata }) => metadata.name)).size).toBe(5);
});

test("an event that the API server has dropped, or that is old, is told anew", async () => {
  const bench = new Bench();
  await bench.say();
  bench.clock.advance(11 * MINUTE);
  bench.failure = new ClusterError("update", { status: 404, reason: "NotFound", detail: "gone" });
  const said = bench.say();
  bench.failure = new ClusterError("update", { status: 404, reason: "NotFound", detail: "gone" });
  await said;
  expect(bench.outcomes).toEqual(["sent", "failed"]);
  bench.failure = undefined;
  bench.clock.advance(11 * MINUTE);
  await bench.say();
  expect(bench.created).toHaveLength(2);
  bench.clock.advance(55 * MINUTE);
  await bench.say();
  expect(bench.created).toHaveLength(3);
});

test("what cannot be sent is counted and holds nobody up", async () => {
  const bench = new Bench();
  bench.failure = new ClusterError("create", { status: 403, reason: "Forbidden", detail: "terminating" });
  await bench.say();
  expect(bench.outcomes).toEqual(["failed"]);
  bench.failure = undefined;
  let release = (): void => {};
  bench.held = new Promise((resolve) => void (release = resolve));
  for (let i = 0; i < 1_500; i++) bench.recorder.record(note({ reason: `Reason${i}` }));
  await turn();
  expect(bench.outcomes.filter((outcome) => outcome === "dropped").length).toBeGreaterThan(490);
  release();
  await bench.recorder.flush();
  expect(bench.created.length).toBeLessThanOrEqual(1_001);
});

test("a long note is cut at a whole character, a long name at what a name may have", async () => {
  const bench = new Bench();
  const long = { ...database, metadata: { ...database.metadata, name: "n".repeat(253) } };
  for (const text of ["é".repeat(1_000), "😀".repeat(400), "x".repeat(1_025)])
    await bench.say({ note: text, regarding: long, reason: text.slice(0, 2) });
  for (const event of bench.created) {
    const text = event["note"] as string;
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1_024);
    expect(Buffer.byteLength(text)).toBeGreaterThan(1_000);
    expect(text).toMatch(/\.\.\.$/);
    expect(text.isWellFormed()).toBe(true);
    expect(event.metadata.name.length).toBe(253);
  }
});
