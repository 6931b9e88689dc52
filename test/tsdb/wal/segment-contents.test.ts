import { expect, test } from "vitest";
import { encodeRecord, RECORD_SAMPLES } from "../../../src/tsdb/wal/format.ts";
import { plainBuffer, type RecordBuffer, type WalRecord } from "../../../src/tsdb/wal/reader.ts";
import { SegmentContents } from "../../../src/tsdb/wal/segment-contents.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { type WalRow, WalSegmentReader, WalSegmentWriter } from "../../support/wal-record-twin.ts";

const labelsOf = (ref: number): [string, string][] => [
  ["__name__", `metric_${ref % 3}`],
  ["host", `h${ref}`],
];

/** A record as a reader hands it out. */
function given(data: Uint8Array): [WalRecord, RecordBuffer] {
  const buffer = plainBuffer(data.byteLength + 64);
  buffer.bytes.set(data, 7);
  const crc = encodeRecord(RECORD_SAMPLES, 1, 0, data)[0]!;
  return [
    {
      type: RECORD_SAMPLES,
      sequence: 1,
      syncedUpTo: 0,
      dataBytes: data.byteLength,
      crc,
      offsetBytes: 24,
      dataOffset: 7,
    },
    buffer,
  ];
}

function recordOf(random: Random, writer: WalSegmentWriter): { data: Uint8Array; rows: readonly WalRow[] } {
  const rows = Array.from({ length: 1 + random.below(30) }, () => ({
    ref: random.below(40),
    timestampMs: BigInt(random.between(-5_000, 1_700_000_000_000)),
    value: BigInt.asUintN(64, BigInt(Math.floor(random.next() * 2 ** 53)) << BigInt(random.below(12))),
    isLate: random.chance(0.1),
  }));
  return { data: writer.encode(rows), rows };
}

test("records are counted as the twin reads them", () => {
  const random = new Random(seedFromEnv());
  for (let segment = 0; segment < 20; segment++) {
    const writer = new WalSegmentWriter(labelsOf, random);
    const contents = new SegmentContents();
    const seen = new Set<number>();
    for (let record = 0; record < 20; record++) {
      const { data, rows } = recordOf(random, writer);
      const times = rows.map(({ timestampMs }) => Number(timestampMs));
      for (const { ref } of rows) seen.add(ref);
      expect(contents.read(...given(data))).toMatchObject({
        samples: rows.length,
        mint: Math.min(...times),
        maxt: Math.max(...times),
      });
      expect(contents.series.size).toBe(seen.size);
    }
  }
});

test("a record that was changed is senseless, or holds what the twin reads in it", () => {
  const random = new Random(seedFromEnv());
  let senseless = 0;
  for (let run = 0; run < 3_000; run++) {
    const { data } = recordOf(random, new WalSegmentWriter(labelsOf, random));
    const changed = data.slice(0, random.chance(0.2) ? random.below(data.length) : data.length);
    for (let i = random.between(1, 3); i > 0 && changed.length > 0; i--)
      changed[random.below(changed.length)]! ^= 1 << random.below(8);
    const found = new SegmentContents().read(...given(changed));
    if (found === undefined) senseless++;
    else expect(found.samples).toBe(new WalSegmentReader().decode(changed).rows.length);
  }
  expect(senseless).toBeGreaterThan(500);
});
