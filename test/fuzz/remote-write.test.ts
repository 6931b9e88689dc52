/**
 * Remote write bodies, compressed and inside the compression, into the kernel's debug build: whatever comes, the head takes
 * it or refuses it, its canaries hold, and its memory stays within its limit.
 */
import { expect, test } from "vitest";
import { TsdbError } from "../../src/base/errors.ts";
import { Head } from "../../src/tsdb/head/head.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { fuzz } from "../support/fuzz.ts";
import { countSamples, encodeWriteRequest, snappyCompress, type WrittenSeries } from "../support/write-request.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const MEMTABLE_BYTES = 64 * 2 ** 20;
const module = loadKernelModule({ debug: true });

const newHead = (): Head =>
  new Head({
    module,
    hashKeys: new Uint8Array(16),
    walEnabled: true,
    retentionMs: 30 * 86_400_000,
    memtableBytesMax: MEMTABLE_BYTES,
    chunkFileBytesMax: 2 ** 20,
    limits: {
      bodyBytesMax: 2 ** 20,
      decodedBytesMax: 4 * 2 ** 20,
      seriesPerRequestMax: 1000,
      labelsPerSeriesMax: 40,
      labelNameBytesMax: 256,
      labelValueBytesMax: 4096,
    },
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
];

let head = newHead();

/** Stores a body, brings its record to an imaginary disk, and gives how many samples were stored and refused. */
function store(body: Uint8Array): number {
  try {
    const { result, sequence } = head.write({ format: "remote-write", body }, NOW_MS);
    while (head.take()) head.release();
    head.setSynced(sequence);
    return result.accepted + result.rejections.reduce((sum, { count }) => sum + count, 0);
  } catch (thrown) {
    // Nobody takes the full chunks away here: a head that holds too many begins anew.
    if (thrown instanceof TsdbError && thrown.code === "OVERLOADED") head = newHead();
    throw thrown;
  }
}

/** Known series may go on when the head is full, so it ends a little above. */
const held = { heldBytes: () => Number(head.memory.kernel.heapBytesUsed()), heldBytesMax: MEMTABLE_BYTES * 1.1 };

test("any compressed body is stored or refused", async () => {
  const runs = await fuzz({
    name: "test/fuzz/remote-write",
    corpus: [...messages.map(snappyCompress), snappyCompress(new Uint8Array(5000)), Buffer.from("00", "hex")],
    dictionary: ["f0", "f4", "fc", "01", "02", "03", "fe01", "ff0100", "80808010"].map((hex) =>
      Buffer.from(hex, "hex"),
    ),
    run: store,
    ...held,
  });
  expect(runs).toBeGreaterThan(0);
});

test("any message is stored or refused, and no sample of one that is stored goes uncounted", async () => {
  const runs = await fuzz({
    name: "test/fuzz/remote-write",
    corpus: messages,
    dictionary: tags.map((hex) => Buffer.from(hex, "hex")),
    run: (message) => {
      const counted = store(snappyCompress(message));
      expect(counted).toBeGreaterThanOrEqual(countSamples(message));
    },
    ...held,
  });
  expect(runs).toBeGreaterThan(0);
});
