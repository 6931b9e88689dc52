import { expect, test } from "vitest";
import {
  decodeRecordHeader,
  decodeSegmentHeader,
  encodeMark,
  encodeRecord,
  encodeSegmentHeader,
  RECORD_HEADER_BYTES,
  recordCrc,
  RECORD_MARK,
  SEGMENT_HEADER_BYTES,
  segmentIndexOf,
  segmentName,
} from "../../../src/tsdb/wal/format.ts";

test("a segment's name is its number with eight digits, and nothing else is a segment", () => {
  expect(segmentName(7)).toBe("00000007");
  expect(segmentIndexOf("00000007")).toBe(7);
  for (const name of ["7", "0000007", "00000007.tmp", "quarantine", "a0000007", ""]) {
    expect(segmentIndexOf(name), name).toBeUndefined();
  }
});

test("a segment header says its index; any flipped bit in it is noticed", () => {
  const header = encodeSegmentHeader(4711);
  expect(header.byteLength).toBe(SEGMENT_HEADER_BYTES);
  expect(decodeSegmentHeader(header)).toEqual({ kind: "valid", index: 4711 });
  for (let bit = 0; bit < header.byteLength * 8; bit++) {
    const harmed = Uint8Array.from(header);
    harmed[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodeSegmentHeader(harmed).kind, `bit ${bit}`).toBe("damaged");
  }
  expect(decodeSegmentHeader(header.subarray(0, SEGMENT_HEADER_BYTES - 1)).kind).toBe("damaged");
});

test("a record header gives back what was encoded, and its checksum covers header and data", () => {
  const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
  const record = encodeRecord(1, 2 ** 40, 2 ** 39, data);
  const header = decodeRecordHeader(record, 0);
  expect(header).toMatchObject({ dataBytes: 9, type: 1, sequence: 2 ** 40, syncedUpTo: 2 ** 39 });
  for (let at = 0; at < record.byteLength; at++) {
    if (at >= 21 && at < RECORD_HEADER_BYTES) continue;
    const harmed = Uint8Array.from(record);
    harmed[at]! ^= 0x10;
    expect(recordCrc(harmed, 0, data.byteLength), `byte ${at}`).not.toBe(header.crc);
  }
});

test("a mark says up to which sequence all is accounted for, and from which it is lost", () => {
  expect(decodeRecordHeader(encodeMark(9, undefined), 0)).toMatchObject({
    type: RECORD_MARK,
    dataBytes: 0,
    sequence: 9,
    syncedUpTo: 9,
  });
  const mark = encodeMark(9, 4);
  expect(decodeRecordHeader(mark, 0).dataBytes).toBe(8);
  expect(new DataView(mark.buffer).getBigUint64(RECORD_HEADER_BYTES, true)).toBe(4n);
});
