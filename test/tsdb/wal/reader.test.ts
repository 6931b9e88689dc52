import { expect, test } from "vitest";
import { encodeRecord, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from "../../../src/tsdb/wal/format.ts";
import { plainBuffer, SegmentReader, WINDOW_BYTES, type WalRecord } from "../../../src/tsdb/wal/reader.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import { LOG_DIR, putSegment, recordBytes, segmentBytes } from "../../support/wal-files.ts";

const PATH = `${LOG_DIR}/00000001`;

async function open(bytes: Uint8Array, bufferBytes?: number): Promise<SegmentReader> {
  const disk = new MemoryVfs();
  await disk.mkdir(LOG_DIR);
  await putSegment(disk, 1, bytes);
  return SegmentReader.open(disk, PATH, plainBuffer(bufferBytes));
}

/** All records that count, with copies of their data. */
async function readAll(reader: SegmentReader): Promise<{ record: WalRecord; data: Uint8Array }[]> {
  const found: { record: WalRecord; data: Uint8Array }[] = [];
  while (await reader.fill()) {
    for (let record = reader.next(); record; record = reader.next()) {
      const { dataOffset, dataBytes } = record;
      found.push({ record, data: reader.buffer.bytes.slice(dataOffset, dataOffset + dataBytes) });
    }
  }
  return found;
}

const sequencesIn = async (reader: SegmentReader): Promise<number[]> =>
  (await readAll(reader)).map(({ record }) => record.sequence);

test("records of all sizes come back whole and in order, across the pieces that are read at once", async () => {
  const sizes = [0, 1, 40, WINDOW_BYTES - 30, 7, WINDOW_BYTES * 3, 12, WINDOW_BYTES - RECORD_HEADER_BYTES, 3];
  const records = sizes.map((dataBytes, i) => ({ sequence: i + 5, dataBytes }));
  const reader = await open(segmentBytes(1, records), WINDOW_BYTES);
  const found = await readAll(reader);
  expect(found.map(({ record }) => record.dataBytes)).toEqual(sizes);
  for (const { record, data } of found) {
    const whole = recordBytes({ sequence: record.sequence, dataBytes: record.dataBytes });
    expect(Buffer.compare(data, whole.subarray(RECORD_HEADER_BYTES)), `record ${record.sequence}`).toBe(0);
  }
  expect(reader.damage).toBeUndefined();
  expect(reader.offsetBytes).toBe(reader.sizeBytes);
});

test("a length that reaches behind the file, or a large one without its record, takes no memory", async () => {
  const sound = segmentBytes(1, [{ sequence: 1 }, { sequence: 2 }]);
  const second = SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES + 40;
  for (const length of [41, 1e6, 0xffff_ffff]) {
    const bytes = Uint8Array.from([...sound, ...new Uint8Array(2 * WINDOW_BYTES)]);
    new DataView(bytes.buffer).setUint32(second, length, true);
    const reader = await open(bytes, WINDOW_BYTES);
    const { buffer } = reader;
    expect(await sequencesIn(reader)).toEqual([1]);
    expect(reader.damage).toMatchObject({ offsetBytes: second });
    expect(reader.buffer, "no larger buffer was asked for").toBe(buffer);
  }
});

test("a segment ends in front of a record that does not follow the one before it", async () => {
  for (const sequence of [1, 2, 4, 9]) {
    const reader = await open(segmentBytes(1, [{ sequence: 1 }, { sequence: 2 }, { sequence }, { sequence: 3 }]));
    expect(await sequencesIn(reader)).toEqual([1, 2]);
    expect(reader.damage?.reason).toBe(`sequence ${sequence} follows 2`);
  }
});

test("what is cut off inside a record ends in front of it; cut between two, it is not damaged", async () => {
  const sound = segmentBytes(1, [{ sequence: 1 }, { sequence: 2 }]);
  const second = SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES + 40;
  for (let cut = second; cut < sound.length; cut++) {
    const reader = await open(sound.subarray(0, cut));
    expect(await sequencesIn(reader)).toEqual([1]);
    expect(reader.damage?.offsetBytes, `cut at ${cut}`).toBe(cut === second ? undefined : second);
  }
});

test("whole records behind a damage are found at any offset, and what only looks like one is not", async () => {
  const rubbish = Uint8Array.from({ length: WINDOW_BYTES + 17 }, (_, i) => (i % 5 === 0 ? 1 : 0));
  const hidden = recordBytes({ sequence: 12, syncedUpTo: 11, dataBytes: 300 });
  const bytes = Uint8Array.from([
    ...segmentBytes(1, [{ sequence: 9 }]),
    ...rubbish,
    ...recordBytes({ sequence: 10, syncedUpTo: 7 }),
    ...rubbish.subarray(0, 3),
    ...hidden,
    // A damaged one, and one from long ago.
    ...recordBytes({ sequence: 13, syncedUpTo: 12 }).with(30, 7),
    ...encodeRecord(1, 3, 2, Uint8Array.of(1)),
  ]);
  const reader = await open(bytes);
  expect(await sequencesIn(reader)).toEqual([9]);
  expect(await reader.findBeyond(reader.offsetBytes, 9)).toEqual({
    firstSequence: 10,
    lastSequence: 12,
    syncedUpTo: 11,
  });
  expect(await reader.findBeyond(reader.offsetBytes, 12)).toMatchObject({ lastSequence: 0, syncedUpTo: 0 });
});
