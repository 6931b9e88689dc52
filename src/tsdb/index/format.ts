/**
 * The index file of a block, as Prometheus writes it (tsdb/docs/format/index.md, tsdb/index/index.go), version 2:
 *
 *   magic u32 | version u8
 *   symbols:  length u32 | count u32 | (uvarint length, bytes)* | crc32c u32            sorted by bytes, each once
 *   series:   each at a multiple of 16: uvarint length | labels | chunks | crc32c u32    sorted by labels
 *               labels: uvarint count | (uvarint name, uvarint value)*, as numbers of symbols
 *               chunks: uvarint count | varint mint, uvarint maxt - mint, uvarint ref, and then for each further chunk
 *                       uvarint mint - maxt before, uvarint maxt - mint, varint ref - ref before
 *   postings: each at a multiple of 4: length u32 | count u32 | series id u32 * | crc32c u32
 *   postings offset table: length u32 | count u32 | (uvarint 2, name, value, uvarint offset)* | crc32c u32
 *   table of contents, the last 52 bytes: six offsets u64 | crc32c u32
 *
 * Big-endian. A checksum covers what stands between the length and itself. A series' id is its offset divided by 16.
 * Postings of the empty name and value list all series; they are the first entry of the table.
 */
import { ByteReader } from "../../base/byte-reader.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { crc32c } from "../../base/crc32c.ts";

export const INDEX_MAGIC = 0xbaaad700;
export const INDEX_VERSION = 2;
export const INDEX_HEADER_BYTES = 5;
export const TOC_BYTES = 52;
export const SERIES_ALIGN = 16;
export const POSTINGS_ALIGN = 4;
/** What a section's length and checksum take. */
export const SECTION_FRAME_BYTES = 8;

/** Where the sections begin; 0: there is none. Two of label indices are no longer written, and never read. */
export interface IndexToc {
  readonly symbols: number;
  readonly series: number;
  readonly labelIndices: number;
  readonly labelIndicesTable: number;
  readonly postings: number;
  readonly postingsTable: number;
}

export function encodeToc(toc: IndexToc): Uint8Array {
  const out = new ByteWriter(TOC_BYTES);
  for (const offset of [toc.symbols, toc.series, toc.labelIndices, toc.labelIndicesTable, toc.postings])
    out.u64(offset);
  out.u64(toc.postingsTable);
  out.u32(crc32c(out.written()));
  return out.written();
}

/** @returns undefined when the checksum does not match */
export function decodeToc(bytes: Uint8Array): IndexToc | undefined {
  const from = new ByteReader(bytes);
  const toc = {
    symbols: from.u64(),
    series: from.u64(),
    labelIndices: from.u64(),
    labelIndicesTable: from.u64(),
    postings: from.u64(),
    postingsTable: from.u64(),
  };
  return from.u32() === crc32c(bytes.subarray(0, TOC_BYTES - 4)) ? toc : undefined;
}

/** Orders byte strings as Go orders its strings. */
export function compareByteStrings(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.byteLength, b.byteLength);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.byteLength - b.byteLength;
}
