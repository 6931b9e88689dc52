/**
 * The chunk files of a block, as Prometheus writes them (tsdb/docs/format/chunks.md): `chunks/000001` and so on.
 *
 *   file header, 8 B:  magic 0x85BD40DD u32 | version 1 u8 | 3 B of zeros
 *   chunk:             uvarint length of the data | encoding u8 | data | crc32c u32 of encoding and data
 *
 * Big-endian. A reference is the file's place, from 0, times 2^32 plus the chunk's offset in it. JavaScript's shifts have 32
 * bits: references are multiplied and divided.
 */
import { ByteReader } from "../../base/byte-reader.ts";

export const CHUNK_MAGIC = 0x85bd40dd;
export const CHUNK_FILE_VERSION = 1;
export const CHUNK_FILE_HEADER_BYTES = 8;
/** What Prometheus lets a file grow to. */
export const CHUNK_FILE_BYTES_MAX = 512 * 1024 * 1024;
/** The longest that a chunk's length, encoding and checksum can be. */
export const CHUNK_FRAME_BYTES_MAX = 5 + 1 + 4;
const LENGTH_BYTES_MAX = 5;

const PER_FILE = 2 ** 32;

export const chunkRef = (file: number, offset: number): number => file * PER_FILE + offset;
export const chunkFileOf = (ref: number): number => Math.floor(ref / PER_FILE);
export const chunkOffsetOf = (ref: number): number => ref % PER_FILE;

/** @param file its place, from 0 */
export const chunkFileName = (file: number): string => String(file + 1).padStart(6, "0");

export const isChunkFileName = (name: string): boolean => /^\d{6,}$/.test(name);

/** What is wrong with the header of a chunk file; undefined when nothing is. */
export function chunkFileHeaderFault(header: Uint8Array): string | undefined {
  if (header.byteLength < CHUNK_FILE_HEADER_BYTES) return "the file ends too soon";
  const from = new ByteReader(header);
  if (from.u32() !== CHUNK_MAGIC) return "it does not begin as a chunk file does";
  const version = from.u8();
  if (version !== CHUNK_FILE_VERSION) return `it has version ${version}; ${CHUNK_FILE_VERSION} can be read`;
  return undefined;
}

/** Where the parts of a chunk are, in the bytes it was looked for in. */
export interface ChunkFrame {
  readonly encodingAt: number;
  readonly dataAt: number;
  readonly dataBytes: number;
  /** Behind the checksum. */
  readonly end: number;
}

/** The chunk at `at`, of which not all may be there; undefined when its length is not a length. */
export function chunkFrameAt(bytes: Uint8Array, at: number): ChunkFrame | undefined {
  let dataBytes = 0;
  for (let i = 0, scale = 1; i < LENGTH_BYTES_MAX; i++, scale *= 128) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    dataBytes += (byte & 127) * scale;
    if (byte >= 128) continue;
    const encodingAt = at + i + 1;
    return { encodingAt, dataAt: encodingAt + 1, dataBytes, end: encodingAt + 1 + dataBytes + 4 };
  }
  return undefined;
}
