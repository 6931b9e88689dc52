/**
 * Files as a query reads them: in blocks that are remembered until it ends. A query over many series reads chunks of a few hundred
 * bytes, one series after the other; in the files the chunks of one time lie side by side, so a block read for one series
 * serves the next hundred. Read one by one, a day of a thousand series takes 48,000 system calls.
 *
 * Files are only appended to, and readers verify what they read: when a block was read before its bytes were written, or
 * its file was replaced, the reader sees a wrong checksum and opens the file anew, which begins with no blocks.
 */
import type { Vfs, VfsFile } from "../../base/vfs.ts";

const BLOCK_BYTES = 32 * 1024;

/** 8 MiB, of which blocks are made as they are needed: one for each half hour of five days, whose chunks are read in turn. */
const BLOCKS_MAX = 256;

interface Block {
  readonly bytes: Uint8Array;
  /** How much of it the file had. */
  length: number;
  /** The file's blocks, where this is one. */
  owner: Map<number, Block> | undefined;
  index: number;
}

export class ReadAhead {
  /** As the one given, but files that are opened to be read synchronously are read in blocks. */
  readonly vfs: Vfs;
  /** Used in turn, so that the block read longest ago gives way. */
  readonly #blocks: Block[] = [];
  #next = 0;

  constructor(vfs: Vfs) {
    const take = (owner: Map<number, Block>, index: number) => this.#take(owner, index);
    this.vfs = { ...vfs, openSync: (path) => new FileInBlocks(vfs.openSync(path), take) };
  }

  /** Forgets what the blocks hold, when a query has ended. */
  clear(): void {
    for (const block of this.#blocks) release(block);
    this.#next = 0;
  }

  #take(owner: Map<number, Block>, index: number): Block {
    if (this.#next === BLOCKS_MAX) this.#next = 0;
    if (this.#next === this.#blocks.length)
      this.#blocks.push({ bytes: new Uint8Array(BLOCK_BYTES), length: 0, owner: undefined, index: 0 });
    const block = this.#blocks[this.#next++]!;
    release(block);
    block.owner = owner;
    block.index = index;
    owner.set(index, block);
    return block;
  }
}

function release(block: Block): void {
  block.owner?.delete(block.index);
  block.owner = undefined;
}

class FileInBlocks implements VfsFile {
  readonly path: string;
  readonly #file: VfsFile;
  readonly #take: (owner: Map<number, Block>, index: number) => Block;
  readonly #blocks = new Map<number, Block>();

  constructor(file: VfsFile, take: (owner: Map<number, Block>, index: number) => Block) {
    this.path = file.path;
    this.#file = file;
    this.#take = take;
  }

  readSync(into: Uint8Array, position: number): number {
    if (into.byteLength > BLOCK_BYTES) return this.#file.readSync(into, position);
    let done = 0;
    while (done < into.byteLength) {
      const index = Math.floor((position + done) / BLOCK_BYTES);
      const start = position + done - index * BLOCK_BYTES;
      const end = Math.min(BLOCK_BYTES, start + into.byteLength - done);
      const block = this.#blocks.get(index) ?? this.#fetch(index);
      // The file may have grown since: what its block lacks is read by itself.
      if (end > block.length) return done + this.#file.readSync(into.subarray(done), position + done);
      into.set(block.bytes.subarray(start, end), done);
      done += end - start;
    }
    return done;
  }

  #fetch(index: number): Block {
    const block = this.#take(this.#blocks, index);
    block.length = this.#file.readSync(block.bytes, index * BLOCK_BYTES);
    return block;
  }

  write = (data: Uint8Array, position: number): Promise<void> => this.#file.write(data, position);
  read = (into: Uint8Array, position: number): Promise<number> => this.#file.read(into, position);
  sync = (): Promise<void> => this.#file.sync();
  truncate = (sizeBytes: number): Promise<void> => this.#file.truncate(sizeBytes);
  sizeBytes = (): Promise<number> => this.#file.sizeBytes();
  close = (): Promise<void> => this.#file.close();
  closeSync = (): void => this.#file.closeSync();
}
