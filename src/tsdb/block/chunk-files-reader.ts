/**
 * The chunks of a block, read by reference and verified at each read: nothing is handed out whose checksum does not match.
 *
 * Chunks that lie close to one another are read in one piece: those of a series are neighbours, and series that are next in
 * the index are next in the files. An index does not say how long a chunk is: of all but the last of a piece the next one's
 * reference tells enough, and for the last some more is read than most are long.
 *
 *   file: ... [chunk a][chunk b][another][chunk c][behind] ...       one piece, with some of what is behind c
 */
import { join } from "node:path/posix";
import { assert } from "../../base/assert.ts";
import { loadU32 } from "../../base/byte-reader.ts";
import { crc32c } from "../../base/crc32c.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import { openBlockFile, readBlockFile } from "../index/block-file.ts";
import { CorruptBlockError, damageOf } from "../index/corrupt.ts";
import type { ChunkMemory } from "../storage.ts";
import {
  CHUNK_FILE_HEADER_BYTES,
  chunkFileHeaderFault,
  chunkFileName,
  chunkFileOf,
  chunkFrameAt,
  chunkOffsetOf,
} from "./chunk-file-format.ts";

export interface ChunkVisitor {
  /** The `i`-th of the chunks that were asked for is at `address`, and `bytes` long. */
  chunk(i: number, encoding: number, address: number, bytes: number): void;
  damage(i: number, error: CorruptBlockError): void;
}

export interface ChunkData {
  readonly encoding: number;
  readonly data: Uint8Array;
}

/** From the beginning of a chunk to that of the next one in the same piece: a read costs more than this much copying. */
const STEP_BYTES_MAX = 8 * 1024;
const PIECE_BYTES_MAX = 256 * 1024;
/** How much is read of a chunk of which nothing tells how long it is. */
const GUESS_BYTES = 2 * 1024;

export class ChunkFilesReader {
  readonly #vfs: Vfs;
  readonly #dir: string;
  /** By place; sizes, where a manifest tells them. */
  readonly #sizes: readonly (number | undefined)[];
  readonly #files: ({ readonly file: VfsFile; readonly sizeBytes: number } | undefined)[] = [];
  /** Of the chunks of a piece. */
  readonly #encoding: number[] = [];
  readonly #address: number[] = [];
  readonly #dataBytes: number[] = [];

  /** @param sizes of the files there are, as the block's manifest has them */
  constructor(vfs: Vfs, dir: string, sizes: readonly (number | undefined)[]) {
    this.#vfs = vfs;
    this.#dir = dir;
    this.#sizes = sizes;
  }

  get fileCount(): number {
    return this.#sizes.length;
  }

  path(file: number): string {
    return join(this.#dir, chunkFileName(file));
  }

  sizeBytes(file: number): number {
    return this.#open(file).sizeBytes;
  }

  /** One chunk, in bytes of its own. @throws CorruptBlockError */
  read(ref: number): ChunkData {
    const { file, sizeBytes } = this.#open(chunkFileOf(ref));
    const offset = chunkOffsetOf(ref);
    const corrupt = (reason: string): CorruptBlockError => new CorruptBlockError(file.path, offset, reason);
    let bytes: Uint8Array = new Uint8Array(Math.max(0, Math.min(GUESS_BYTES, sizeBytes - offset)));
    if (readBlockFile(file, bytes, offset) < bytes.byteLength) throw corrupt("the file has become shorter");
    const frame = chunkFrameAt(bytes, 0);
    if (frame === undefined || offset + frame.end > sizeBytes) throw corrupt("no chunk is there");
    if (frame.end > bytes.byteLength) {
      bytes = new Uint8Array(frame.end);
      if (readBlockFile(file, bytes, offset) < bytes.byteLength) throw corrupt("the file has become shorter");
    }
    const { encodingAt, dataAt, dataBytes, end } = frame;
    if (crc32c(bytes.subarray(encodingAt, end - 4)) !== loadU32(bytes, end - 4)) throw corrupt(MISMATCH);
    return { encoding: bytes[encodingAt]!, data: bytes.subarray(dataAt, dataAt + dataBytes) };
  }

  /**
   * Reads chunks into memory that `reserve` gives, and shows each to `visitor`, in order.
   * @param refs of which those from `from` up to, not including, `to` are read; ascending ones cost least
   */
  readMany(refs: ArrayLike<number>, from: number, to: number, memory: ChunkMemory, visitor: ChunkVisitor): void {
    for (let first = from; first < to;) {
      const start = refs[first]!;
      let end = first + 1;
      for (; end < to; end++) {
        const step = refs[end]! - refs[end - 1]!;
        // References of two files are further apart than any step.
        if (step <= 0 || step > STEP_BYTES_MAX || refs[end]! - start > PIECE_BYTES_MAX) break;
      }
      this.#readPiece(refs, first, end, memory, visitor);
      first = end;
    }
  }

  close(): void {
    for (const opened of this.#files) opened?.file.closeSync();
    this.#files.length = 0;
  }

  #readPiece(refs: ArrayLike<number>, from: number, to: number, memory: ChunkMemory, visitor: ChunkVisitor): void {
    const start = chunkOffsetOf(refs[from]!);
    let address: number;
    let filled: number;
    try {
      const { file, sizeBytes } = this.#open(chunkFileOf(refs[from]!));
      const length = Math.min(refs[to - 1]! - refs[from]! + GUESS_BYTES, Math.max(0, sizeBytes - start));
      address = reserve(memory, length);
      filled = readBlockFile(file, memory.view(address, length), start);
    } catch (error) {
      const damage = damageOf(error);
      for (let i = from; i < to; i++) visitor.damage(i, damage);
      return;
    }
    this.#verifyPiece(refs, from, to, { address, filled, start }, memory);
    for (let i = from; i < to; i++) {
      const bytes = this.#dataBytes[i - from]!;
      if (bytes === NOT_WHOLE) this.#readOne(i, refs[i]!, memory, visitor);
      else if (bytes === DAMAGED)
        visitor.damage(i, new CorruptBlockError(this.path(chunkFileOf(refs[i]!)), chunkOffsetOf(refs[i]!), MISMATCH));
      else visitor.chunk(i, this.#encoding[i - from]!, this.#address[i - from]!, bytes);
    }
  }

  /** Finds and verifies the chunks of a piece, all of them before any is shown: visitors may reserve memory. */
  #verifyPiece(
    refs: ArrayLike<number>,
    from: number,
    to: number,
    { address, filled, start }: { readonly address: number; readonly filled: number; readonly start: number },
    memory: ChunkMemory,
  ): void {
    const bytes = memory.view(address, filled);
    const { kernel } = memory;
    for (let i = from; i < to; i++) {
      const frame = chunkFrameAt(bytes, chunkOffsetOf(refs[i]!) - start);
      const chunk = i - from;
      if (frame === undefined || frame.end > filled) {
        // It is longer than guessed.
        this.#dataBytes[chunk] = NOT_WHOLE;
        continue;
      }
      const { encodingAt, dataAt, dataBytes, end } = frame;
      const crc = kernel.crc32c(address + encodingAt, end - 4 - encodingAt, 0) >>> 0;
      this.#encoding[chunk] = bytes[encodingAt]!;
      this.#address[chunk] = address + dataAt;
      this.#dataBytes[chunk] = crc === loadU32(bytes, end - 4) ? dataBytes : DAMAGED;
    }
  }

  #readOne(i: number, ref: number, memory: ChunkMemory, visitor: ChunkVisitor): void {
    let chunk: ChunkData;
    try {
      chunk = this.read(ref);
    } catch (error) {
      return visitor.damage(i, damageOf(error));
    }
    const { encoding, data } = chunk;
    const address = reserve(memory, data.byteLength);
    memory.view(address, data.byteLength).set(data);
    visitor.chunk(i, encoding, address, data.byteLength);
  }

  #open(place: number): { readonly file: VfsFile; readonly sizeBytes: number } {
    const known = this.#files[place];
    if (known !== undefined) return known;
    const path = this.path(place);
    if (place >= this.fileCount) throw new CorruptBlockError(path, 0, "the index refers to it, and it does not exist");
    const file = openBlockFile(this.#vfs, path);
    try {
      const sizeBytes = file.sizeBytesSync();
      const expected = this.#sizes[place];
      if (expected !== undefined && sizeBytes !== expected)
        throw new CorruptBlockError(path, sizeBytes, `it has ${sizeBytes} bytes instead of ${expected}`);
      const header = new Uint8Array(CHUNK_FILE_HEADER_BYTES);
      const fault = chunkFileHeaderFault(header.subarray(0, readBlockFile(file, header, 0)));
      if (fault !== undefined) throw new CorruptBlockError(path, 0, fault);
      return (this.#files[place] = { file, sizeBytes });
    } catch (cause) {
      file.closeSync();
      throw cause;
    }
  }
}

const MISMATCH = "checksum mismatch of a chunk";

/** In place of a length. */
const NOT_WHOLE = -1;
const DAMAGED = -2;

function reserve(memory: ChunkMemory, bytes: number): number {
  const address = memory.reserve(bytes);
  assert(address !== undefined, "no room for chunks that were asked for");
  return address;
}
