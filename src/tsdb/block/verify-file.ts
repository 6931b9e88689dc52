/** A file of a block, read from its beginning to its end: its hash, and the checksum of each chunk. */
import { createHash } from "node:crypto";
import { loadU32 } from "../../base/byte-reader.ts";
import { crc32c } from "../../base/crc32c.ts";
import type { Vfs } from "../../base/vfs.ts";
import { openBlockFile, readBlockFile } from "../index/block-file.ts";
import { CorruptBlockError, damageOf } from "../index/corrupt.ts";
import { CHUNK_FILE_HEADER_BYTES, chunkFileHeaderFault, chunkFrameAt } from "./chunk-file-format.ts";
import type { ManifestFile } from "./manifest.ts";

const PIECE_BYTES = 1024 * 1024;

export interface FileWalk {
  readonly path: string;
  /** What the manifest says of it, where there is one. */
  readonly expected: Pick<ManifestFile, "sizeBytes" | "sha256"> | undefined;
  readonly isChunkFile: boolean;
  /** Called for each piece that was read. */
  readonly onRead: (bytes: number) => void;
}

/** @throws CorruptBlockError at the first place that is not as it should be */
export function verifyFile(vfs: Vfs, { path, expected, isChunkFile, onRead }: FileWalk): void {
  const file = openBlockFile(vfs, path);
  try {
    const sizeBytes = file.sizeBytesSync();
    const hash = createHash("sha256");
    let piece: Uint8Array = new Uint8Array(0);
    let offset = 0;
    let fault: CorruptBlockError | undefined;
    for (let readBytes = 0; readBytes < sizeBytes;) {
      const more = new Uint8Array(Math.min(PIECE_BYTES, sizeBytes - readBytes));
      if (readBlockFile(file, more, readBytes) < more.byteLength)
        throw new CorruptBlockError(path, readBytes, "the file has become shorter");
      readBytes += more.byteLength;
      hash.update(more);
      onRead(more.byteLength);
      if (!isChunkFile || fault !== undefined) continue;
      piece = piece.byteLength === 0 ? more : Buffer.concat([piece, more]);
      try {
        const used = verifyChunks(path, piece, offset, readBytes === sizeBytes);
        piece = piece.subarray(used);
        offset += used;
      } catch (error) {
        // The rest is read for the hash: it may tell that the file as a whole is another.
        fault = damageOf(error);
      }
    }
    if (expected !== undefined && sizeBytes !== expected.sizeBytes)
      fault ??= new CorruptBlockError(path, sizeBytes, `it has ${sizeBytes} bytes instead of ${expected.sizeBytes}`);
    if (expected !== undefined && hash.digest("hex") !== expected.sha256)
      fault ??= new CorruptBlockError(path, 0, "it is not what the manifest says");
    if (isChunkFile && sizeBytes < CHUNK_FILE_HEADER_BYTES)
      fault ??= new CorruptBlockError(path, sizeBytes, "the file ends too soon");
    if (fault !== undefined) throw fault;
  } finally {
    file.closeSync();
  }
}

/**
 * Verifies the chunks that are whole in a piece of a file.
 * @param offset of the piece in the file
 * @returns where the first chunk begins that is not whole
 */
function verifyChunks(path: string, piece: Uint8Array, offset: number, isLast: boolean): number {
  let at = 0;
  if (offset === 0) {
    const fault = chunkFileHeaderFault(piece);
    if (fault !== undefined) throw new CorruptBlockError(path, 0, fault);
    at = CHUNK_FILE_HEADER_BYTES;
  }
  while (at < piece.byteLength) {
    const frame = chunkFrameAt(piece, at);
    const isWhole = frame !== undefined && frame.end <= piece.byteLength;
    if (!isWhole && isLast) throw new CorruptBlockError(path, offset + at, "the file ends within a chunk");
    if (!isWhole) break;
    const { encodingAt, end } = frame;
    if (crc32c(piece.subarray(encodingAt, end - 4)) !== loadU32(piece, end - 4))
      throw new CorruptBlockError(path, offset + at, "checksum mismatch of a chunk");
    at = end;
  }
  return at;
}
