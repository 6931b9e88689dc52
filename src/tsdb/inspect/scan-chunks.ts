/** Goes over the chunks of a block without decoding them: of which kinds they are, and how large. */
import type { BlockReader } from "../block/block-reader.ts";
import { chunkMemoryOf } from "../block/walk-samples.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNK_PACKED, CHUNK_XOR, CHUNK_XOR2 } from "../storage.ts";

export interface ChunkScan {
  /** @param samples as the chunk says */
  chunk(encoding: number, bytes: number, samples: number): void;
  /** Called before the chunks of each series. @throws to stop */
  check(): void;
}

const encodingNames: Readonly<Record<number, string>> = {
  [CHUNK_XOR]: "xor",
  2: "histogram",
  3: "float histogram",
  [CHUNK_XOR2]: "xor2",
  5: "histogram with start times",
  6: "float histogram with start times",
  [CHUNK_PACKED]: "packed",
};

export const encodingName = (encoding: number): string => encodingNames[encoding] ?? "unknown";

/** Whether a block may have it: floats, which queries read, and the native histograms that are only kept. */
export const isReadable = (encoding: number): boolean =>
  encoding === CHUNK_XOR || encoding === CHUNK_XOR2 || encoding === CHUNK_PACKED || encoding === 2 || encoding === 3;

/** @throws CorruptBlockError */
export function scanChunks(block: BlockReader, memory: PrivateMemory, scan: ChunkScan): void {
  const into = chunkMemoryOf(memory);
  const { kernel } = memory;
  const entry = new SeriesEntry();
  for (const id of block.index.allPostings()) {
    scan.check();
    block.index.series(id, entry);
    memory.clear();
    block.chunks.readMany(entry.ref, 0, entry.chunkCount, into, {
      chunk(_i, encoding, address, bytes) {
        // All encodings of Prometheus begin with the number of samples.
        const isOurs = encoding === CHUNK_PACKED;
        const samples = isOurs ? kernel.chunkSampleCount(encoding, address, bytes) : countAt(memory, address, bytes);
        scan.chunk(encoding, bytes, samples);
      },
      damage: (_i, error) => {
        throw error;
      },
    });
  }
}

const countAt = (memory: PrivateMemory, address: number, bytes: number): number =>
  bytes < 2 ? 0 : memory.bytes[address]! * 256 + memory.bytes[address + 1]!;
