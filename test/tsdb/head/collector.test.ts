/** Series that come and go in a whole Head, with log records and replay: its memory stays level. */
import { expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { Collector } from "../../../src/tsdb/head/collector.ts";
import { Head } from "../../../src/tsdb/head/head.ts";
import { HeadReplay } from "../../../src/tsdb/head/replay.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { decodeRecordHeader, RECORD_HEADER_BYTES } from "../../../src/tsdb/wal/format.ts";
import { ManualClock } from "../../support/clock.ts";
import { type TwinSeries, writeRequest } from "../../support/remote-write-twin.ts";
import { snappyCompress } from "../../support/write-request.ts";

const START_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const SERIES = 10_000;
const GENERATIONS = 4;
const ANY_REF = 2 ** 28;
const kernel = loadKernelModule();

const newHead = (): Head =>
  new Head({
    module: kernel,
    hashKeys: new Uint8Array(16),
    walEnabled: true,
    retentionMs: 2 ** 45,
    outOfOrderWindowMs: 0,
    memtableBytesMax: 2 ** 31,
    chunkFileBytesMax: 2 ** 20,
    limits: {
      bodyBytesMax: 2 ** 22,
      decodedBytesMax: 2 ** 22,
      seriesPerRequestMax: 50_000,
      labelsPerSeriesMax: 40,
      labelNameBytesMax: 256,
      labelValueBytesMax: 4096,
    },
  });

/** All series of a generation, with label values that no other has. */
const generationOf = (generation: number, timeMs: number): TwinSeries[] =>
  Array.from({ length: SERIES }, (_, i) => ({
    labels: [
      ["__name__", `metric_${i % 20}`],
      ["instance", `host-${generation}-${i}`],
      ["job", `job-${i % 5}`],
    ],
    samples: [{ timestampMs: BigInt(timeMs), value: 1n }],
  }));

function collectorOf(head: Head): Collector {
  return new Collector({ memory: head.memory, clock: systemClock, log: silentLogger });
}

/** Each request frees some of what was let go of: as if a few more had come. */
function settledBytes(head: Head): number {
  for (let i = 0; i < 50; i++) head.memory.kernel.advanceEpoch();
  return head.stats().memoryBytes;
}

const timeOf = (generation: number): number => START_MS + generation * MINUTE_MS;

/** Records of the log, as far as they were taken. */
function takeRecords(head: Head): { readonly sequence: number; readonly data: Uint8Array }[] {
  const batch = head.take();
  const records: { sequence: number; data: Uint8Array }[] = [];
  const bytes = batch?.bytes ?? new Uint8Array(0);
  for (let at = 0; at < bytes.length;) {
    const { sequence, dataBytes } = decodeRecordHeader(bytes, at);
    const start = at + RECORD_HEADER_BYTES;
    records.push({ sequence, data: bytes.slice(start, start + dataBytes) });
    at = start + dataBytes;
  }
  head.release();
  return records;
}

test("all series are replaced three times, and neither the head nor one that replays its log takes more memory", async () => {
  const head = newHead();
  const collector = collectorOf(head);
  const log: { sequence: number; data: Uint8Array }[] = [];
  const used: number[] = [];
  for (let generation = 0; generation < GENERATIONS; generation++) {
    const timeMs = timeOf(generation);
    head.dropChunks(0, ANY_REF, timeMs);
    await collector.collect();
    const body = snappyCompress(writeRequest(generationOf(generation, timeMs)));
    const { result, sequence } = head.write({ format: "remote-write", body }, timeMs);
    expect(result.accepted).toBe(SERIES);
    log.push(...takeRecords(head));
    head.setSynced(sequence);
    expect(head.stats().series).toBe(SERIES);
    used.push(settledBytes(head));
  }
  expect(Math.max(...used)).toBeLessThan(used[0]! * 1.1);
  const { memoryBytes, memoryFreeBytes, seriesCollectedTotal } = head.stats();
  expect(seriesCollectedTotal).toBe(3 * SERIES);
  expect(memoryFreeBytes).toBeLessThan(memoryBytes);

  // The log has all of them, and they are there again until what is old is dropped.
  const again = newHead();
  const replay = new HeadReplay(again.memory);
  replay.beginSegment();
  for (const { sequence, data } of log) {
    replay.buffer.bytes.set(data);
    const record = { sequence, dataBytes: data.length, dataOffset: 0, type: 1, syncedUpTo: 0, crc: 0, offsetBytes: 0 };
    expect(replay.apply(record)).toBe("applied");
  }
  replay.finish(GENERATIONS);
  expect(again.stats().series).toBe(GENERATIONS * SERIES);
  again.dropChunks(0, ANY_REF, timeOf(GENERATIONS - 1));
  await collectorOf(again).collect();
  expect(again.stats().series).toBe(SERIES);
  expect(settledBytes(again)).toBeLessThan(used[0]! * 1.1);
});

test("a series whose samples are not durable is not collected before they are", async () => {
  const head = newHead();
  const clock = new ManualClock(START_MS);
  const collector = new Collector({ memory: head.memory, clock, log: silentLogger });
  const body = snappyCompress(writeRequest(generationOf(0, START_MS).slice(0, 10)));
  const { sequence } = head.write({ format: "remote-write", body }, START_MS);
  head.dropChunks(0, ANY_REF, START_MS + 1);
  const pass = collector.collect();
  clock.advance(10_000);
  expect(head.stats().series).toBe(10);
  // A failed sync: all that is in doubt is encoded again, and needs their labels.
  head.restart();
  expect(takeRecords(head)).toHaveLength(1);
  head.setSynced(sequence);
  clock.advance(10_000);
  await pass;
  expect(head.stats().series).toBe(0);
});

test("a collector that is stopped leaves its pass, and the next one goes on", async () => {
  const head = newHead();
  const body = snappyCompress(writeRequest(generationOf(0, START_MS)));
  const { sequence } = head.write({ format: "remote-write", body }, START_MS);
  head.setSynced(sequence);
  head.dropChunks(0, ANY_REF, START_MS + 1);
  const first = collectorOf(head);
  const pass = first.collect();
  await first.stop();
  await pass;
  expect(head.stats().series).toBeGreaterThan(0);
  await collectorOf(head).collect();
  expect(head.stats().series).toBe(0);
});
