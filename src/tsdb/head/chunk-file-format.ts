/**
 * Head chunk files: full chunks, one behind the other, in the order they became full (docs/format/head-chunks.md).
 *
 *   file header, 32 B:  magic "TSDBHCK\0" | version u32 | crc32c u32 of all other header bytes | file index u64 |
 *                       kind u64: 0 chunks follow; 1 retention has dropped this file's chunks, and all files before it
 *   entry:  crc32c u32 of the rest | dataBytes << 8 | encoding u32 | ref u32 | mint i64 | maxt - mint u32 | data
 *
 * Little-endian. Entries are made in the kernel (kernel/assembly/chunk.ts).
 */
import { crc32c } from "../../base/crc32c.ts";

export const CHUNK_FILE_HEADER_BYTES = 32;
export const CHUNK_ENTRY_HEADER_BYTES = 24;
export const CHUNK_FILE_VERSION = 1;

const MAGIC = Uint8Array.from(Buffer.from("TSDBHCK\0", "latin1"));

export const chunkFileName = (index: number): string => String(index).padStart(8, "0");

/** The index that a file name stands for; undefined for any other file. */
export function chunkFileIndexOf(name: string): number | undefined {
  return /^\d{8}$/.test(name) ? Number(name) : undefined;
}

export type ChunkFileKind = "chunks" | "dropped";

export function encodeChunkFileHeader(index: number, kind: ChunkFileKind): Uint8Array {
  const header = new Uint8Array(CHUNK_FILE_HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC);
  view.setUint32(8, CHUNK_FILE_VERSION, true);
  view.setBigUint64(16, BigInt(index), true);
  view.setBigUint64(24, kind === "dropped" ? 1n : 0n, true);
  view.setUint32(12, headerCrc(header), true);
  return header;
}

const headerCrc = (header: Uint8Array): number =>
  crc32c(header.subarray(16, CHUNK_FILE_HEADER_BYTES), crc32c(header.subarray(0, 12)));

export type ChunkFileHeader =
  | { readonly kind: ChunkFileKind; readonly index: number }
  | { readonly kind: "too-new"; readonly version: number }
  | { readonly kind: "damaged" };

export function decodeChunkFileHeader(bytes: Uint8Array): ChunkFileHeader {
  if (bytes.byteLength < CHUNK_FILE_HEADER_BYTES) return { kind: "damaged" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, CHUNK_FILE_HEADER_BYTES);
  const isOurs = MAGIC.every((byte, i) => bytes[i] === byte) && view.getUint32(12, true) === headerCrc(bytes);
  if (!isOurs) return { kind: "damaged" };
  const version = view.getUint32(8, true);
  if (version > CHUNK_FILE_VERSION) return { kind: "too-new", version };
  const kind = view.getBigUint64(24, true) === 1n ? "dropped" : "chunks";
  return { kind, index: Number(view.getBigUint64(16, true)) };
}

export interface ChunkEntry {
  readonly crc: number;
  readonly dataBytes: number;
  readonly encoding: number;
  readonly ref: number;
  readonly mint: number;
  /** maxt - mint, in ms. */
  readonly span: number;
}

/** The entry header at an offset; its fields mean something only once the checksum was verified. */
export function decodeChunkEntry(bytes: Uint8Array, offset: number): ChunkEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, CHUNK_ENTRY_HEADER_BYTES);
  const word = view.getUint32(4, true);
  return {
    crc: view.getUint32(0, true),
    dataBytes: word >>> 8,
    encoding: word & 0xff,
    ref: view.getUint32(8, true),
    mint: Number(view.getBigInt64(12, true)),
    span: view.getUint32(20, true),
  };
}
