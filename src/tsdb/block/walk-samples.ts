/**
 * Goes over all samples of a block, decoding every chunk: what counting, hashing and verifying have in common. Chunks are
 * read and decoded some hundred at a time.
 */
import type { CorruptBlockError } from "../index/corrupt.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import type { ChunkMemory } from "../storage.ts";
import type { BlockReader } from "./block-reader.ts";
import { chunkSum, isOpaque } from "./sample-sum.ts";
import { SeriesSeeds } from "./series-seed.ts";

const CHUNKS_AT_ONCE = 512;

export interface WalkVisitor {
  /** A series and its chunks, before their samples. */
  series?(id: number, entry: SeriesEntry): void;
  /** A chunk that was read and decoded: the number and the hash of its samples, and how they disagree with the index. */
  chunk(count: number, hash: bigint, ref: number, fault: string | undefined): void;
  damage(error: CorruptBlockError, ref: number): void;
  /** Of a series that cannot be read. */
  seriesDamage(error: unknown, id: number): void;
  /** Called often; may throw. */
  check(): void;
}

/** Kernel memory as storage.ts describes it. */
export const chunkMemoryOf = (memory: PrivateMemory): ChunkMemory => ({
  kernel: memory.kernel,
  reserve: (bytes) => memory.reserve(bytes),
  store: (address, chunk) => memory.bytes.set(chunk, address),
  view: (address, bytes) => memory.bytes.subarray(address, address + bytes),
});

export function walkSamples(block: BlockReader, memory: PrivateMemory, visitor: WalkVisitor): void {
  const into = chunkMemoryOf(memory);
  const seeds = new SeriesSeeds(block.index.symbols);
  const entry = new SeriesEntry();
  const refs = new Float64Array(CHUNKS_AT_ONCE);
  const mints = new Float64Array(CHUNKS_AT_ONCE);
  const maxts = new Float64Array(CHUNKS_AT_ONCE);
  const seedOf = new BigUint64Array(CHUNKS_AT_ONCE);
  let count = 0;
  const flush = (): void => {
    visitor.check();
    memory.clear();
    block.chunks.readMany(refs, 0, count, into, {
      chunk(i, encoding, address, bytes) {
        const sum = chunkSum(memory, encoding, address, bytes, seedOf[i]!);
        if (sum === undefined)
          return visitor.chunk(0, 0n, refs[i]!, `a chunk of encoding ${encoding} that is malformed`);
        const isWithin = isOpaque(encoding) || (sum.mint >= mints[i]! && sum.maxt <= maxts[i]!);
        visitor.chunk(sum.count, sum.hash, refs[i]!, isWithin ? sum.fault : "samples outside of their chunk's times");
      },
      damage: (i, error) => visitor.damage(error, refs[i]!),
    });
    count = 0;
  };
  for (const id of block.index.allPostings()) {
    try {
      block.index.series(id, entry);
    } catch (error) {
      visitor.seriesDamage(error, id);
      continue;
    }
    visitor.series?.(id, entry);
    const seed = seeds.of(entry.labels, entry.labelCount);
    for (let i = 0; i < entry.chunkCount; i++) {
      if (count === CHUNKS_AT_ONCE) flush();
      refs[count] = entry.ref[i]!;
      mints[count] = entry.mint[i]!;
      maxts[count] = entry.maxt[i]!;
      seedOf[count++] = seed;
    }
  }
  flush();
}
