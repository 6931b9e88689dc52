/** The series of a block, in order, for merging. Series of which all is deleted are among them. */
import type { Vfs } from "../../base/vfs.ts";
import { BlockReader } from "../block/block-reader.ts";
import type { Tombstones } from "../block/tombstones.ts";
import { PageCache } from "../index/page-cache.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import type { Symbols } from "../index/symbol-table.ts";
import type { Arena } from "./arena.ts";
import type { ChunkList } from "./chunk-list.ts";
import type { SeriesSource } from "./series-source.ts";

/** An index is read from its beginning to its end, symbols and series by turns. */
const CACHE_BYTES = 2 * 1024 * 1024;

export class BlockSource implements SeriesSource {
  readonly block: BlockReader;
  readonly name: string;
  readonly symbols: Symbols;
  readonly #tombstones: Tombstones;
  readonly #ids: Uint32Array;
  readonly #entry = new SeriesEntry();
  #next = 0;

  private constructor(block: BlockReader) {
    this.block = block;
    this.name = `block ${block.meta.ulid}`;
    this.symbols = block.index.symbols;
    this.#tombstones = block.readTombstones();
    this.#ids = block.index.allPostings();
  }

  /** @throws CorruptBlockError */
  static open(vfs: Vfs, dir: string): BlockSource {
    const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
    try {
      return new BlockSource(block);
    } catch (cause) {
      block.close();
      throw cause;
    }
  }

  get seriesCount(): number {
    return this.#ids.length;
  }

  get labels(): Uint32Array {
    return this.#entry.labels;
  }

  get labelCount(): number {
    return this.#entry.labelCount;
  }

  next(): boolean {
    if (this.#next === this.#ids.length) return false;
    this.block.index.series(this.#ids[this.#next++]!, this.#entry);
    return true;
  }

  read(into: ChunkList, arena: Arena): void {
    const { chunkCount, mint, maxt, ref } = this.#entry;
    for (const interval of this.#tombstones.of(this.#ids[this.#next - 1]!))
      into.deleted.push(interval.mint, interval.maxt);
    this.block.chunks.readMany(ref, 0, chunkCount, arena, {
      chunk: (i, encoding, address, bytes) => into.add(address, bytes, encoding, mint[i]!, maxt[i]!),
      damage: (_, error) => {
        throw error;
      },
    });
  }

  close(): void {
    this.block.close();
  }
}
