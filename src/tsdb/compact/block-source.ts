/**
 * The series of a block, in order, for merging. Series of which all is deleted are among them. Some are read at a time, since
 * what lies next in the index lies next in the chunk files: a read of a few hundred KiB costs little more than one of two.
 */
import type { Vfs } from "../../base/vfs.ts";
import { BlockReader } from "../block/block-reader.ts";
import type { Tombstones } from "../block/tombstones.ts";
import { PageCache } from "../index/page-cache.ts";
import type { IndexReader } from "../index/index-reader.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import type { Symbols } from "../index/symbol-table.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { Arena } from "./arena.ts";
import type { ChunkList } from "./chunk-list.ts";
import type { SeriesSource } from "./series-source.ts";

/** What of a block is wanted. */
export interface BlockPart {
  /** Ids of series, ascending. */
  readonly series: (index: IndexReader) => Uint32Array;
  /** Inclusive, ms. */
  readonly mint: number;
  readonly maxt: number;
}

/** An index is read from its beginning to its end, symbols and series by turns. */
const CACHE_BYTES = 2 * 1024 * 1024;
const SERIES_AT_ONCE = 64;
/** From the first chunk to the last, about. */
const BATCH_BYTES = 256 * 1024;

export class BlockSource implements SeriesSource {
  readonly block: BlockReader;
  readonly name: string;
  readonly symbols: Symbols;
  readonly #tombstones: Tombstones;
  readonly #ids: Uint32Array;
  readonly #arena: Arena;
  /** Of all series, how many were read. */
  #readCount = 0;
  /** The series that were read last, of which `#at` is the present one. */
  readonly #batch: SeriesEntry[] = [];
  #batchCount = 0;
  #at = -1;
  /** Chunks of the batch, series by series. */
  readonly #refs: number[] = [];
  readonly #address: number[] = [];
  readonly #bytes: number[] = [];
  readonly #encoding: number[] = [];
  /** The present series' first one. */
  #firstChunk = 0;

  readonly #outside: readonly number[];

  private constructor(block: BlockReader, memory: PrivateMemory, part: BlockPart | undefined) {
    this.block = block;
    this.name = `block ${block.meta.ulid}`;
    this.symbols = block.index.symbols;
    this.#tombstones = block.readTombstones();
    this.#ids = part === undefined ? block.index.allPostings() : part.series(block.index);
    this.#outside = part === undefined ? [] : outside(part);
    this.#arena = new Arena(memory);
  }

  /**
   * @param memory that chunks are read to
   * @param part absent: all of the block
   * @throws CorruptBlockError
   */
  static open(vfs: Vfs, dir: string, memory: PrivateMemory, part?: BlockPart): BlockSource {
    const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
    try {
      return new BlockSource(block, memory, part);
    } catch (cause) {
      block.close();
      throw cause;
    }
  }

  get seriesCount(): number {
    return this.#ids.length;
  }

  get labels(): Uint32Array {
    return this.#batch[this.#at]!.labels;
  }

  get labelCount(): number {
    return this.#batch[this.#at]!.labelCount;
  }

  next(): boolean {
    if (this.#at >= 0 && this.#at < this.#batchCount) this.#firstChunk += this.#batch[this.#at]!.chunkCount;
    if (++this.#at < this.#batchCount) return true;
    if (this.#readCount === this.#ids.length) return false;
    this.#readBatch();
    return true;
  }

  read(into: ChunkList): void {
    const { chunkCount, mint, maxt } = this.#batch[this.#at]!;
    const id = this.#ids[this.#readCount - this.#batchCount + this.#at]!;
    into.deleted.push(...this.#outside);
    for (const interval of this.#tombstones.of(id)) into.deleted.push(interval.mint, interval.maxt);
    for (let i = 0; i < chunkCount; i++) {
      const chunk = this.#firstChunk + i;
      into.add(this.#address[chunk]!, this.#bytes[chunk]!, this.#encoding[chunk]!, mint[i]!, maxt[i]!);
    }
  }

  close(): void {
    this.block.close();
  }

  #readBatch(): void {
    const refs = this.#refs;
    refs.length = 0;
    this.#batchCount = this.#at = this.#firstChunk = 0;
    while (this.#batchCount < SERIES_AT_ONCE && this.#readCount < this.#ids.length) {
      const entry = (this.#batch[this.#batchCount++] ??= new SeriesEntry());
      this.block.index.series(this.#ids[this.#readCount++]!, entry);
      for (let i = 0; i < entry.chunkCount; i++) refs.push(entry.ref[i]!);
      if (refs.length > 0 && Math.abs(refs[refs.length - 1]! - refs[0]!) > BATCH_BYTES) break;
    }
    this.#arena.reset();
    this.block.chunks.readMany(refs, 0, refs.length, this.#arena, {
      chunk: (i, encoding, address, bytes) => {
        this.#address[i] = address;
        this.#bytes[i] = bytes;
        this.#encoding[i] = encoding;
      },
      damage: (_, error) => {
        throw error;
      },
    });
  }
}

/** What is not wanted, as if it were deleted: mint, maxt, ... */
function outside({ mint, maxt }: BlockPart): number[] {
  return [
    ...(mint > Number.MIN_SAFE_INTEGER ? [Number.MIN_SAFE_INTEGER, mint - 1] : []),
    ...(maxt < Number.MAX_SAFE_INTEGER ? [maxt + 1, Number.MAX_SAFE_INTEGER] : []),
  ];
}
