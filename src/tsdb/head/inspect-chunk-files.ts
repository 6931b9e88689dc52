/**
 * Reads the head chunk files as the next start will, and tells what it will not use. Nothing is lost with what it tells: the
 * log has every sample of theirs (chunk-file-loader.ts). Nothing is changed.
 */
import { join } from "node:path/posix";
import { crc32c } from "../../base/crc32c.ts";
import { errnoOf } from "../../base/errors.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import {
  CHUNK_ENTRY_HEADER_BYTES,
  CHUNK_FILE_HEADER_BYTES,
  chunkFileIndexOf,
  chunkFileName,
  decodeChunkEntry,
  decodeChunkFileHeader,
} from "./chunk-file-format.ts";

export interface ChunkFileFinding {
  readonly file: string;
  readonly offsetBytes: number;
  readonly message: string;
  /** At the end of the last file: what a power cut, or a server that is writing, leaves. */
  readonly isTail: boolean;
}

export interface ChunkFilesReport {
  readonly files: number;
  readonly chunks: number;
  readonly sizeBytes: number;
  readonly findings: readonly ChunkFileFinding[];
}

const PIECE_BYTES = 512 * 1024;

export async function inspectChunkFiles(
  vfs: Vfs,
  dir: string,
  onRead: (bytes: number) => void,
): Promise<ChunkFilesReport> {
  const indexes = (await listIfThere(vfs, dir)).map(chunkFileIndexOf).filter((index) => index !== undefined);
  const findings: ChunkFileFinding[] = [];
  /** Of each series the time of its newest chunk so far. */
  const newest = new Map<number, number>();
  let chunks = 0;
  let sizeBytes = 0;
  let next = 1;
  for (const [i, index] of indexes.entries()) {
    const path = join(dir, chunkFileName(index));
    const file = await vfs.open(path, "read");
    try {
      const size = await file.sizeBytes();
      sizeBytes += size;
      const finding = (offsetBytes: number, message: string, isAtEnd: boolean): void =>
        void findings.push({ file: path, offsetBytes, message, isTail: isAtEnd && i === indexes.length - 1 });
      const header = new Uint8Array(CHUNK_FILE_HEADER_BYTES);
      const decoded = decodeChunkFileHeader(header.subarray(0, await file.read(header, 0)));
      if (decoded.kind === "too-new")
        finding(8, `it has version ${decoded.version}, which this version cannot read`, false);
      else if (decoded.kind === "damaged") finding(0, "its header is damaged", size < CHUNK_FILE_HEADER_BYTES);
      else if (decoded.index !== index)
        finding(16, `its header says that it is ${chunkFileName(decoded.index)}`, false);
      else if (decoded.kind === "chunks") {
        if (index !== next) finding(0, `file ${chunkFileName(next)} before it is missing`, false);
        chunks += await readEntries(file, size, newest, onRead, finding);
      }
      next = index + 1;
    } finally {
      await file.close();
    }
  }
  return { files: indexes.length, chunks, sizeBytes, findings };
}

/** @returns how many chunks are good, up to the first that is not */
async function readEntries(
  file: VfsFile,
  fileBytes: number,
  newest: Map<number, number>,
  onRead: (bytes: number) => void,
  finding: (offsetBytes: number, message: string, isAtEnd: boolean) => void,
): Promise<number> {
  const piece = new Uint8Array(PIECE_BYTES);
  let chunks = 0;
  for (let offset = CHUNK_FILE_HEADER_BYTES; offset < fileBytes;) {
    const filled = await file.read(piece, offset);
    let at = 0;
    while (filled - at >= CHUNK_ENTRY_HEADER_BYTES) {
      const { crc, dataBytes, ref, mint, span } = decodeChunkEntry(piece, at);
      const entryBytes = CHUNK_ENTRY_HEADER_BYTES + dataBytes;
      if (entryBytes > filled - at) break;
      if (crc32c(piece.subarray(at + 4, at + entryBytes)) !== crc) {
        finding(offset + at, "checksum mismatch of a chunk", offset + at + entryBytes >= fileBytes);
        return chunks;
      }
      if (mint <= (newest.get(ref) ?? Number.NEGATIVE_INFINITY)) {
        finding(offset + at, "a chunk does not follow the one before it", false);
        return chunks;
      }
      newest.set(ref, mint + span);
      chunks++;
      at += entryBytes;
    }
    // A chunk is much smaller than a piece: one that does not fit is none.
    if (at === 0) {
      finding(offset, "the file ends inside a chunk", true);
      return chunks;
    }
    onRead(at);
    offset += at;
  }
  return chunks;
}

async function listIfThere(vfs: Vfs, dir: string): Promise<string[]> {
  try {
    return await vfs.list(dir);
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOENT") return [];
    throw thrown;
  }
}
