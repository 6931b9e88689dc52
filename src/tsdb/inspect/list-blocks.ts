/** The blocks of a data directory as they lie there, damaged ones among them; nothing is changed. */
import { join } from "node:path/posix";
import { messageOf } from "../../base/errors.ts";
import type { Vfs } from "../../base/vfs.ts";
import { BlockReader } from "../block/block-reader.ts";
import type { BlockMeta } from "../block/meta.ts";
import { compareBlocks } from "../compact/plan.ts";
import { PageCache } from "../index/page-cache.ts";
import { listIfThere, sizeOfTree } from "../maintenance/block-dirs.ts";
import { isUlid } from "../model/ulid.ts";

export interface ListedBlock {
  readonly meta: BlockMeta;
  readonly sizeBytes: number;
  /** Intervals that are deleted and still there. */
  readonly tombstones: number;
  /** It was made here, or imported: its files can be held against it. */
  readonly hasManifest: boolean;
  /** Blocks that share some of its time. */
  readonly overlaps: readonly string[];
}

export interface UnreadableBlock {
  readonly ulid: string;
  readonly reason: string;
}

export interface BlockList {
  /** In order of time, then in the order in which their samples count. */
  readonly blocks: readonly ListedBlock[];
  readonly unreadable: readonly UnreadableBlock[];
}

const CACHE_BYTES = 1024 * 1024;

/** ULIDs of the directories that are named as blocks are; none when there are no blocks yet. */
export const blockNames = async (vfs: Vfs, blocksDir: string): Promise<string[]> =>
  (await listIfThere(vfs, blocksDir)).filter(isUlid);

export async function listBlocks(vfs: Vfs, blocksDir: string): Promise<BlockList> {
  const found: Omit<ListedBlock, "overlaps">[] = [];
  const unreadable: UnreadableBlock[] = [];
  for (const ulid of await blockNames(vfs, blocksDir)) {
    const dir = join(blocksDir, ulid);
    try {
      const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
      try {
        const tombstones = block.readTombstones().intervalCount;
        const sizeBytes = await sizeOfTree(vfs, dir);
        found.push({ meta: block.meta, sizeBytes, tombstones, hasManifest: block.manifest !== undefined });
      } finally {
        block.close();
      }
    } catch (thrown) {
      // A running server may just have removed it.
      if (await vfs.exists(dir)) unreadable.push({ ulid, reason: messageOf(thrown) });
    }
  }
  found.sort((a, b) => a.meta.minTime - b.meta.minTime || compareBlocks(a.meta, b.meta));
  const blocks = found.map((block) => ({ ...block, overlaps: overlapsOf(block.meta, found) }));
  return { blocks, unreadable };
}

const overlapsOf = (meta: BlockMeta, all: readonly { readonly meta: BlockMeta }[]): string[] =>
  all
    .filter(({ meta: other }) => other !== meta && meta.minTime < other.maxTime && other.minTime < meta.maxTime)
    .map(({ meta: { ulid } }) => ulid);
