/**
 * The blocks that a thread reads, each as a source of chunks. A block is opened when a query first looks at it, and closed
 * when a view no longer has it; beyond a number of open blocks, those not used for longest are closed as well. What is kept
 * of their indexes has one limit for all (PageCache).
 */
import { join } from "node:path/posix";
import type { Vfs } from "../../base/vfs.ts";
import type { ChunkSource } from "../chunk-source.ts";
import { PageCache } from "../index/page-cache.ts";
import type { BlockRef } from "../storage.ts";
import { BlockQuerier } from "./block-querier.ts";
import type { DamageListener, OpenedBlock } from "./block-querier.ts";
import { BlockReader } from "./block-reader.ts";

export interface BlockStorageOptions {
  readonly vfs: Vfs;
  readonly blocksDir: string;
  /** For parts of indexes, of all blocks together. */
  readonly cacheBytesMax: number;
  /** Blocks that stay open between queries. */
  readonly openBlocksMax?: number;
  /** Chunks of one query that are kept in memory, so as not to look for them twice. */
  readonly keptChunksMax?: number;
  readonly onDamage?: DamageListener;
}

const OPEN_BLOCKS_MAX = 64;
const KEPT_CHUNKS_MAX = 500_000;

interface KnownBlock extends OpenedBlock {
  readonly tombstonesVersion: number;
}

export class BlockStorage {
  readonly #options: BlockStorageOptions;
  readonly #cache: PageCache;
  /** Open ones by ULID, those used last at the end. */
  readonly #blocks = new Map<string, KnownBlock>();

  constructor(options: BlockStorageOptions) {
    this.#options = options;
    this.#cache = new PageCache(options.cacheBytesMax);
  }

  /** The blocks of a view, in its order, for one query. Sources that were given out before are not to be used any more. */
  sources(refs: readonly BlockRef[]): ChunkSource[] {
    const wanted = new Set(refs.map(({ ulid }) => ulid));
    const { openBlocksMax = OPEN_BLOCKS_MAX, keptChunksMax = KEPT_CHUNKS_MAX } = this.#options;
    const { onDamage = () => undefined } = this.#options;
    for (const ulid of this.#blocks.keys())
      if (!wanted.has(ulid) || this.#blocks.size > openBlocksMax) this.#close(ulid);
    const keptChunks = { left: keptChunksMax };
    return refs.map((ref) => ({
      mint: ref.minTime,
      maxt: ref.maxTime - 1,
      querier: (context) => new BlockQuerier(ref, { open: () => this.#open(ref), onDamage, keptChunks }, context),
    }));
  }

  close(): void {
    for (const ulid of this.#blocks.keys()) this.#close(ulid);
  }

  #open({ ulid, tombstonesVersion }: BlockRef): OpenedBlock {
    let block = this.#blocks.get(ulid);
    if (block === undefined) {
      const { vfs, blocksDir } = this.#options;
      const reader = BlockReader.open(vfs, join(blocksDir, ulid), this.#cache);
      try {
        block = { reader, tombstones: reader.readTombstones(), tombstonesVersion };
      } catch (error) {
        reader.close();
        throw error;
      }
    } else if (block.tombstonesVersion !== tombstonesVersion) {
      block = { reader: block.reader, tombstones: block.reader.readTombstones(), tombstonesVersion };
    }
    this.#blocks.delete(ulid);
    this.#blocks.set(ulid, block);
    return block;
  }

  #close(ulid: string): void {
    this.#blocks.get(ulid)?.reader.close();
    this.#blocks.delete(ulid);
  }
}
