/** Samples records that the twin wrote, in all the ways that the format allows, replayed by the kernel. */
import { expect, test } from "vitest";
import { REPLAY } from "../../../src/tsdb/kernel/head-exports.ts";
import { merged, type TwinLimits } from "../../support/head-twin.ts";
import { KernelHead } from "../../support/kernel-head.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import type { ByteLabel, TwinSample } from "../../support/remote-write-twin.ts";
import { type WalRow, WalSegmentReader, WalSegmentWriter } from "../../support/wal-record-twin.ts";

const START_MS = Date.UTC(2026, 0, 1);
const LIMITS: TwinLimits = {
  seriesPerRequestMax: 1000,
  labelsPerSeriesMax: 40,
  labelNameBytesMax: 256,
  labelValueBytesMax: 4096,
  retentionMs: 30 * 86_400_000,
};
const RUNS = 40;

const labelsOf = (ref: number): readonly ByteLabel[] => [
  ["__name__", `metric_${ref % 4}`],
  ["host", `h${ref}`],
];

/** Rows of a few series in order of time; some repeat what was there before, as a log written again does. */
function rowsOf(random: Random, newest: Map<number, TwinSample>): WalRow[] {
  return Array.from({ length: 1 + random.below(40) }, () => {
    const ref = random.chance(0.8) ? random.below(8) : random.below(9000);
    const before = newest.get(ref);
    if (before !== undefined && random.chance(0.1)) return { ref, ...before, isLate: false };
    if (random.chance(0.1)) {
      const ago = BigInt(1 + random.below(1_000_000));
      return { ref, timestampMs: BigInt(START_MS) - ago, value: BigInt(random.below(1000)) << 40n, isLate: true };
    }
    const timestampMs = (before?.timestampMs ?? BigInt(START_MS)) + BigInt(1 + random.below(2_000_000));
    const value = random.pick([0n, 1n, before?.value ?? 7n, BigInt(random.below(2 ** 32)) << BigInt(random.below(33))]);
    newest.set(ref, { timestampMs, value });
    return { ref, timestampMs, value, isLate: false };
  });
}

test("replay reads every spelling of a record, over segments, and skips what it has", () => {
  const firstSeed = seedFromEnv();
  for (let run = 0; run < RUNS; run++) {
    const seed = (firstSeed + run) >>> 0;
    const random = new Random(seed);
    const head = new KernelHead({ limits: LIMITS });
    const { kernel, memory } = head;
    const buffer = memory.u32(memory.at.H_WAL_BUFFER_0);
    const newest = new Map<number, TwinSample>();
    const expected = new Map<number, TwinSample[]>();
    const late = new Map<number, TwinSample[]>();
    for (let segment = 0; segment < 3; segment++) {
      kernel.beginSegment();
      const writer = new WalSegmentWriter(labelsOf, random);
      const reader = new WalSegmentReader();
      for (let record = 0; record < 10; record++) {
        const rows = rowsOf(random, newest);
        const data = writer.encode(rows);
        expect(reader.decode(data).rows, `seed ${seed}`).toEqual(rows);
        memory.bytes.set(data, buffer);
        memory.setI64(memory.at.H_WAL_SEQUENCE, segment * 10 + record);
        expect(kernel.replayRecord(buffer, data.length), `seed ${seed}`).toBe(REPLAY.ok);
        for (const { ref, isLate, ...sample } of rows) {
          const samples = expected.get(ref) ?? [];
          if (isLate) late.set(ref, [...(late.get(ref) ?? []), sample]);
          const last = samples[samples.length - 1];
          if (!isLate && (last === undefined || sample.timestampMs > last.timestampMs)) samples.push(sample);
          expected.set(ref, samples);
        }
      }
    }
    const refs = head.select(0, [], 0, Number.MAX_VALUE);
    expect(refs).toEqual([...expected.keys()].sort((a, b) => a - b));
    expect(head.samplesOf(0, refs, 0, Number.MAX_VALUE), `seed ${seed}`).toEqual(
      refs.map((ref) => merged(expected.get(ref)!, late.get(ref) ?? [])),
    );
    for (const ref of refs) expect(head.labelsOf(ref)).toEqual(labelsOf(ref));
  }
});
