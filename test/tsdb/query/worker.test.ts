import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { realVfs } from "../../../src/base/vfs.ts";
import { Database } from "../../../src/tsdb/db.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { QueryPool } from "../../../src/tsdb/query/pool.ts";
import type { QueryJob } from "../../../src/tsdb/query/protocol.ts";
import { HEAD_ONLY } from "../../../src/tsdb/storage.ts";
import type { View } from "../../../src/tsdb/storage.ts";
import { inlineMaintenance } from "../../support/database.ts";
import { ULID_A, writeBlock } from "../../support/blocks.ts";
import { writeBody } from "../../support/write-request.ts";

// The real worker on a real head, whose older chunks lie in files.
const SERIES = 100;
const SAMPLES = 300;
const STEP_MS = 15_000;
const endMs = Math.floor(Date.now() / STEP_MS) * STEP_MS;
const startMs = endMs - (SAMPLES - 1) * STEP_MS;
const folder = mkdtempSync(join(tmpdir(), "query-worker-"));

const database = new Database({
  dataDir: folder,
  walDir: join(folder, "wal"),
  vfs: realVfs,
  clock: systemClock,
  log: silentLogger,
  kernel: loadKernelModule(),
  hashKeys: new Uint8Array(16),
  wal: { enabled: true, sync: "interval", syncIntervalMs: 1000, segmentBytesMax: 2 ** 20 },
  retention: { ageMs: 24 * 3_600_000, sizeBytesMax: 0, volumePercentMax: 0 },
  diskReserveBytes: 0,
  ...inlineMaintenance({ vfs: realVfs, dataDir: folder, module: loadKernelModule(), clock: systemClock }),
  memtableBytesMax: 64 * 2 ** 20,
  limits: {
    bodyBytesMax: 2 ** 22,
    decodedBytesMax: 2 ** 24,
    seriesPerRequestMax: 1000,
    labelsPerSeriesMax: 40,
    labelNameBytesMax: 256,
    labelValueBytesMax: 4096,
  },
});

let view: View = HEAD_ONLY;
const damaged: string[] = [];

const pool = new QueryPool({
  entry: new URL("../../../src/tsdb/query/worker.ts", import.meta.url),
  size: 1,
  queueLengthMax: 10,
  queueWaitMsMax: 30_000,
  writeTimeoutMs: 10_000,
  stopGraceMs: 10_000,
  heapMegabytesMax: 256,
  limits: { samplesMax: 400_000, seriesMax: 1000, memoryBytesMax: 64 * 2 ** 20 },
  attach: () => database.attach(),
  detach: (slot) => database.detach(slot),
  blocks: { dir: join(folder, "blocks"), cacheBytesMax: 2 ** 20 },
  acquireView: () => ({ view, release: () => undefined }),
  onDamage: (ulid) => void damaged.push(ulid),
  clock: systemClock,
  log: silentLogger,
});

beforeAll(async () => {
  await database.start();
  const series = Array.from({ length: SERIES }, (_, i) => ({
    labels: { __name__: "requests_total", instance: `i${i}`, job: i % 2 === 0 ? "even" : "odd" },
    samples: Array.from({ length: SAMPLES }, (__, k) => ({ timestamp: startMs + k * STEP_MS, value: k * (i + 1) })),
  }));
  await database.write({ format: "remote-write", body: writeBody(series) });
});
afterAll(async () => {
  await pool.close();
  await database.close();
  rmSync(folder, { recursive: true });
});

const evaluation = { lookbackDeltaMs: 0, limit: 0 };
const instant = (query: string): QueryJob => ({ kind: "instant", query, timeMs: endMs, ...evaluation });
const range = (query: string, steps: number): QueryJob => ({
  kind: "range",
  query,
  startMs,
  endMs: startMs + (steps - 1) * 1000,
  stepMs: 1000,
  ...evaluation,
});
/** Seconds of work, in memory that it may have: a variance is computed anew for each of 11,000 windows. */
const SLOW = range("max(stddev_over_time(requests_total[1h]))", 11_000);

async function ask(
  job: QueryJob,
  { timeoutMs = 60_000, signal = new AbortController().signal } = {},
): Promise<unknown> {
  const answer = await pool.run(job, { timeoutMs, signal });
  return JSON.parse(answer instanceof Uint8Array ? Buffer.from(answer).toString() : await text(answer));
}

test("a query reads open chunks from memory and full ones from their files", async () => {
  expect(await ask(instant("sum by (job) (count_over_time(requests_total[2h]))"))).toMatchObject({
    data: {
      resultType: "vector",
      result: [
        { metric: { job: "even" }, value: [endMs / 1000, `${(SERIES / 2) * SAMPLES}`] },
        { metric: { job: "odd" }, value: [endMs / 1000, `${(SERIES / 2) * SAMPLES}`] },
      ],
    },
  });
  const rates = (await ask(range('rate(requests_total{instance="i7"}[1m])', 4000))) as {
    readonly data: { readonly result: readonly [{ readonly values: readonly (readonly [number, string])[] }] };
  };
  // It grows by 8 every 15 s; from the third sample on the window lies inside the series.
  const full = rates.data.result[0].values.filter(([time]) => time * 1000 >= startMs + 60_000);
  expect(full).toHaveLength(3940);
  for (const [, value] of full) expect(Number(value)).toBeCloseTo(8 / 15, 12);
});

test("a query reads the blocks of its view and the head as one", async () => {
  const before = Array.from({ length: 20 }, (_, i) => ({ timeMs: startMs - (20 - i) * STEP_MS, value: 1n }));
  const labels = [
    ["__name__", "requests_total"],
    ["instance", "i0"],
    ["job", "even"],
  ] as const;
  const blocksDir = join(folder, "blocks");
  const { meta } = await writeBlock({ vfs: realVfs, blocksDir }, [{ labels, chunks: [before] }]);
  const count = instant('count_over_time(requests_total{instance=~"i[01]"}[4h])');
  const counts = async () => {
    const { data } = (await ask(count)) as {
      data: { result: { metric: { instance: string }; value: [number, string] }[] };
    };
    return Object.fromEntries(data.result.map(({ metric, value }) => [metric.instance, Number(value[1])]));
  };
  expect(await counts()).toEqual({ i0: SAMPLES, i1: SAMPLES });
  view = {
    blocks: [{ ulid: ULID_A, minTime: meta.minTime, maxTime: meta.maxTime, tombstonesVersion: 0 }],
    headFloorMs: startMs,
    missing: [],
  };
  expect(await counts()).toEqual({ i0: SAMPLES + 20, i1: SAMPLES });

  // A byte of its only chunk changes while the block is open.
  const file = await realVfs.open(join(blocksDir, ULID_A, "chunks", "000001"), "write");
  await file.write(Uint8Array.of(0xff), 20);
  await file.close();
  expect(damaged).toEqual([]);
  expect(await counts()).toEqual({ i0: SAMPLES, i1: SAMPLES });
  expect(await ask(count)).toMatchObject({ warnings: [expect.stringContaining(`${ULID_A}/chunks/000001 at byte 8`)] });
  expect(damaged).toEqual([ULID_A, ULID_A]);
  view = HEAD_ONLY;
});

test("metadata, formatting and cardinality come from the same worker", async () => {
  const selection = { startMs, endMs, limit: 0 };
  expect(await ask({ kind: "labels", selectors: ['{job="odd"}'], ...selection })).toEqual({
    status: "success",
    data: ["__name__", "instance", "job"],
  });
  expect(await ask({ kind: "labelValues", name: "job", selectors: [], ...selection })).toEqual({
    status: "success",
    data: ["even", "odd"],
  });
  expect(await ask({ kind: "series", selectors: ['{instance=~"i[12]"}'], ...selection })).toEqual({
    status: "success",
    data: [
      { __name__: "requests_total", instance: "i1", job: "odd" },
      { __name__: "requests_total", instance: "i2", job: "even" },
    ],
  });
  expect(await ask({ kind: "format", query: "sum(a)by(b)" })).toEqual({ status: "success", data: "sum by (b) (a)" });
  expect(await ask({ kind: "cardinality", limit: 3 })).toMatchObject({ seriesCount: SERIES });
});

test("errors of the query come back as what they are", async () => {
  for (const [job, code] of [
    [instant("sum("), "BAD_QUERY"],
    [instant("histogram_quantile(0.9, requests_total)"), "NOT_YET_SUPPORTED"],
    [instant("requests_total + on () requests_total"), "QUERY_EXECUTION"],
    [{ kind: "series", selectors: ["{"], startMs, endMs, limit: 0 }, "BAD_QUERY"],
    [range("requests_total", 11_000), "QUERY_LIMIT"],
  ] as const)
    await expect(ask(job)).rejects.toMatchObject({ code });
  // Each sum holds two tables of 100 series and 11,000 steps, 9 MB each.
  const sums = Array.from({ length: 6 }, () => "requests_total").join(" + on (instance) ");
  await expect(ask(range(`max(${sums})`, 11_000))).rejects.toMatchObject({
    code: "QUERY_LIMIT",
    message: expect.stringContaining("too much memory") as unknown,
  });
});

test("a query that is slow ends at its deadline, and the worker goes on", async () => {
  await expect(ask(SLOW, { timeoutMs: 100 })).rejects.toMatchObject({ code: "QUERY_TIMEOUT" });
  expect(await ask(instant("1"))).toMatchObject({ data: { resultType: "scalar" } });
  expect(pool.stats()).toMatchObject({ workersStartedTotal: 1, workersLostTotal: 0 });
});

test("a client that hangs up stops its query, and the worker goes on", async () => {
  const hangUp = new AbortController();
  const answer = ask(SLOW, { signal: hangUp.signal });
  await sleep(50);
  hangUp.abort();
  await expect(answer).rejects.toMatchObject({ code: "QUERY_CANCELED" });
  expect(await ask(instant("1"))).toMatchObject({ data: { resultType: "scalar" } });
  expect(pool.stats()).toMatchObject({ workersStartedTotal: 1, workersLostTotal: 0 });
});

test("while queries run, writes go on and are seen by the next query", async () => {
  const slow = ask(SLOW).catch((error: unknown) => error);
  const body = writeBody([{ labels: { __name__: "later" }, samples: [{ timestamp: endMs, value: 1 }] }]);
  await database.write({ format: "remote-write", body });
  expect(await ask(instant("later"))).toMatchObject({ data: { result: [{ value: [endMs / 1000, "1"] }] } });
  await slow;
});
