/** Keys wait once, fail by themselves, and come again later and later. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { RETRY_MS_MAX, RETRY_MS_MIN, WorkQueue } from "../../../src/operator/reconcile/queue.ts";
import { ManualClock } from "../../support/clock.ts";

/** A queue whose work ends when the test says so. */
class Lab {
  readonly clock = new ManualClock();
  readonly begun: string[] = [];
  readonly retries: number[] = [];
  readonly queue: WorkQueue;
  readonly #ends = new Map<string, (error?: Error) => void>();

  constructor(concurrency = 1) {
    this.queue = new WorkQueue({
      clock: this.clock,
      concurrency,
      work: (key) => {
        expect(this.#ends.has(key), "one run of a key at a time").toBe(false);
        this.begun.push(key);
        return new Promise((resolve, reject) => {
          this.#ends.set(key, (error) => (error === undefined ? resolve() : reject(error)));
        });
      },
      onError: (_key, _error, retryInMs) => void this.retries.push(retryInMs),
    });
  }

  async end(key: string, error?: Error): Promise<void> {
    const end = this.#ends.get(key)!;
    this.#ends.delete(key);
    end(error);
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }

  get running(): readonly string[] {
    return [...this.#ends.keys()];
  }
}

test("a key that waits is not added twice, and one that runs comes again afterwards", async () => {
  const lab = new Lab();
  lab.queue.add("a");
  for (let i = 0; i < 3; i++) lab.queue.add("b");
  for (let i = 0; i < 3; i++) lab.queue.add("a");
  expect([lab.begun, lab.queue.stats().depth]).toEqual([["a"], 1]);
  await lab.end("a");
  await lab.end("b");
  await lab.end("a");
  expect(lab.begun).toEqual(["a", "b", "a"]);
  expect(lab.queue.stats()).toMatchObject({ depth: 0, running: 0, oldestWaitMs: 0 });
});

test("a key that fails comes again later and later, and an edit at once", async () => {
  const lab = new Lab();
  lab.queue.add("a");
  for (let i = 0; i < 10; i++) {
    await lab.end("a", new Error("no"));
    expect(lab.running).toEqual([]);
    lab.clock.advance((lab.retries.at(-1) ?? 0) - 1);
    expect(lab.running).toEqual([]);
    lab.clock.advance(1);
    expect(lab.running).toEqual(["a"]);
  }
  expect(lab.retries.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * RETRY_MS_MIN));
  expect(Math.max(...lab.retries)).toBe(RETRY_MS_MAX);
  await lab.end("a", new Error("no"));
  lab.queue.add("a");
  expect(lab.running).toEqual(["a"]);
  await lab.end("a");
  lab.queue.add("a");
  await lab.end("a", new Error("no"));
  expect(lab.retries.at(-1)).toBe(RETRY_MS_MIN);
});

test("one that always fails holds up nobody", async () => {
  const lab = new Lab();
  lab.queue.add("bad");
  await lab.end("bad", new Error("no"));
  lab.queue.add("good");
  expect(lab.running).toEqual(["good"]);
});

test("of two delays the earlier one counts", async () => {
  const lab = new Lab();
  lab.queue.addAfter("a", 5_000);
  lab.queue.addAfter("a", 9_000);
  lab.queue.addAfter("a", 2_000);
  lab.clock.advance(1_999);
  expect(lab.running).toEqual([]);
  lab.clock.advance(1);
  expect(lab.running).toEqual(["a"]);
  await lab.end("a");
  lab.clock.advance(10_000);
  expect(lab.begun).toEqual(["a"]);
});

test("a delay that was asked for during the run is kept", async () => {
  const lab = new Lab();
  lab.queue.add("a");
  lab.queue.addAfter("a", 3_000);
  await lab.end("a");
  lab.clock.advance(3_000);
  expect(lab.begun).toEqual(["a", "a"]);
});

test("a stop begins nothing new and waits for what runs", async () => {
  const lab = new Lab();
  lab.queue.add("a");
  lab.queue.add("b");
  let isStopped = false;
  const stopped = lab.queue.stop().then(() => (isStopped = true));
  lab.queue.add("c");
  await Promise.resolve();
  expect(isStopped).toBe(false);
  await lab.end("a");
  await stopped;
  lab.clock.advance(RETRY_MS_MAX);
  expect(lab.begun).toEqual(["a"]);
});

test("whatever is added and however runs end, each key added is worked on after its last addition", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), key: fc.constantFrom("a", "b", "c", "d") }),
    fc.record({ kind: fc.constant("end" as const), fails: fc.boolean() }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 4_000 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 40 }), async (concurrency, steps) => {
      const lab = new Lab(concurrency);
      const pending = new Set<string>();
      let seen = 0;
      const look = (): void => {
        expect(lab.running.length).toBeLessThanOrEqual(concurrency);
        for (; seen < lab.begun.length; seen++) pending.delete(lab.begun[seen]!);
      };
      const endOne = async (fails: boolean): Promise<void> => {
        const [key] = lab.running;
        if (key === undefined) return;
        if (fails) pending.add(key);
        await lab.end(key, fails ? new Error("no") : undefined);
      };
      for (const each of steps) {
        if (each.kind === "add") pending.add(each.key);
        if (each.kind === "add") lab.queue.add(each.key);
        else if (each.kind === "end") await endOne(each.fails);
        else lab.clock.advance(each.ms);
        look();
      }
      for (let i = 0; i < 20 && (pending.size > 0 || lab.running.length > 0); i++) {
        await endOne(false);
        lab.clock.advance(RETRY_MS_MAX);
        look();
      }
      expect([...pending, ...lab.running]).toEqual([]);
    }),
  );
});
