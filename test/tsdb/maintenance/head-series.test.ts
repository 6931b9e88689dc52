/** The head as a flush reads it, against Maps: series in order, each range's samples, in order before late, as of a sequence. */
import { expect, test } from "vitest";
import { Arena } from "../../../src/tsdb/compact/arena.ts";
import { ChunkList } from "../../../src/tsdb/compact/chunk-list.ts";
import type { SeriesSource } from "../../../src/tsdb/compact/series-source.ts";
import { chunkFileName } from "../../../src/tsdb/head/chunk-file-format.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../../../src/tsdb/kernel/private-memory.ts";
import { HeadSeries } from "../../../src/tsdb/maintenance/head-series.ts";
import { HeadTwin, keyOf, merged, type TwinLimits } from "../../support/head-twin.ts";
import { KernelHead } from "../../support/kernel-head.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { type ByteLabel, type TwinSample, writeRequest } from "../../support/remote-write-twin.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import { putFile } from "../../support/wal-files.ts";

const RUNS = 6;
const RANGE_MS = 7_200_000;
const START_MS = Math.ceil(Date.UTC(2026, 0, 1) / RANGE_MS) * RANGE_MS;
const SLOT = 2;
const COLUMN_MAX = 70_000;
const LIMITS: TwinLimits = {
  labelsPerSeriesMax: 6,
  labelNameBytesMax: 20,
  labelValueBytesMax: 30,
  seriesPerRequestMax: 500,
  retentionMs: 100 * 86_400_000,
  outOfOrderWindowMs: 4 * RANGE_MS,
};
const utf8 = (text: string): string => Buffer.from(text).toString("latin1");
/** In UTF-16 the last two would change places. */
const VALUES = ["a", "ab", "b", "\uffee", "\u{1f600}"];

/** A head and its twin after requests that touch a few ranges; both have had their floor raised on the way. */
function filled(random: Random): { head: KernelHead; twin: HeadTwin; nowMs: number } {
  const head = new KernelHead({ limits: LIMITS });
  const twin = new HeadTwin(LIMITS);
  let nowMs = START_MS + random.below(RANGE_MS);
  for (let request = 0; request < 120; request++) {
    const series = Array.from({ length: 1 + random.below(10) }, () => {
      const labels: ByteLabel[] = [["__name__", random.pick(["up", "cpu"])]];
      for (const name of ["host", "zone"]) if (random.chance(0.7)) labels.push([name, utf8(random.pick(VALUES))]);
      const samples = Array.from({ length: 1 + random.below(20) }, () => {
        const ago = random.chance(0.7) ? random.below(1000) : random.below(3 * RANGE_MS);
        return { timestampMs: BigInt(nowMs - ago), value: BigInt(random.below(1000)) << 44n };
      });
      return { labels, samples };
    });
    const message = writeRequest(series);
    head.ingest(message, nowMs);
    twin.ingest(message, nowMs);
    nowMs += random.below(200_000);
    if (random.chance(0.05)) {
      const floorMs = nowMs - random.below(RANGE_MS);
      head.raiseFloor(floorMs);
      twin.raiseFloor(floorMs);
    }
  }
  return { head, twin, nowMs };
}

/** All that a source has, by series as twins name them, in its order. */
function readSource(source: SeriesSource, memory: PrivateMemory): [string, TwinSample[]][] {
  const text = (symbol: number): string => Buffer.from(source.symbols.bytesOf(symbol)).toString("latin1");
  const arena = new Arena(memory);
  const columns = memory.reserve(2 * 8 * COLUMN_MAX);
  const found: [string, TwinSample[]][] = [];
  while (source.next()) {
    const labels = Array.from({ length: source.labelCount }, (_, i): ByteLabel => [
      text(source.labels[2 * i]!),
      text(source.labels[2 * i + 1]!),
    ]);
    const chunks = new ChunkList("test");
    arena.reset();
    source.read(chunks, arena);
    const samples: TwinSample[] = [];
    for (let i = 0; i < chunks.count; i++) {
      const [times, values] = [columns, columns + 8 * COLUMN_MAX];
      const { encoding, address, bytes, deleted } = chunks;
      let count = memory.kernel.decodeChunk(encoding[i]!, address[i]!, bytes[i]!, times, values, COLUMN_MAX);
      expect(count).toBeGreaterThan(0);
      for (let at = 0; at < deleted.length; at += 2)
        count = memory.kernel.maskSamples(times, values, count, deleted[at]!, deleted[at + 1]!);
      const view = new DataView(memory.bytes.buffer);
      for (let s = 0; s < count; s++)
        samples.push({
          timestampMs: BigInt(view.getFloat64(times + 8 * s, true)),
          value: view.getBigUint64(values + 8 * s, true),
        });
    }
    found.push([keyOf(labels), samples]);
  }
  source.close();
  return found;
}

test("a flush finds all that is before its time as of its sequence, range by range and in the order of labels", async () => {
  const firstSeed = seedFromEnv();
  for (let run = 0; run < RUNS; run++) {
    const seed = (firstSeed + run) >>> 0;
    const random = new Random(seed);
    const { head, twin, nowMs } = filled(random);
    const vfs = new MemoryVfs();
    await vfs.mkdir("/chunks");
    head.flush(Number.MAX_SAFE_INTEGER, random.chance(0.5));
    for (const [index, bytes] of head.files) await putFile(vfs, `/chunks/${chunkFileName(index)}`, bytes);
    const beforeMs = random.chance(0.5) ? Math.floor(nowMs / RANGE_MS) * RANGE_MS : nowMs - random.below(RANGE_MS);
    const fromMs = random.chance(0.5) ? Number.NEGATIVE_INFINITY : beforeMs - random.below(2 * RANGE_MS);
    if (random.chance(0.5) && Number.isFinite(fromMs)) head.memory.setI64(head.memory.at.H_FLUSHED_MS, fromMs);
    const from = head.memory.i64(head.memory.at.H_FLUSHED_MS);
    const sequence = random.between(1, twin.sequence);

    const { module, memory } = head.memory;
    const options = { vfs, beforeMs, sequence, rangeMs: RANGE_MS, check: () => undefined };
    const series = new HeadSeries({ module, memory, slot: SLOT, chunkDir: "/chunks" }, options);
    const found = new Map<string, TwinSample[][]>();
    const privateMemory = new PrivateMemory(loadKernelModule({ debug: true }));
    for (const range of series.ranges) {
      expect(range.maxTime - range.minTime).toBe(RANGE_MS);
      series.sources(range).forEach((source, kind) => {
        const ofSource = readSource(source, privateMemory);
        const order = ofSource.map(([key]) => key);
        expect(order, `seed ${seed}`).toEqual([...order].sort(byLabels));
        for (const [key, samples] of ofSource) {
          for (const { timestampMs } of samples)
            expect(timestampMs >= BigInt(range.minTime) && timestampMs < BigInt(range.maxTime)).toBe(true);
          const kinds = found.get(key) ?? [[], []];
          kinds[kind]!.push(...samples);
          found.set(key, kinds);
        }
      });
    }
    series.close();
    for (const [key, { samples, late }] of twin.series) {
      const isBefore = ({ timestampMs }: TwinSample): boolean => timestampMs < BigInt(beforeMs);
      const inOrder = samples.filter((sample) => isBefore(sample) && Number(sample.timestampMs) >= from);
      const rows = merged(late.filter((row) => isBefore(row) && row.sequence <= sequence));
      const [foundInOrder, foundLate] = found.get(key) ?? [[], []];
      expect(foundInOrder, `seed ${seed}`).toEqual(inOrder);
      expect(foundLate, `seed ${seed}`).toEqual(rows);
    }
  }
});

test("a series with more late samples than can be read at once is read in pieces", async () => {
  const count = 130_000;
  const head = new KernelHead({ limits: LIMITS, decodedBytesMax: 8 * 2 ** 20 });
  const labels: ByteLabel[] = [["__name__", "late"]];
  const nowMs = START_MS + RANGE_MS - 1;
  head.ingest(writeRequest([{ labels, samples: [{ timestampMs: BigInt(nowMs), value: 1n }] }]), nowMs);
  for (let from = 0; from < count; from += count / 4) {
    const samples = Array.from({ length: count / 4 }, (_, i) => ({
      timestampMs: BigInt(START_MS + from + i),
      value: BigInt(from + i),
    }));
    const answer = head.ingest(writeRequest([{ labels, samples }]), nowMs);
    expect(answer).toMatchObject({ accepted: count / 4 });
  }
  const { module, memory } = head.memory;
  const options = {
    vfs: new MemoryVfs(),
    beforeMs: START_MS + RANGE_MS,
    sequence: head.sequence,
    rangeMs: RANGE_MS,
    check: () => undefined,
  };
  const series = new HeadSeries({ module, memory, slot: SLOT, chunkDir: "/chunks" }, options);
  expect(series.ranges).toMatchObject([{ minTime: START_MS }]);
  const [inOrder, late] = series.sources(series.ranges[0]!);
  const privateMemory = new PrivateMemory(loadKernelModule({ debug: true }));
  expect(readSource(inOrder!, privateMemory)[0]![1]).toHaveLength(1);
  const [, samples] = readSource(late!, privateMemory)[0]!;
  expect(samples.length).toBe(count);
  expect(
    samples.every(({ timestampMs, value }, i) => timestampMs === BigInt(START_MS + i) && value === BigInt(i)),
  ).toBe(true);
  series.close();
});

/** As Prometheus orders label sets; keys are the JSON of byte strings. */
function byLabels(a: string, b: string): number {
  const [first, second] = [JSON.parse(a) as string[][], JSON.parse(b) as string[][]];
  const [flatA, flatB] = [first.flat(), second.flat()];
  for (let i = 0; i < Math.min(flatA.length, flatB.length); i++) {
    if (flatA[i]! !== flatB[i]!) return flatA[i]! < flatB[i]! ? -1 : 1;
  }
  return flatA.length - flatB.length;
}
