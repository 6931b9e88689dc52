/** A new file that is written from its beginning to its end through a buffer, and hashed on the way. */
import { createHash } from "node:crypto";
import { ByteWriter } from "./byte-writer.ts";
import type { Vfs, VfsFile } from "./vfs.ts";

const BUFFER_BYTES = 1024 * 1024;

export interface AppendedFile {
  readonly sizeBytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

export class AppendFile {
  readonly #file: VfsFile;
  readonly #hash = createHash("sha256");
  #buffer = new ByteWriter(BUFFER_BYTES);
  #written = 0;
  #isOpen = true;

  private constructor(file: VfsFile) {
    this.#file = file;
  }

  static async create(vfs: Vfs, path: string): Promise<AppendFile> {
    return new AppendFile(await vfs.open(path, "create"));
  }

  get path(): string {
    return this.#file.path;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#written + this.#buffer.length;
  }

  /** Copies bytes to the buffer, which grows with them until `drain`. */
  append(bytes: Uint8Array): void {
    this.#buffer.bytes(bytes);
  }

  /** Whether there is enough in the buffer for a write. */
  get isFull(): boolean {
    return this.#buffer.length >= BUFFER_BYTES / 2;
  }

  /** Writes what is in the buffer. Nothing may be appended meanwhile. */
  async drain(): Promise<void> {
    const bytes = this.#buffer.written();
    this.#hash.update(bytes);
    await this.#file.write(bytes, this.#written);
    this.#written += bytes.byteLength;
    // Growing doubles at most: what is kept has no more than four times the usual.
    if (bytes.byteLength > 2 * BUFFER_BYTES) this.#buffer = new ByteWriter(BUFFER_BYTES);
    else this.#buffer.clear();
  }

  /** Writes and syncs all, and closes. */
  async finish(): Promise<AppendedFile> {
    await this.drain();
    await this.#file.sync();
    await this.abandon();
    return { sizeBytes: this.#written, sha256: this.#hash.digest("hex") };
  }

  /** Closes as it is; a second time it does nothing. */
  async abandon(): Promise<void> {
    if (!this.#isOpen) return;
    // However closing ends, the file is closed.
    this.#isOpen = false;
    await this.#file.close();
  }
}
