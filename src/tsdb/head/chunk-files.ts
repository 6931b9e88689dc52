/**
 * Brings full chunks to the head chunk files. They wait in blocks in kernel memory, each with its place in a file, until
 * the log is durable up to their newest sample (docs/decisions/0004); then the block is written and given back, and from
 * then on queries read the file. Syncs come in between, for a power cut costs no sample (the log has them all), only the
 * time to rebuild what is not there.
 *
 * A file that failed is not trusted any more: what it should hold is copied to a fresh one that takes its name, so offsets
 * stay right, and the failed block follows there.
 */
import { join } from "node:path/posix";
import type { Clock, Timer } from "../../base/clock.ts";
import { copyFile } from "../../base/copy-file.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import { CHUNK_FILE_HEADER_BYTES, chunkFileName, encodeChunkFileHeader } from "./chunk-file-format.ts";

/** Full chunks, entry by entry, and where they belong. */
export interface ChunkBlock {
  /** Valid until the block is released. */
  readonly bytes: Uint8Array;
  readonly fileIndex: number;
  readonly startOffset: number;
  /** No sample in it is newer. */
  readonly maxTimeMs: number;
}

/** Where blocks wait. All calls are synchronous. */
export interface ChunkBlockSource {
  /**
   * The oldest block, when all of it is durable in the log.
   * @param all also a block that is not full yet
   */
  takeBlock(durableSequence: number, all: boolean): ChunkBlock | undefined;
  /** The block taken last is in its file. */
  releaseBlock(): void;
  /** The block taken last could not be written: it is the next to be taken. */
  returnBlock(): void;
}

export interface ChunkFile {
  readonly index: number;
  sizeBytes: number;
  /** Of its newest sample. */
  maxTimeMs: number;
}

export interface ChunkFileWriterOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  readonly source: ChunkBlockSource;
  /** Those that are there, in order. */
  readonly files: readonly ChunkFile[];
  readonly clock: Clock;
  readonly log: Logger;
  /** The sequence up to which the log is durable. */
  readonly durableSequence: () => number;
  /** Called when the writer has become faulty or recovered. */
  readonly onChange: () => void;
}

/** Written between two syncs: what a power cut can cost in rebuilding. */
const UNSYNCED_BYTES_MAX = 16 * 1024 * 1024;
const RETRY_MS = 2_000;

export class ChunkFileWriter {
  readonly #options: ChunkFileWriterOptions;
  readonly #files: ChunkFile[];
  #open: { readonly file: VfsFile; readonly entry: ChunkFile } | undefined;
  #unsyncedBytes = 0;
  /** A file that failed since it was last replaced. */
  #distrusted: ChunkFile | undefined;
  #failures = 0;
  #faultCause: unknown;
  #running: Promise<void> | undefined;
  #retryTimer: Timer | undefined;
  #isClosing = false;

  constructor(options: ChunkFileWriterOptions) {
    this.#options = options;
    this.#files = options.files.map((file) => ({ ...file }));
  }

  get isFaulty(): boolean {
    return this.#failures > 1;
  }

  /** What failed last; undefined unless the writer is faulty. */
  get faultCause(): unknown {
    return this.isFaulty ? this.#faultCause : undefined;
  }

  get sizeBytes(): number {
    return this.#files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** There may be blocks to write. */
  notify(): void {
    if (this.#isClosing || this.#failures > 0) return;
    this.#start(false);
  }

  /** Resolves when all blocks that may be written are, or when that failed. */
  async flush(all: boolean): Promise<void> {
    await this.#running;
    this.#start(all);
    await this.#running;
  }

  /** Writes all blocks that may be written, syncs, closes. @throws what made that impossible */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#retryTimer?.cancel();
    await this.#running;
    try {
      await this.#writeBlocks(true);
      await this.#sync();
    } finally {
      await this.#closeFile();
    }
  }

  /**
   * Deletes files whose newest sample is older than `beforeMs`, from the oldest on; not the one that is written to. No
   * series may refer to chunks in them any more.
   */
  async dropBefore(beforeMs: number): Promise<number> {
    const { vfs, dir } = this.#options;
    let dropped = 0;
    for (;;) {
      const oldest = this.#files[0];
      if (oldest === undefined || this.#files.length === 1 || oldest.maxTimeMs >= beforeMs) return dropped;
      const { index } = oldest;
      const path = join(dir, chunkFileName(index));
      // What is left says that the chunks were dropped and not lost: those of later files can stand without them.
      await copyFile(vfs, path, path, 0, encodeChunkFileHeader(index, "dropped"));
      const before = join(dir, chunkFileName(index - 1));
      if (await vfs.exists(before)) await vfs.remove(before);
      this.#files.shift();
      dropped++;
    }
  }

  #start(all: boolean): void {
    this.#running ??= this.#run(all).finally(() => (this.#running = undefined));
  }

  /** Never rejects: what fails is tried again, at once and then at intervals. */
  async #run(all: boolean): Promise<void> {
    for (;;) {
      try {
        await this.#writeBlocks(all);
        this.#recovered();
        return;
      } catch (cause) {
        this.#failed(cause);
        if (this.isFaulty) return;
      }
    }
  }

  async #writeBlocks(all: boolean): Promise<void> {
    const { source, durableSequence } = this.#options;
    if (this.#distrusted !== undefined) await this.#replace(this.#distrusted);
    for (;;) {
      const block = source.takeBlock(durableSequence(), all);
      if (block === undefined) return;
      let isWritten = false;
      try {
        const { file, entry } = await this.#fileFor(block.fileIndex);
        await file.write(block.bytes, block.startOffset);
        entry.sizeBytes = Math.max(entry.sizeBytes, block.startOffset + block.bytes.byteLength);
        entry.maxTimeMs = Math.max(entry.maxTimeMs, block.maxTimeMs);
        isWritten = true;
      } finally {
        if (isWritten) source.releaseBlock();
        else source.returnBlock();
      }
      this.#unsyncedBytes += block.bytes.byteLength;
      if (this.#unsyncedBytes >= UNSYNCED_BYTES_MAX) await this.#sync();
    }
  }

  async #fileFor(index: number): Promise<{ readonly file: VfsFile; readonly entry: ChunkFile }> {
    if (this.#open?.entry.index === index) return this.#open;
    const { vfs, dir } = this.#options;
    // Synced before its successor begins: damage in any file but the last is not what a power cut leaves.
    await this.#sync();
    await this.#closeFile();
    const path = join(dir, chunkFileName(index));
    let entry = this.#files.find((file) => file.index === index);
    if (entry !== undefined) return (this.#open = { file: await vfs.open(path, "write"), entry });
    // One that was begun and failed counts for nothing.
    if (await vfs.exists(path)) await vfs.remove(path);
    const file = await vfs.open(path, "create");
    try {
      await file.write(encodeChunkFileHeader(index, "chunks"), 0);
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
    entry = { index, sizeBytes: CHUNK_FILE_HEADER_BYTES, maxTimeMs: Number.NEGATIVE_INFINITY };
    this.#files.push(entry);
    return (this.#open = { file, entry });
  }

  async #sync(): Promise<void> {
    if (this.#open === undefined || this.#unsyncedBytes === 0) return;
    await this.#open.file.sync();
    await this.#options.vfs.syncDir(this.#options.dir);
    this.#unsyncedBytes = 0;
  }

  async #closeFile(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.file.close();
  }

  /** A fresh file with the same content; the cache has what the disk may have lost. */
  async #replace(entry: ChunkFile): Promise<void> {
    const { vfs, dir } = this.#options;
    await this.#closeFile();
    const path = join(dir, chunkFileName(entry.index));
    await copyFile(vfs, path, path, entry.sizeBytes);
    this.#unsyncedBytes = 0;
    this.#distrusted = undefined;
  }

  #failed(cause: unknown): void {
    const { log, clock, onChange } = this.#options;
    this.#failures++;
    this.#faultCause = cause;
    this.#distrusted ??= this.#open?.entry;
    log[this.#failures > 2 ? "debug" : "error"](
      { operation: "head", err: cause },
      `Cannot write a head chunk file: ${messageOf(cause)}`,
    );
    if (!this.isFaulty || this.#isClosing) return;
    this.#retryTimer?.cancel();
    this.#retryTimer = clock.after(RETRY_MS, () => this.#start(false));
    onChange();
  }

  #recovered(): void {
    const wasFaulty = this.isFaulty;
    this.#failures = 0;
    if (!wasFaulty) return;
    this.#options.log.info({ operation: "head" }, "head chunk files can be written again");
    this.#options.onChange();
  }
}
