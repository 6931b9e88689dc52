/** Stories of single faults in the head's memory, one test each; test/tsdb/kernel/model.test.ts looks for the others. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { INGEST, REPLAY } from "../../../src/tsdb/kernel/head-exports.ts";
import { HeadMemory } from "../../../src/tsdb/kernel/head-memory.ts";
import { instantiateKernel, loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { WIDE_LIMITS } from "../../support/head-twin.ts";
import { KernelHead } from "../../support/kernel-head.ts";
import { type ByteLabel, type TwinSample, writeRequest } from "../../support/remote-write-twin.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const SLOT = 2;
const ALL = Number.MAX_SAFE_INTEGER;

const labels = (host: string): ByteLabel[] => [
  ["__name__", "up"],
  ["host", host],
];
const sample = (timestampMs: number, value = 1n): TwinSample => ({ timestampMs: BigInt(timestampMs), value });

/** Stores samples of one series, and brings what became full to its file. */
function store(head: KernelHead, host: string, samples: readonly TwinSample[]): void {
  const nowMs = Number(samples.at(-1)!.timestampMs);
  const answer = head.ingest(writeRequest([{ labels: labels(host), samples }]), nowMs);
  expect(answer).toEqual({ accepted: samples.length, duplicates: 0, rejected: new Map() });
  head.takeRecords();
  head.kernel.setSynced(BigInt(head.sequence));
}

test("nothing is let go of while a reader is pinned, when the count of epochs begins anew either", () => {
  const head = new KernelHead({ limits: WIDE_LIMITS });
  const { kernel, memory } = head;
  const reclaimed = (): number => memory.i64(memory.at.H_CELLS_RECLAIMED);
  memory.setU32(memory.at.H_EPOCH, 0xffff_fffe);
  for (let round = 0; round < 6; round++) {
    kernel.pin(SLOT);
    const before = reclaimed();
    store(
      head,
      "a",
      Array.from({ length: 240 }, (_, i) => sample(NOW_MS + round * HOUR_MS + i)),
    );
    for (let i = 0; i < 5; i++) kernel.advanceEpoch();
    expect(reclaimed()).toBe(before);
    kernel.unpin(SLOT);
    for (let i = 0; i < 3; i++) kernel.advanceEpoch();
    expect(reclaimed()).toBeGreaterThan(before);
    expect(memory.u32(memory.at.H_EPOCH)).not.toBe(0);
  }
});

test("a series may have more than 65,535 full chunks, in files numbered beyond 65,535", () => {
  // One sample in each range of two hours makes a chunk of each; the list's length once was a u16, and overflowed into
  // the count of entries that are dropped.
  const head = new KernelHead({ limits: WIDE_LIMITS, decodedBytesMax: 2 * 2 ** 20, chunkFileBytesMax: 2 ** 18 });
  const { memory } = head;
  memory.setU32(memory.at.H_CHUNK_FILE_INDEX, 65_530);
  const chunks = 70_000;
  const timeOf = (i: number): number => NOW_MS + i * 2 * HOUR_MS;
  for (let first = 0; first < chunks; first += 10_000) {
    store(
      head,
      "a",
      Array.from({ length: 10_000 }, (_, i) => sample(timeOf(first + i), BigInt(first + i))),
    );
    head.flush(head.sequence, true);
  }
  expect(Math.max(...head.files.keys())).toBeGreaterThan(65_535);
  expect(memory.u32(memory.at.H_FULL_CHUNKS)).toBe(chunks - 1);
  const [found] = head.samplesOf(SLOT, [0], 0, ALL);
  expect(found!.length).toBe(chunks);
  expect(found!.every(({ value }, i) => value === BigInt(i))).toBe(true);
  expect(head.kernel.dropChunks(0, 1, timeOf(69_990), Number.POSITIVE_INFINITY)).toBeLessThan(chunks);
  for (let pass = 0; pass < 30; pass++) head.kernel.dropChunks(0, 1, timeOf(69_990), Number.POSITIVE_INFINITY);
  const [left] = head.samplesOf(SLOT, [0], 0, ALL);
  expect(left!.map(({ value }) => value)).toEqual(Array.from({ length: 10 }, (_, i) => BigInt(69_990 + i)));
});

test("when the memory is full, new series are refused and known ones go on", () => {
  // 128 MiB are kept for known series, so there is little more than that behind the fixed regions.
  const pageCount = (740 * 2 ** 20) / 65_536;
  const head = new KernelHead({ limits: WIDE_LIMITS, decodedBytesMax: 2 ** 20, pageCount });
  const request = (first: number, timestampMs: number): Uint8Array =>
    writeRequest(
      Array.from({ length: 200 }, (_, i) => ({
        // Long, so that it is full soon.
        labels: labels(`h${first + i}`.padEnd(4000, "x")),
        samples: [sample(timestampMs)],
      })),
    );
  let known = 0;
  let refused = 0;
  for (; refused === 0; known += 200) {
    const answer = head.ingest(request(known, NOW_MS), NOW_MS);
    if (typeof answer === "number") throw new Error(`the kernel answered ${answer}`);
    refused = answer.rejected.get("series_limit") ?? 0;
    head.takeRecords();
    head.kernel.setSynced(BigInt(head.sequence));
  }
  expect(known).toBeGreaterThan(1000);
  const answer = head.ingest(request(0, NOW_MS + 1), NOW_MS);
  expect(answer).toEqual({ accepted: 200, duplicates: 0, rejected: new Map() });
});

test("a request that the heap has no cells for is refused before anything is stored", () => {
  const head = new KernelHead({ limits: WIDE_LIMITS });
  store(head, "a", [sample(NOW_MS)]);
  // As if all but a little had been handed out.
  const { memory } = head;
  memory.setU32(memory.at.H_HEAP_END, memory.u32(memory.at.H_HEAP_NEXT) + 100_000);
  const samples = Array.from({ length: 1000 }, (_, i) => sample(NOW_MS + 1 + i, BigInt(i)));
  expect(head.ingest(writeRequest([{ labels: labels("a"), samples }]), NOW_MS)).toBe(INGEST.overloaded);
  expect(head.samplesOf(SLOT, [0], 0, ALL)).toEqual([[sample(NOW_MS)]]);
});

test("limits that leave no room for a head are refused when it is made", () => {
  const create = (decodedBytesMax: number): HeadMemory =>
    HeadMemory.create(loadKernelModule(), new Uint8Array(16), { bodyBytesMax: 2 ** 20, decodedBytesMax });
  // Seven times as much are laid out; the sum once wrapped around and regions lay on top of each other.
  expect(() => create(2 ** 30)).toThrow("the limits leave no room");
  expect(() => create(600 * 2 ** 20)).toThrow("the limits leave no room");
});

test("no series is made for samples of which none can be stored", () => {
  const head = new KernelHead({ limits: { ...WIDE_LIMITS, retentionMs: HOUR_MS } });
  const samples = [sample(NOW_MS - 2 * HOUR_MS), sample(NOW_MS + HOUR_MS)];
  expect(head.ingest(writeRequest([{ labels: labels("a"), samples }]), NOW_MS)).toEqual({
    accepted: 0,
    duplicates: 0,
    rejected: new Map([
      ["too_far_in_future", 1],
      ["too_old", 1],
    ]),
  });
  expect(head.memory.u32(head.memory.at.H_SERIES_COUNT)).toBe(0);
});

test("at the memory limit new series are refused, and known ones go on", () => {
  const head = new KernelHead({ limits: WIDE_LIMITS, memoryBytesMax: 4 * 2 ** 20 });
  let known = 0;
  for (; known < 1_000_000; known += 100) {
    const series = Array.from({ length: 100 }, (_, i) => ({
      labels: labels(`h${known + i}`),
      samples: [sample(NOW_MS)],
    }));
    const answer = head.ingest(writeRequest(series), NOW_MS);
    expect(answer).not.toBeTypeOf("number");
    head.takeRecords();
    head.kernel.setSynced(BigInt(head.sequence));
    if (typeof answer !== "number" && answer.rejected.has("series_limit")) break;
  }
  store(head, "h0", [sample(NOW_MS + 1)]);
  const request = writeRequest([
    { labels: labels("new"), samples: [sample(NOW_MS + 2)] },
    { labels: labels("h1"), samples: [sample(NOW_MS + 2)] },
  ]);
  expect(head.ingest(request, NOW_MS)).toEqual({
    accepted: 1,
    duplicates: 0,
    rejected: new Map([["series_limit", 1]]),
  });
});

test("replay asks for full chunks to be taken away when there is no room for more, and goes on then", () => {
  const source = new KernelHead({ limits: WIDE_LIMITS });
  // Each sample but the first of a series fills a chunk.
  const perSeries = 100;
  const request = (i: number): Uint8Array =>
    writeRequest(
      Array.from({ length: 650 }, (_, s) => ({
        labels: labels(`h${s}`),
        samples: Array.from({ length: perSeries }, (_sample, n) => sample(NOW_MS + (i * perSeries + n) * 2 * HOUR_MS)),
      })),
    );
  const target = new KernelHead({ limits: WIDE_LIMITS });
  const buffer = target.memory.u32(target.memory.at.H_WAL_BUFFER_0);
  let asked = 0;
  for (let i = 0; i < 9; i++) {
    source.ingest(request(i), NOW_MS + 1000 * perSeries * HOUR_MS);
    const data = source.takeRecords().subarray(25);
    source.kernel.setSynced(BigInt(source.sequence));
    source.flush(source.sequence, true);
    target.kernel.advanceEpoch();
    target.memory.bytes.set(data, buffer);
    if (i === 0) target.kernel.beginSegment();
    for (;;) {
      const code = target.kernel.replayRecord(buffer, data.length);
      if (code === REPLAY.ok) break;
      expect(code).toBe(REPLAY.sealFirst);
      asked++;
      target.flush(ALL, true);
    }
  }
  expect(target.samplesOf(SLOT, [0, 649], 0, ALL)).toEqual(source.samplesOf(SLOT, [0, 649], 0, ALL));
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(9);
});

test("a reader writes to nothing but its own scratch and slot", () => {
  const head = new KernelHead({ limits: WIDE_LIMITS, decodedBytesMax: 2 ** 16 });
  for (let i = 0; i < 300; i++) store(head, `h${i % 40}`, [sample(NOW_MS + i * 1000, BigInt(i))]);
  store(
    head,
    "h1",
    Array.from({ length: 500 }, (_, i) => sample(NOW_MS + HOUR_MS + i)),
  );
  const { kernel, memory } = head;
  // All that the writer works on: the header with its queues and the regions up to the log's, then the heap.
  const heapEnd = memory.u32(memory.at.H_HEAP_NEXT);
  const ranges = [
    [65_536, memory.u32(memory.at.H_WAL_BUFFER_0)],
    [heapEnd - Number(kernel.heapBytesUsed()), heapEnd],
  ] as const;
  const slotWord = 65_536 + 8192 + SLOT * 64;
  const snapshot = (): Uint8Array[] =>
    ranges.map(([from, to]) => {
      const copy = memory.bytes.slice(from, to);
      if (from <= slotWord) copy.fill(0, slotWord - from, slotWord - from + 4);
      return copy;
    });
  const before = snapshot();
  // Looking up a name once hashed in the writer's scratch, in the middle of whatever the writer was doing.
  const refs = head.select(SLOT, [{ type: "=~", name: "host", value: "h.*" }], 0, ALL);
  expect(refs.length).toBe(40);
  head.samplesOf(SLOT, refs, 0, ALL);
  kernel.lookupPair(SLOT, 5);
  kernel.nameCount();
  snapshot().forEach((bytes, i) => expect(Buffer.compare(bytes, before[i]!)).toBe(0));
});

test("an instance keeps nothing outside its memory: two heads in one process do not know of each other", () => {
  const first = new KernelHead({ limits: WIDE_LIMITS });
  store(first, "a", [sample(NOW_MS)]);
  const second = new KernelHead({ limits: WIDE_LIMITS });
  store(second, "b", [sample(NOW_MS)]);
  // Attaching writes nothing: a data segment would be written to the shared memory again.
  const before = first.memory.bytes.slice(0, 2 ** 17);
  instantiateKernel(loadKernelModule(), first.memory.memory);
  HeadMemory.attach(loadKernelModule({ debug: true }), first.memory.memory);
  expect(Buffer.compare(first.memory.bytes.slice(0, 2 ** 17), before)).toBe(0);
  expect(first.labelsOf(0)).toEqual(labels("a"));
  expect(second.labelsOf(0)).toEqual(labels("b"));
});

test.each(["kernel", "kernel-debug"])("%s.wasm has no data segments, and no globals that can change", (name) => {
  // Instantiating writes data segments again, in the midst of a running head; globals would be each thread's own.
  const bytes = readFileSync(new URL(`../../../dist/${name}.wasm`, import.meta.url));
  let at = 8;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const sections = new Set<number>();
  while (at < bytes.length) {
    const id = bytes[at++]!;
    const end = varint() + at;
    sections.add(id);
    if (id === GLOBAL_SECTION) {
      for (let left = varint(); left > 0; left--) {
        // Type, mutability, then an initial value of one instruction and its end.
        expect([at, bytes[at + 1]]).toEqual([at, 0]);
        at += 3;
        varint();
        expect(bytes[at++]).toBe(0x0b);
      }
    }
    at = end;
  }
  expect(sections.has(GLOBAL_SECTION)).toBe(true);
  expect(sections.has(DATA_SECTION)).toBe(false);
});
const GLOBAL_SECTION = 6;
const DATA_SECTION = 11;
