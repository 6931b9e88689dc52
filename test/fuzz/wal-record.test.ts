/**
 * Records of the log and chunks of files whose checksums were right and whose content is not: the kernel applies them or
 * says that they are malformed, as the twin does, and never traps or writes where it must not.
 */
import { expect, test } from "vitest";
import { REPLAY } from "../../src/tsdb/kernel/head-exports.ts";
import { decodeRecordHeader, RECORD_HEADER_BYTES } from "../../src/tsdb/wal/format.ts";
import { fuzz } from "../support/fuzz.ts";
import { merged, type TwinLimits } from "../support/head-twin.ts";
import { KernelHead } from "../support/kernel-head.ts";
import { type TwinSample, writeRequest } from "../support/remote-write-twin.ts";
import { type DecodedRecord, WalSegmentReader } from "../support/wal-record-twin.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const LIMITS: TwinLimits = {
  seriesPerRequestMax: 1000,
  labelsPerSeriesMax: 40,
  labelNameBytesMax: 256,
  labelValueBytesMax: 4096,
  retentionMs: 30 * 86_400_000,
  outOfOrderWindowMs: 3_600_000,
};

/** The data of records that the kernel itself wrote. */
function recordsOf(requests: number): Uint8Array[] {
  const head = new KernelHead({ limits: LIMITS });
  for (let request = 0; request < requests; request++) {
    const series = Array.from({ length: 1 + request * 3 }, (_, i) => ({
      labels: [
        ["__name__", `metric_${i % 3}`],
        ["host", `h${i}`],
      ] as [string, string][],
      samples: Array.from({ length: 1 + (i % 4) }, (_x, s) => ({
        timestampMs: BigInt(NOW_MS + request * 60_000 + (s === 3 ? -90_000 : s)),
        value: BigInt(i * s) << 40n,
      })),
    }));
    head.ingest(writeRequest(series), NOW_MS + request * 60_000);
  }
  const bytes = head.takeRecords();
  const records: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + RECORD_HEADER_BYTES + decodeRecordHeader(bytes, at).dataBytes;
    records.push(bytes.slice(at + RECORD_HEADER_BYTES, end));
    at = end;
  }
  return records;
}

const records = recordsOf(6);
const RUNS_PER_HEAD = 200;

test("a record is replayed as the twin reads it, or is malformed for the kernel too", async () => {
  let head: KernelHead | undefined;
  let runsOfHead = 0;
  const runs = await fuzz({
    name: "test/fuzz/wal-record",
    corpus: records,
    dictionary: ["00", "01", "7f", "8001", "ffffffff0f", "ffffffffffffffffff01", "06737461747573", "1c"].map((hex) =>
      Buffer.from(hex, "hex"),
    ),
    run: (data) => {
      // A damaged record may leave what no later one may contradict, so the head is renewed now and then.
      if (head === undefined || runsOfHead++ % RUNS_PER_HEAD === 0) head = new KernelHead({ limits: LIMITS });
      const { kernel, memory } = head;
      kernel.beginSegment();
      const buffer = memory.u32(memory.at.H_WAL_BUFFER_0);
      memory.bytes.set(data, buffer);
      const code = kernel.replayRecord(buffer, data.length);
      let decoded: DecodedRecord | undefined;
      try {
        decoded = new WalSegmentReader().decode(data);
      } catch {
        // What the twin cannot read the kernel must not take for whole.
        expect(code).not.toBe(REPLAY.ok);
      }
      expect([REPLAY.ok, REPLAY.malformed, REPLAY.full, REPLAY.sealFirst]).toContain(code);
      if (code === REPLAY.sealFirst) head.flush(Number.MAX_SAFE_INTEGER, true);
      if (code === REPLAY.full) head = undefined;
      if (code !== REPLAY.ok || head === undefined) return;
      expect(memory.u32(memory.at.H_ACCEPTED)).toBeLessThanOrEqual(decoded!.rows.length);
      for (const [ref, labels] of decoded!.declared) expect(head.labelsOf(ref)).toEqual(labels);
    },
    heldBytes: () => Number(head?.kernel.heapBytesUsed() ?? 0),
  });
  expect(runs).toBeGreaterThan(0);
});

test("what replay made of good records is what the requests said, however they are mixed with damaged ones", () => {
  const head = new KernelHead({ limits: LIMITS });
  const { kernel, memory } = head;
  const buffer = memory.u32(memory.at.H_WAL_BUFFER_0);
  let sequence = 0;
  const apply = (data: Uint8Array): number => {
    memory.bytes.set(data, buffer);
    memory.setI64(memory.at.H_WAL_SEQUENCE, sequence);
    return kernel.replayRecord(buffer, data.length);
  };
  kernel.beginSegment();
  const twin = new WalSegmentReader();
  const expected = new Map<number, TwinSample[]>();
  const late = new Map<number, TwinSample[]>();
  for (const data of records) {
    // Cut anywhere, it changes nothing but what its whole beginning said.
    expect(apply(data.subarray(0, 1))).toBe(REPLAY.malformed);
    for (const { ref, isLate, ...sample } of twin.decode(data).rows) {
      const samples = (isLate ? late : expected).get(ref) ?? [];
      samples.push(sample);
      (isLate ? late : expected).set(ref, samples);
    }
    expect(apply(data)).toBe(REPLAY.ok);
    sequence++;
  }
  // Once more, as after a failed sync: nothing is stored twice.
  kernel.beginSegment();
  sequence = 0;
  for (const data of records) {
    expect(apply(data)).toBe(REPLAY.ok);
    sequence++;
  }
  const refs = head.select(0, [], 0, Number.MAX_VALUE);
  const samples = head.samplesOf(0, refs, 0, Number.MAX_VALUE);
  expect(memory.u32(memory.at.H_LATE_ROWS)).toBe([...late.values()].flat().length);
  expect(late.size).toBeGreaterThan(0);
  refs.forEach((ref, i) => expect(samples[i]).toEqual(merged(expected.get(ref)!, late.get(ref) ?? [])));
});

test("a chunk from a file is entered or refused, whatever its header says", async () => {
  const head = new KernelHead({ limits: LIMITS });
  const valid = Buffer.alloc(32);
  valid.writeDoubleLE(NOW_MS, 0);
  valid.writeUInt32LE(7, 8);
  valid.writeUInt32LE(60_000, 12);
  valid.writeUInt32LE(1, 16);
  valid.writeUInt32LE(32, 20);
  valid.writeUInt32LE(500, 24);
  const runs = await fuzz({
    name: "test/fuzz/wal-record",
    corpus: [valid],
    dictionary: [Number.NaN, Number.POSITIVE_INFINITY, -1e300, 2 ** 53, 0.5].map((mint) => {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(mint);
      return bytes;
    }),
    run: (input) => {
      const fields = Buffer.concat([input, Buffer.alloc(32)]);
      const field = (at: number): number => fields.readUInt32LE(at);
      // Far apart refs take a page each: the head would be full soon, which is no news.
      const ref = field(8) % 100_000;
      const mint = fields.readDoubleLE(0);
      const code = head.kernel.loadChunk(ref, mint, field(12), field(16), field(20), field(24));
      expect([REPLAY.ok, REPLAY.malformed]).toContain(code);
      if (code === REPLAY.ok) expect(Number.isSafeInteger(mint) || Math.abs(mint) === 2 ** 53).toBe(true);
    },
  });
  expect(runs).toBeGreaterThan(0);
});
