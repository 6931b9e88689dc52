/**
 * Chunks of one batch that lie in files, read in runs of neighbours: chunks that became full at about the same time lie
 * side by side, in the order in which they were written, so what a batch of series needs of one time is mostly one piece of
 * a file, or a few. Read one by one, a day of a thousand series takes 48,000 system calls.
 *
 *   file: ... [entry a][entry b][others][entry c] ...       one run: a to c, what lies between is small and read along
 *
 * A run is read into the reader's list area in shared memory, which is free between two calls of gather; there the kernel
 * computes the checksums, and what verifies moves to the query's memory: as one piece, or chunk by chunk when most of the
 * run is others'.
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

/** What lies between two chunks of a run: copying it costs less than a system call. */
const GAP_BYTES_MAX = 8 * 1024;
const RUN_BYTES_MAX = 256 * 1024;

export class ChunkRuns {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  #added: FiledChunk[] = [];
  readonly #unread = new Map<number, FiledChunk>();

  constructor(memory: HeadMemory, slot: number, files: ChunkFileReader) {
    this.#memory = memory;
    this.#slot = slot;
    this.#files = files;
  }

  add(chunk: FiledChunk): void {
    this.#added.push(chunk);
  }

  /** Reads all that were added, and forgets them. @returns the places of those that did not verify */
  read(into: SourceChunks): Iterable<number> {
    this.#unread.clear();
    const chunks = this.#added.sort((a, b) => a.fileIndex - b.fileIndex || a.offset - b.offset);
    for (let first = 0; first < chunks.length;) {
      const { fileIndex, offset } = chunks[first]!;
      let runEnd = endOf(chunks[first]!);
      let end = first + 1;
      for (; end < chunks.length; end++) {
        const next = chunks[end]!;
        const isNear = next.fileIndex === fileIndex && next.offset - runEnd <= GAP_BYTES_MAX;
        if (!isNear || endOf(next) - offset > RUN_BYTES_MAX) break;
        runEnd = Math.max(runEnd, endOf(next));
      }
      this.#readRun(chunks.slice(first, end), runEnd - offset, into);
      first = end;
    }
    this.#added = [];
    return this.#unread.keys();
  }

  /** A chunk that the last `read` gave back. */
  chunkAt(place: number): FiledChunk {
    return this.#unread.get(place)!;
  }

  #readRun(chunks: readonly FiledChunk[], runBytes: number, into: SourceChunks): void {
    const { fileIndex, offset: start } = chunks[0]!;
    const buffer = this.#memory.kernel.listAddress(this.#slot) >>> 0;
    const bytes = this.#memory.slice(buffer, runBytes);
    const filled = this.#files.readRaw(fileIndex, start, bytes);
    const usedBytes = chunks.reduce((sum, { dataBytes }) => sum + CHUNK_ENTRY_HEADER_BYTES + dataBytes, 0);
    const isDense = 2 * usedBytes >= runBytes;
    const base = isDense ? into.memory.reserve(runBytes) : undefined;
    if (base !== undefined) into.memory.store(base, bytes);
    for (const chunk of chunks) {
      const at = chunk.offset - start;
      const dataAt = at + CHUNK_ENTRY_HEADER_BYTES;
      const dataEnd = dataAt + chunk.dataBytes;
      let address: number | undefined;
      if (dataEnd <= filled && this.#verifies(bytes, buffer, at, chunk))
        address = base === undefined ? stored(into, bytes.subarray(dataAt, dataEnd)) : base + dataAt;
      if (address === undefined) this.#unread.set(chunk.place, chunk);
      else into.address[chunk.place] = address;
    }
  }

  /** Whether the entry at `at` is whole and the one that was meant; its header as chunk-file-format.ts draws it. */
  #verifies(bytes: Uint8Array, address: number, at: number, { dataBytes, ref }: FiledChunk): boolean {
    if (u32(bytes, at + 4) >>> 8 !== dataBytes || u32(bytes, at + 8) !== ref) return false;
    const crc = this.#memory.kernel.crc32c(address + at + 4, CHUNK_ENTRY_HEADER_BYTES - 4 + dataBytes, 0) >>> 0;
    return crc === u32(bytes, at);
  }
}

/** @returns where it is now; undefined when there is no room */
function stored({ memory }: SourceChunks, bytes: Uint8Array): number | undefined {
  const address = memory.reserve(bytes.byteLength);
  if (address !== undefined) memory.store(address, bytes);
  return address;
}

const endOf = ({ offset, dataBytes }: FiledChunk): number => offset + CHUNK_ENTRY_HEADER_BYTES + dataBytes;

/** Little-endian, at any offset. */
const u32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
