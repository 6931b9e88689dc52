/**
 * The write-ahead log on disk: segments of records, each segment readable without any other (docs/format/wal.md).
 *
 *   segment header, 24 B:  magic "TSDBWAL\0" | version u32 | crc32c u32 of the rest | segment index u64
 *   record:  dataBytes u32 | type u8 | sequence u64 | synced up to u64 | crc32c u32 of the 21 bytes before it and data | data
 *
 * Little-endian. Sequences go up by one from record to record; marks have none of their own. What stands in the data of a
 * samples record is the kernel's business (kernel/assembly/wal.ts).
 */
import { crc32c } from "../../base/crc32c.ts";

export const SEGMENT_HEADER_BYTES = 24;
export const RECORD_HEADER_BYTES = 25;
/** 2: late samples, deletes. Segments of version 1 are read as they are. */
export const WAL_VERSION = 2;

/** Samples of one write request, with the symbols and series it declares. */
export const RECORD_SAMPLES = 1;
/** What was deleted of series, by their refs. */
export const RECORD_DELETES = 2;
/** A type with this bit may be skipped by a reader that does not know it. */
export const SKIPPABLE_TYPE_BIT = 0x80;
/**
 * The last record of a segment that was closed or repaired: all up to its `sequence` is durable, or known to be lost. Data:
 * nothing, or the first lost sequence as u64: then from there to `sequence` nothing is left, and that was reported.
 */
export const RECORD_MARK = 0x82;

/** No record is longer: what a request of the largest size can come to, with room to spare. */
export const RECORD_DATA_BYTES_MAX = 512 * 1024 * 1024;

const MAGIC = Uint8Array.from(Buffer.from("TSDBWAL\0", "latin1"));

export function segmentName(index: number): string {
  return String(index).padStart(8, "0");
}

/** The index that a file name stands for; undefined for any other file. */
export function segmentIndexOf(name: string): number | undefined {
  return /^\d{8}$/.test(name) ? Number(name) : undefined;
}

export function encodeSegmentHeader(index: number): Uint8Array {
  const header = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC);
  view.setUint32(8, WAL_VERSION, true);
  view.setBigUint64(16, BigInt(index), true);
  view.setUint32(12, segmentHeaderCrc(header), true);
  return header;
}

const segmentHeaderCrc = (header: Uint8Array): number =>
  crc32c(header.subarray(16, 24), crc32c(header.subarray(0, 12)));

export type SegmentHeader =
  | { readonly kind: "valid"; readonly index: number }
  | { readonly kind: "too-new"; readonly version: number }
  | { readonly kind: "damaged" };

export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader {
  if (bytes.byteLength < SEGMENT_HEADER_BYTES) return { kind: "damaged" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  const isOurs = MAGIC.every((byte, i) => bytes[i] === byte) && view.getUint32(12, true) === segmentHeaderCrc(bytes);
  if (!isOurs) return { kind: "damaged" };
  const version = view.getUint32(8, true);
  if (version > WAL_VERSION) return { kind: "too-new", version };
  return { kind: "valid", index: Number(view.getBigUint64(16, true)) };
}

export interface RecordHeader {
  readonly dataBytes: number;
  readonly type: number;
  readonly sequence: number;
  readonly syncedUpTo: number;
  readonly crc: number;
}

/** The header at an offset; its fields mean something only once the checksum was verified. */
export function decodeRecordHeader(bytes: Uint8Array, offset: number): RecordHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, RECORD_HEADER_BYTES);
  return {
    dataBytes: view.getUint32(0, true),
    type: view.getUint8(4),
    sequence: Number(view.getBigUint64(5, true)),
    syncedUpTo: Number(view.getBigUint64(13, true)),
    crc: view.getUint32(21, true),
  };
}

/** The checksum of a record whose first byte is bytes[offset]. */
export const recordCrc = (bytes: Uint8Array, offset: number, dataBytes: number): number =>
  crc32c(
    bytes.subarray(offset + RECORD_HEADER_BYTES, offset + RECORD_HEADER_BYTES + dataBytes),
    crc32c(bytes.subarray(offset, offset + 21)),
  );

/** A whole record, header and checksum included. Those of samples are made in the kernel; this one is for all others. */
export function encodeRecord(type: number, sequence: number, syncedUpTo: number, data: Uint8Array): Uint8Array {
  const record = new Uint8Array(RECORD_HEADER_BYTES + data.byteLength);
  const view = new DataView(record.buffer);
  view.setUint32(0, data.byteLength, true);
  view.setUint8(4, type);
  view.setBigUint64(5, BigInt(sequence), true);
  view.setBigUint64(13, BigInt(syncedUpTo), true);
  record.set(data, RECORD_HEADER_BYTES);
  view.setUint32(21, recordCrc(record, 0, data.byteLength), true);
  return record;
}

/** @param firstLost the first of the sequences up to `sequence` that are lost; undefined when none is */
export function encodeMark(sequence: number, firstLost: number | undefined): Uint8Array {
  const data = new Uint8Array(firstLost === undefined ? 0 : 8);
  if (firstLost !== undefined) new DataView(data.buffer).setBigUint64(0, BigInt(firstLost), true);
  return encodeRecord(RECORD_MARK, sequence, sequence, data);
}

/** What a mark says; its data lie at bytes[dataOffset]. */
export function decodeMark(
  { sequence, dataBytes, dataOffset }: RecordHeader & { readonly dataOffset: number },
  bytes: Uint8Array,
): { readonly sequence: number; readonly firstLost: number | undefined } {
  if (dataBytes < 8) return { sequence, firstLost: undefined };
  const view = new DataView(bytes.buffer, bytes.byteOffset + dataOffset, 8);
  return { sequence, firstLost: Number(view.getBigUint64(0, true)) };
}
