/**
 * Remote write bodies, compressed and inside the compression, into the kernel's debug build: whatever comes, the head takes
 * it or refuses it as the twin does, its canaries hold, and its memory stays within its limit.
 */
import { expect, test } from "vitest";
import { TsdbError } from "../../src/base/errors.ts";
import { Head } from "../../src/tsdb/head/head.ts";
import { INGEST } from "../../src/tsdb/kernel/head-exports.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { fuzz } from "../support/fuzz.ts";
import { HeadTwin, type TwinAnswer, type TwinLimits } from "../support/head-twin.ts";
import { KernelHead } from "../support/kernel-head.ts";
import { countSamples, encodeWriteRequest, snappyCompress, type WrittenSeries } from "../support/write-request.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const MEMTABLE_BYTES = 64 * 2 ** 20;
const LIMITS: TwinLimits = {
  seriesPerRequestMax: 1000,
  labelsPerSeriesMax: 40,
  labelNameBytesMax: 256,
  labelValueBytesMax: 4096,
  retentionMs: 30 * 86_400_000,
  outOfOrderWindowMs: 3_600_000,
};

const newHead = (): Head =>
  new Head({
    module: loadKernelModule({ debug: true }),
    hashKeys: new Uint8Array(16),
    walEnabled: true,
    retentionMs: LIMITS.retentionMs,
    outOfOrderWindowMs: 3_600_000,
    memtableBytesMax: MEMTABLE_BYTES,
    chunkFileBytesMax: 2 ** 20,
    limits: { ...LIMITS, bodyBytesMax: 2 ** 20, decodedBytesMax: 4 * 2 ** 20 },
  });

const series = (i: number, samples = 1): WrittenSeries => ({
  labels: { __name__: `metric_${i % 3}`, instance: `host-${i}`, "label é": "v".repeat(i) },
  samples: Array.from({ length: samples }, (_, s) => ({ timestamp: NOW_MS - 60_000 + s * 1000, value: i / (s + 1) })),
});

const messages = [
  encodeWriteRequest([series(1)]),
  encodeWriteRequest(Array.from({ length: 30 }, (_, i) => series(i))),
  encodeWriteRequest([series(7, 200), series(8, 0)]),
  encodeWriteRequest([{ labels: { a: "", __name__: "m", b: "x" }, samples: [{ timestamp: -5, value: Number.NaN }] }]),
  encodeWriteRequest([]),
];
/** Tags and lengths of the message, an unknown group, an exemplar, a histogram. */
const tags = [
  "0a",
  "12",
  "0a00",
  "0a0c",
  "0901",
  "10",
  "1b1c",
  "1a02",
  "2202",
  "2a00",
  "0a8080808000",
  "ffffffffffffffffff01",
].map((hex) => Buffer.from(hex, "hex"));

test("any compressed body is stored or refused", async () => {
  let head = newHead();
  const runs = await fuzz({
    name: "test/fuzz/remote-write",
    corpus: [...messages.map(snappyCompress), snappyCompress(new Uint8Array(5000)), Buffer.from("00", "hex")],
    dictionary: ["f0", "f4", "fc", "01", "02", "03", "fe01", "ff0100", "80808010"].map((hex) =>
      Buffer.from(hex, "hex"),
    ),
    run: (body) => {
      try {
        const { sequence } = head.write({ format: "remote-write", body }, NOW_MS);
        while (head.take()) head.release();
        head.setSynced(sequence);
      } catch (thrown) {
        // Nobody takes the full chunks away here: a head that holds too many begins anew.
        if (thrown instanceof TsdbError && thrown.code === "OVERLOADED") head = newHead();
        throw thrown;
      }
    },
    // Known series may go on when the head is full, so it ends a little above.
    heldBytes: () => Number(head.memory.kernel.heapBytesUsed()),
    heldBytesMax: MEMTABLE_BYTES * 1.1,
  });
  expect(runs).toBeGreaterThan(0);
});

test("any message is stored or refused as the twin does it, and no sample of one that is stored goes uncounted", async () => {
  let head = new KernelHead({ limits: LIMITS });
  let twin = new HeadTwin(LIMITS);
  const runs = await fuzz({
    name: "test/fuzz/remote-write",
    corpus: messages,
    dictionary: tags,
    run: (message) => {
      const answer = head.ingest(message, NOW_MS);
      let expected: TwinAnswer | undefined;
      try {
        expected = twin.ingest(message, NOW_MS);
      } catch {
        // What was counted before the kernel came to the fault may have been too much already.
        expect([INGEST.malformed, INGEST.tooManySeries, INGEST.tooManySamples]).toContain(answer);
        return;
      }
      if (typeof answer === "number") {
        // Too many of something, or nobody took the chunks away: the twin has no such limits. Both begin anew.
        expect([INGEST.tooManySeries, INGEST.tooManySamples, INGEST.overloaded]).toContain(answer);
        head = new KernelHead({ limits: LIMITS });
        twin = new HeadTwin(LIMITS);
        return;
      }
      const { accepted, duplicates, rejected } = expected;
      expect(answer).toEqual({ accepted, duplicates, rejected });
      expect(head.memory.u32(head.memory.at.H_SERIES_COUNT)).toBe(twin.series.size);
      const counted = answer.accepted + [...answer.rejected.values()].reduce((sum, count) => sum + count, 0);
      expect(counted).toBeGreaterThanOrEqual(samplesSeenByProtobufjs(message));
      head.takeRecords();
      head.kernel.setSynced(BigInt(head.sequence));
      head.flush(head.sequence, true);
      head.files.clear();
    },
  });
  expect(runs).toBeGreaterThan(0);
});

/** An oracle that owes nothing to the twin; it cannot read labels that are not UTF-8, nor has it to. */
function samplesSeenByProtobufjs(message: Uint8Array): number {
  try {
    return countSamples(message);
  } catch {
    return 0;
  }
}
