/** Collection: what series that went away leave behind, and what readers that have seen them still see. */
import { expect, test } from "vitest";
import { COLLECT } from "../../../src/tsdb/kernel/head-exports.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { WIDE_LIMITS } from "../../support/head-twin.ts";
import { KernelHead } from "../../support/kernel-head.ts";
import { type ByteLabel, type TwinSeries, writeRequest } from "../../support/remote-write-twin.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const WORK = 4096;
const SLOT = 2;

/** One of a fleet: some labels are shared by many, some are its own and never come again. */
const labelsOf = (generation: number, i: number): ByteLabel[] => [
  ["__name__", `metric_${i % 50}`],
  ["instance", `10.${generation}.${i >> 8}.${i & 255}:9100`],
  ["job", `job-${i % 7}`],
  ["pod", `service-${i % 40}-${generation}-${(Math.imul(i, 0x9e37_79b9) >>> 0).toString(36)}`],
  ["zone", `zone-${i % 3}`],
];

function ingest(head: KernelHead, labels: readonly ByteLabel[][], timeMs: number): void {
  for (let first = 0; first < labels.length; first += 10_000) {
    const series = labels
      .slice(first, first + 10_000)
      .map((of): TwinSeries => ({ labels: of, samples: [{ timestampMs: BigInt(timeMs), value: 1n }] }));
    const answer = head.ingest(writeRequest(series), timeMs);
    expect(answer).toEqual({ accepted: series.length, duplicates: 0, rejected: new Map() });
    head.takeRecords();
    head.kernel.setSynced(BigInt(head.sequence));
  }
}

/** @returns the slices it took, in ms */
function collect(head: KernelHead): number[] {
  const slices: number[] = [];
  head.kernel.collectBegin();
  for (;;) {
    const start = performance.now();
    const code = head.kernel.collectSome(WORK);
    slices.push(performance.now() - start);
    if (code === COLLECT.done) return slices;
    expect(code).toBe(COLLECT.more);
  }
}

const sizes = (head: KernelHead): { used: number; touched: number } => ({
  used: Number(head.kernel.heapBytesUsed()),
  touched: head.memory.u32(head.memory.at.H_HEAP_NEXT),
});

test("after three replacements of all series the head takes as much memory as before, and no more was touched", () => {
  const head = new KernelHead({ module: loadKernelModule(), limits: WIDE_LIMITS, decodedBytesMax: 16 * 2 ** 20 });
  const count = 100_000;
  const parts = 10;
  const heapStart = sizes(head).touched;
  const found: { used: number; touched: number }[] = [];
  for (let generation = 0; generation <= 3; generation++) {
    // As in a rollout: a part of them after the other.
    for (let part = 0; part < parts; part++) {
      const timeMs = NOW_MS + (generation * parts + part) * MINUTE_MS;
      const labels = Array.from({ length: count / parts }, (_, i) => labelsOf(generation, part * (count / parts) + i));
      ingest(head, labels, timeMs);
      head.kernel.dropChunks(0, 2 ** 28, timeMs - (parts - 1) * MINUTE_MS, Number.POSITIVE_INFINITY);
      head.kernel.advanceEpoch();
      collect(head);
    }
    const { used, touched } = sizes(head);
    found.push({ used, touched: touched - heapStart });
    expect(head.memory.u32(head.memory.at.H_SERIES_COUNT)).toBe(count);
  }
  const [before, first] = found;
  for (const { used, touched } of found.slice(2)) {
    expect(used).toBeLessThan(before!.used * 1.1);
    expect(touched).toBeLessThan(first!.touched * 1.01);
  }
  expect(first!.touched).toBeLessThan(before!.touched * 1.25);
});

test("at the memory limit new series are taken again once others were collected", () => {
  const head = new KernelHead({ limits: WIDE_LIMITS, memoryBytesMax: 4 * 2 ** 20 });
  const accepted = (first: number, timeMs: number): number => {
    const series = Array.from({ length: 500 }, (_, i) => ({
      labels: labelsOf(0, first + i),
      samples: [{ timestampMs: BigInt(timeMs), value: 1n }],
    }));
    const answer = head.ingest(writeRequest(series), timeMs);
    head.takeRecords();
    head.kernel.setSynced(BigInt(head.sequence));
    if (typeof answer === "number") throw new Error(`the kernel answered ${answer}`);
    return answer.accepted;
  };
  let known = 0;
  while (accepted(known, NOW_MS) === 500) known += 500;
  expect(known).toBeGreaterThan(2000);
  expect(accepted(known + 500, NOW_MS)).toBe(0);
  head.kernel.dropChunks(0, 2 ** 28, NOW_MS + 1, Number.POSITIVE_INFINITY);
  collect(head);
  for (let i = 0; i < 3; i++) head.kernel.advanceEpoch();
  for (let first = 0; first < known - 1000; first += 500) {
    expect(accepted(100_000 + first, NOW_MS + MINUTE_MS)).toBe(500);
  }
});

test("a view keeps what was collected, and all of it is free when the view ends", () => {
  const head = new KernelHead({ limits: WIDE_LIMITS });
  const { kernel, memory } = head;
  const labels = Array.from({ length: 2000 }, (_, i) => labelsOf(0, i));
  ingest(head, labels, NOW_MS);
  kernel.pinView(SLOT);
  const refs = head.select(SLOT, [], 0, Number.MAX_SAFE_INTEGER);
  kernel.dropChunks(0, 2 ** 28, NOW_MS + 1, Number.POSITIVE_INFINITY);
  collect(head);
  expect(memory.u32(memory.at.H_SERIES_COUNT)).toBe(0);
  const waiting = memory.u32(memory.at.H_VIEW_LIMBO_COUNT);
  expect(waiting).toBeGreaterThan(2000);
  // Others come: nothing of what the view holds is used for them.
  ingest(
    head,
    Array.from({ length: 2000 }, (_, i) => labelsOf(1, i)),
    NOW_MS + MINUTE_MS,
  );
  expect(refs.map((ref) => head.labelsOf(ref))).toEqual(labels);
  expect(head.select(SLOT, [{ type: "=~", name: "instance", value: "10.0.*" }], 0, Number.MAX_SAFE_INTEGER)).toEqual(
    [],
  );
  kernel.unpinView(SLOT);
  for (let i = 0; i < 200; i++) kernel.advanceEpoch();
  expect(memory.u32(memory.at.H_VIEW_LIMBO_COUNT)).toBe(0);
  expect(memory.u32(memory.at.H_PAIRS_GONE)).toBe(0);
  expect(memory.u32(memory.at.H_PAIRS_FREE)).toBeGreaterThan(0);
});

test("the log declares a pair anew when its id was used for another before", () => {
  const head = new KernelHead({ limits: WIDE_LIMITS });
  const one = (value: string): ByteLabel[] => [
    ["__name__", "up"],
    ["host", value],
  ];
  ingest(head, [one("stays")], NOW_MS + MINUTE_MS);
  ingest(head, [one("goes")], NOW_MS);
  head.kernel.dropChunks(0, 2 ** 28, NOW_MS + 1, Number.POSITIVE_INFINITY);
  collect(head);
  const pairs = head.memory.u32(head.memory.at.H_PAIR_NEXT);
  const message = writeRequest([{ labels: one("comes"), samples: [{ timestampMs: BigInt(NOW_MS), value: 1n }] }]);
  head.ingest(message, NOW_MS);
  expect(head.memory.u32(head.memory.at.H_PAIR_NEXT)).toBe(pairs);
  // In the same segment: with the id's old symbol the record would name the series that went.
  expect(Buffer.from(head.takeRecords()).includes("comes")).toBe(true);
});
