/**
 * The head chunk files as query workers read them, blocking. A chunk is verified before it is given out: what does not
 * verify is never served. Runs of chunks are verified by who asks for them (chunk-runs.ts).
 */
import { join } from "node:path/posix";
import { crc32c } from "../../base/crc32c.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import { CHUNK_ENTRY_HEADER_BYTES, chunkFileName, decodeChunkEntry } from "./chunk-file-format.ts";

/** Files kept open; the one used longest ago is closed for another. */
const OPEN_FILES_MAX = 32;

export class ChunkFileReader {
  readonly #vfs: Vfs;
  readonly #dir: string;
  readonly #files = new Map<number, VfsFile>();
  #buffer = new Uint8Array(4096);

  constructor(options: { readonly vfs: Vfs; readonly dir: string }) {
    this.#vfs = options.vfs;
    this.#dir = options.dir;
  }

  /**
   * @param offset of the entry's header in its file
   * @returns the chunk's bytes, valid until the next call
   * @throws TsdbError CHUNK_CORRUPT
   */
  read(fileIndex: number, offset: number, dataBytes: number, ref: number): Uint8Array {
    try {
      return this.#readEntry(this.#open(fileIndex), offset, dataBytes, ref);
    } catch {
      // The file may have been replaced by a copy since it was opened (chunk-files.ts): look again, once.
      this.#close(fileIndex);
    }
    try {
      return this.#readEntry(this.#open(fileIndex), offset, dataBytes, ref);
    } catch (cause) {
      const file = join(this.#dir, chunkFileName(fileIndex));
      throw new TsdbError("CHUNK_CORRUPT", `Cannot read a chunk at byte ${offset} of ${file}: ${messageOf(cause)}`, {
        remedy: "Restart the server: chunks that cannot be read are rebuilt from the write-ahead log",
        cause,
      });
    }
  }

  /** Fills `into` from a file, unverified. @returns the bytes that were there; 0 when the file cannot be read */
  readRaw(fileIndex: number, offset: number, into: Uint8Array): number {
    try {
      return this.#open(fileIndex).readSync(into, offset);
    } catch {
      // Whoever needs one of these chunks reads it by itself, and learns why.
      return 0;
    }
  }

  close(): void {
    for (const file of this.#files.values()) file.closeSync();
    this.#files.clear();
  }

  #readEntry(file: VfsFile, offset: number, dataBytes: number, ref: number): Uint8Array {
    const entryBytes = CHUNK_ENTRY_HEADER_BYTES + dataBytes;
    if (entryBytes > this.#buffer.byteLength) this.#buffer = new Uint8Array(entryBytes * 2);
    const bytes = this.#buffer.subarray(0, entryBytes);
    if (file.readSync(bytes, offset) < entryBytes) throw new Error("the file ends before it");
    const entry = decodeChunkEntry(bytes, 0);
    if (entry.dataBytes !== dataBytes || crc32c(bytes.subarray(4)) !== entry.crc) throw new Error("checksum mismatch");
    if (entry.ref !== ref) throw new Error(`it belongs to another series (${entry.ref} instead of ${ref})`);
    return bytes.subarray(CHUNK_ENTRY_HEADER_BYTES);
  }

  #open(fileIndex: number): VfsFile {
    const known = this.#files.get(fileIndex);
    if (known !== undefined) {
      // Back to the end of the order in which files are let go.
      this.#files.delete(fileIndex);
      this.#files.set(fileIndex, known);
      return known;
    }
    if (this.#files.size >= OPEN_FILES_MAX) this.#close(this.#files.keys().next().value!);
    const file = this.#vfs.openSync(join(this.#dir, chunkFileName(fileIndex)));
    this.#files.set(fileIndex, file);
    return file;
  }

  #close(fileIndex: number): void {
    this.#files.get(fileIndex)?.closeSync();
    this.#files.delete(fileIndex);
  }
}
