/**
 * Chunks of one batch that lie in files, read in runs of neighbours: chunks that became full at about the same time lie
 * side by side, so what a batch of series needs of one time is mostly one piece of a file. Read one by one, a day of a
 * thousand series takes 48,000 system calls.
 *
 *   file: ... [entry a][entry b][other][entry c] ...       one run: a to c, what lies between is small and read along
 *
 * A run is read into the reader's list area in shared memory, which is free between two calls of gather; there the kernel
 * computes the checksums, and what verifies moves to the query's memory as one piece.
 */
import type { SourceChunks } from "../chunk-source.ts";
import type { HeadMemory } from "../kernel/head-memory.ts";
import { CHUNK_ENTRY_HEADER_BYTES } from "./chunk-file-format.ts";
import type { ChunkFileReader } from "./chunk-file-reader.ts";

export interface FiledChunk {
  readonly fileIndex: number;
  /** Of its entry's header. */
  readonly offset: number;
  readonly dataBytes: number;
  readonly ref: number;
  /** Its number among the chunks that are read. */
  readonly place: number;
}

interface Run {
  readonly fileIndex: number;
  readonly start: number;
  end: number;
  readonly chunks: FiledChunk[];
}

/** What lies between two chunks of a run: copying it costs less than a system call. */
const GAP_BYTES_MAX = 1024;
const RUN_BYTES_MAX = 256 * 1024;

export class ChunkRuns {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  #runs: Run[] = [];
  /** Runs by the part of their file in which they end, or ended before they grew. */
  readonly #endingIn = new Map<number, Run>();
  readonly #chunks = new Map<number, FiledChunk>();

  constructor(memory: HeadMemory, slot: number, files: ChunkFileReader) {
    this.#memory = memory;
    this.#slot = slot;
    this.#files = files;
  }

  add(chunk: FiledChunk): void {
    const { fileIndex, offset, dataBytes } = chunk;
    const part = partOf(fileIndex, offset);
    const end = offset + CHUNK_ENTRY_HEADER_BYTES + dataBytes;
    let run = this.#endingIn.get(part);
    if (run === undefined || !isBehind(run, offset, end)) run = this.#endingIn.get(part - 1);
    if (run !== undefined && isBehind(run, offset, end)) {
      run.end = end;
      run.chunks.push(chunk);
    } else {
      run = { fileIndex, start: offset, end, chunks: [chunk] };
      this.#runs.push(run);
    }
    this.#endingIn.set(partOf(fileIndex, end), run);
  }

  /** Reads all that were added, and forgets them. @returns the places of those that did not verify */
  read(into: SourceChunks): readonly number[] {
    const unread: number[] = [];
    this.#chunks.clear();
    for (const run of this.#runs) this.#readRun(run, into, unread);
    this.#runs = [];
    this.#endingIn.clear();
    return unread;
  }

  /** A chunk that the last `read` gave back. */
  chunkAt(place: number): FiledChunk {
    return this.#chunks.get(place)!;
  }

  #readRun({ fileIndex, start, end, chunks }: Run, into: SourceChunks, unread: number[]): void {
    const buffer = this.#memory.kernel.listAddress(this.#slot) >>> 0;
    const bytes = this.#memory.slice(buffer, end - start);
    const filled = this.#files.readRaw(fileIndex, start, bytes);
    const base = into.memory.reserve(end - start);
    if (base !== undefined) into.memory.store(base, bytes);
    for (const chunk of chunks) {
      const at = chunk.offset - start;
      const entryBytes = CHUNK_ENTRY_HEADER_BYTES + chunk.dataBytes;
      if (base !== undefined && at + entryBytes <= filled && this.#verifies(bytes, buffer, at, chunk)) {
        into.address[chunk.place] = base + at + CHUNK_ENTRY_HEADER_BYTES;
      } else {
        this.#chunks.set(chunk.place, chunk);
        unread.push(chunk.place);
      }
    }
  }

  /** Whether the entry at `at` is whole and the one that was meant; its header as chunk-file-format.ts draws it. */
  #verifies(bytes: Uint8Array, address: number, at: number, { dataBytes, ref }: FiledChunk): boolean {
    if (u32(bytes, at + 4) >>> 8 !== dataBytes || u32(bytes, at + 8) !== ref) return false;
    const crc = this.#memory.kernel.crc32c(address + at + 4, CHUNK_ENTRY_HEADER_BYTES - 4 + dataBytes, 0) >>> 0;
    return crc === u32(bytes, at);
  }
}

/** Parts as long as a gap may be: whatever can follow in a run begins in the part where it ends, or in the next. */
const partOf = (fileIndex: number, offset: number): number =>
  fileIndex * (2 ** 32 / GAP_BYTES_MAX) + Math.floor(offset / GAP_BYTES_MAX);

/** Whether what lies from `offset` to `end` belongs to the run. */
const isBehind = (run: Run, offset: number, end: number): boolean =>
  offset >= run.end && offset - run.end <= GAP_BYTES_MAX && end - run.start <= RUN_BYTES_MAX;

/** Little-endian, at any offset. */
const u32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
