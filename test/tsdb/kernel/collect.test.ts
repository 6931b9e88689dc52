/** Collection: what series that went away leave behind, and what readers that have seen them still see. */
import { expect, test } from "vitest";
import { COLLECT } from "../../../src/tsdb/kernel/head-exports.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import type { TwinLimits } from "../../support/head-twin.ts";
import { KernelHead } from "../../support/kernel-head.ts";
import { type ByteLabel, type TwinSeries, writeRequest } from "../../support/remote-write-twin.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const LIMITS: TwinLimits = {
  seriesPerRequestMax: 50_000,
  labelsPerSeriesMax: 40,
  labelNameBytesMax: 256,
  labelValueBytesMax: 4096,
  retentionMs: 2 ** 45,
};
const WORK = 4096;

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
  const head = new KernelHead({ module: loadKernelModule(), limits: LIMITS, decodedBytesMax: 16 * 2 ** 20 });
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
