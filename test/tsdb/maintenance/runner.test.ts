import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger, type Logger } from "../../../src/base/logger.ts";
import { InlineRunner } from "../../../src/tsdb/maintenance/runner-inline.ts";
import { ThreadRunner, type ThreadRunnerOptions } from "../../../src/tsdb/maintenance/runner-threads.ts";
import type { JobContext, JobTable } from "../../../src/tsdb/maintenance/job-context.ts";
import type { JobProgress, RunJobOptions } from "../../../src/tsdb/maintenance/protocol.ts";
import { ManualClock } from "../../support/clock.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const emptyModule = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

function threads(overrides: Partial<ThreadRunnerOptions> = {}) {
  const runner = new ThreadRunner({
    entry: new URL("./fake-worker.ts", import.meta.url),
    module: emptyModule,
    dataDir: "/data",
    concurrency: 1,
    heapMegabytesMax: 64,
    stopGraceMs: 1000,
    idleMsMax: 60_000,
    clock: systemClock,
    log: silentLogger,
    ...overrides,
  });
  onTestFinished(() => runner.close());
  /** A job of the long lane. @returns what it said */
  const long = async (text: string, runOptions?: RunJobOptions): Promise<string> =>
    (await runner.run({ kind: "verify", ulid: text }, runOptions)).damages[0]!.message;
  /** A job of the short lane. */
  const short = (text: string, runOptions?: RunJobOptions) =>
    runner.run({ kind: "quarantine", ulid: "", reason: text }, runOptions);
  return { runner, long, short };
}

test("jobs run in turn, as many long ones side by side as the configuration says", async () => {
  const { long } = threads({ concurrency: 2 });
  const stop = new AbortController();
  const busy = long("pause", stop);
  expect(await Promise.all(["3", "2", "1"].map((text) => long(text)))).toEqual(["3", "2", "1"]);
  stop.abort();
  await expect(busy).rejects.toMatchObject({ code: "CANCELED" });
});

test("a flush does not wait behind a compaction", async () => {
  const { long, short } = threads();
  const stop = new AbortController();
  const busy = long("check", stop);
  await short("1");
  stop.abort();
  await expect(busy).rejects.toMatchObject({ code: "CANCELED" });
});

test("a job that is stopped before its turn never begins", async () => {
  const { long } = threads();
  const [first, second, aborted] = [new AbortController(), new AbortController(), new AbortController()];
  const busy = long("pause", first);
  const waiting = long("exit", second);
  second.abort();
  aborted.abort();
  await expect(waiting).rejects.toMatchObject({ code: "CANCELED" });
  await expect(long("exit", aborted)).rejects.toMatchObject({ code: "CANCELED" });
  first.abort();
  await expect(busy).rejects.toMatchObject({ code: "CANCELED" });
  expect(await long("1")).toBe("1");
});

test("a job that heeds no stop is ended with its thread; the next one gets another", async () => {
  const { long } = threads({ stopGraceMs: 50 });
  const stop = new AbortController();
  const spinning = long("spin", stop);
  await sleep(50);
  stop.abort();
  await expect(spinning).rejects.toMatchObject({ code: "CANCELED" });
  expect(await long("1")).toBe("1");
});

test("of a job whose thread ends it is known which block it was about to name", async () => {
  const { long } = threads();
  const named: string[] = [];
  const job = long("name-and-exit", { onNaming: (ulid) => named.push(ulid) });
  await expect(job).rejects.toMatchObject({ code: "INTERNAL", message: "The worker that ran the verify ended" });
  expect(named).toEqual(["01"]);
});

test("a job fails with its own error, its remedy and the system's code", async () => {
  const { long } = threads();
  await expect(long("refuse")).rejects.toMatchObject({
    code: "BLOCK_CORRUPT",
    message: "block 01 is damaged",
    remedy: "Look at it",
  });
  await expect(long("errno")).rejects.toMatchObject({ code: "IO", cause: { code: "ENOSPC" } });
  await expect(long("bug")).rejects.toMatchObject({
    code: "INTERNAL",
    message: expect.stringMatching(/TypeError: x is not a function\n.*fake-worker/s) as string,
  });
  expect(await long("1")).toBe("1");
});

test("a worker that dies fails its own job only", async () => {
  const { long } = threads({ concurrency: 2, heapMegabytesMax: 16 });
  const waiting = [long("exit"), long("eat"), long("20"), long("1")];
  await expect(waiting[0]).rejects.toMatchObject({ code: "INTERNAL", message: "The worker that ran the verify ended" });
  await expect(waiting[1]).rejects.toMatchObject({ message: expect.stringContaining("more memory") as string });
  expect(await waiting[2]).toBe("20");
  expect(await waiting[3]).toBe("1");
});

test("progress comes now and then and at the end; log lines come with their fields", async () => {
  const lines: unknown[] = [];
  const log: Logger = { ...silentLogger, warn: (fields, message) => void lines.push({ fields, message }) };
  const { long } = threads({ log });
  const seen: JobProgress[] = [];
  await long("progress", { onProgress: (progress) => seen.push(progress) });
  expect(seen.length).toBeLessThan(100);
  expect(seen.at(-1)).toEqual({ done: 1000, total: 1000, unit: "series" });
  await long("log");
  expect(lines).toEqual([
    {
      message: "look at this",
      fields: { block: "01", err: expect.stringMatching(/^Error: an odd thing\n/) as string },
    },
  ]);
});

test("threads end when they were idle for long, and start again for the next job", async () => {
  const clock = new ManualClock();
  const { long } = threads({ clock, idleMsMax: 1000 });
  expect(await long("1")).toBe("1");
  clock.advance(900);
  expect(await long("2")).toBe("2");
  clock.advance(900);
  expect(clock.pendingTimers).toBe(1);
  clock.advance(100);
  expect(clock.pendingTimers).toBe(0);
  expect(await long("3")).toBe("3");
});

test("closing stops what runs and refuses what waits and what comes", async () => {
  const { runner, long, short } = threads({ stopGraceMs: 200 });
  const ends = Promise.allSettled([long("pause"), long("1"), short("spin")]);
  await sleep(20);
  await runner.close();
  for (const end of await ends) expect(end).toMatchObject({ status: "rejected", reason: { code: "CANCELED" } });
  await expect(long("1")).rejects.toMatchObject({ code: "CANCELED" });
});

test("inline, a job runs at once, lets others have a turn, and stops when it is told to", async () => {
  const work = async ({ pause, progress }: JobContext): Promise<never> => {
    for (let done = 0; ; done++) {
      progress({ done, total: 0, unit: "series" });
      await pause();
    }
  };
  const jobs = { verify: (_: unknown, context: JobContext) => work(context) } as unknown as JobTable;
  const environment = {
    vfs: new MemoryVfs(),
    dataDir: "/data",
    module: emptyModule,
    clock: systemClock,
    random: (count: number) => new Uint8Array(count),
    log: silentLogger,
  };
  const runner = new InlineRunner(jobs, environment);
  const stop = new AbortController();
  let looks = 0;
  const job = runner.run({ kind: "verify", ulid: "" }, { signal: stop.signal, onProgress: () => looks++ });
  const other = runner.run({ kind: "verify", ulid: "" });
  const ends = Promise.allSettled([job, other]);
  await sleep(1);
  expect(looks).toBeGreaterThan(0);
  stop.abort();
  await expect(job).rejects.toMatchObject({ code: "CANCELED" });
  await runner.close();
  for (const end of await ends) expect(end).toMatchObject({ status: "rejected", reason: { code: "CANCELED" } });
  await expect(runner.run({ kind: "verify", ulid: "" })).rejects.toMatchObject({ code: "CANCELED" });
});
