/** Writes the chunk files of a block (chunk-file-format.ts), one after the other. */
import { join } from "node:path/posix";
import { AppendFile, type AppendedFile } from "../../base/append-file.ts";
import { assert } from "../../base/assert.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { crc32c } from "../../base/crc32c.ts";
import type { Vfs } from "../../base/vfs.ts";
import {
  CHUNK_FILE_BYTES_MAX,
  CHUNK_FILE_HEADER_BYTES,
  CHUNK_FILE_VERSION,
  CHUNK_FRAME_BYTES_MAX,
  CHUNK_MAGIC,
  chunkFileName,
  chunkRef,
} from "./chunk-file-format.ts";

export class ChunkFilesWriter {
  readonly #vfs: Vfs;
  readonly #dir: string;
  readonly #fileBytesMax: number;
  readonly #finished: { readonly name: string; readonly file: AppendedFile }[] = [];
  readonly #frame = new ByteWriter(16);
  readonly #encoding = new Uint8Array(1);
  #file: AppendFile | undefined;
  #count = 0;

  constructor(vfs: Vfs, dir: string, fileBytesMax = CHUNK_FILE_BYTES_MAX) {
    assert(fileBytesMax <= CHUNK_FILE_BYTES_MAX, "a chunk file larger than Prometheus writes");
    this.#vfs = vfs;
    this.#dir = dir;
    this.#fileBytesMax = fileBytesMax;
  }

  get chunkCount(): number {
    return this.#count;
  }

  /** @returns the reference of the chunk, above that of all before it */
  async add(encoding: number, data: Uint8Array): Promise<number> {
    const bytes = data.byteLength + CHUNK_FRAME_BYTES_MAX;
    if (this.#file !== undefined) {
      const isFull = this.#file.position + bytes > this.#fileBytesMax;
      if (isFull && this.#file.position > CHUNK_FILE_HEADER_BYTES) await this.#finishFile();
      else if (this.#file.isFull) await this.#file.drain();
    }
    const file = (this.#file ??= await this.#nextFile());
    const ref = chunkRef(this.#finished.length, file.position);
    this.#encoding[0] = encoding;
    this.#frame.clear();
    this.#frame.uvarint(data.byteLength);
    this.#frame.u8(encoding);
    file.append(this.#frame.written());
    file.append(data);
    this.#frame.clear();
    this.#frame.u32(crc32c(data, crc32c(this.#encoding)));
    file.append(this.#frame.written());
    this.#count++;
    return ref;
  }

  /** Syncs and closes what is open. @returns the files by name, at least one */
  async finish(): Promise<readonly { readonly name: string; readonly file: AppendedFile }[]> {
    // Prometheus opens a block without any chunk file, but a directory without files is easily lost in a copy.
    this.#file ??= this.#finished.length === 0 ? await this.#nextFile() : undefined;
    await this.#finishFile();
    return this.#finished;
  }

  async abandon(): Promise<void> {
    await this.#file?.abandon();
  }

  async #nextFile(): Promise<AppendFile> {
    const file = await AppendFile.create(this.#vfs, join(this.#dir, chunkFileName(this.#finished.length)));
    this.#frame.clear();
    this.#frame.u32(CHUNK_MAGIC);
    this.#frame.u8(CHUNK_FILE_VERSION);
    this.#frame.zeros(3);
    file.append(this.#frame.written());
    return file;
  }

  async #finishFile(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const name = chunkFileName(this.#finished.length);
    const finished = await file.finish();
    this.#file = undefined;
    this.#finished.push({ name, file: finished });
  }
}
