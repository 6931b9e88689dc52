/** All that was spilled as blocks, one for each range. */
import type { Vfs } from "../../base/vfs.ts";
import type { BlockMeta } from "../block/meta.ts";
import { PageCache } from "../index/page-cache.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { abandonBlocks } from "./publish-blocks.ts";
import type { RangeSpill } from "./range-spill.ts";
import type { SeriesTable } from "./series-table.ts";
import { writeRange } from "./write-range.ts";

export interface WriteRangesOptions {
  readonly vfs: Vfs;
  readonly module: WebAssembly.Module;
  /** Exists. */
  readonly blocksDir: string;
  /** A new one at each call, later than those before. */
  readonly nextUlid: () => string;
  /** Called often. @throws to stop */
  readonly check: () => void;
}

export interface RangeBlock {
  readonly meta: BlockMeta;
  readonly sizeBytes: number;
}

export interface WrittenRanges {
  /** In order of time. */
  readonly blocks: readonly RangeBlock[];
  /** Left out: their series had a sample at that time, which was added before. */
  readonly repeated: number;
}

const CACHE_BYTES = 16 * 1024 * 1024;

/**
 * Writes and verifies the blocks, which are then complete under their temporary names (publish-blocks.ts). On failure nothing
 * is left of them.
 * @param onBlock called after each, with how many there are and will be
 */
export async function writeRanges(
  spill: RangeSpill,
  series: SeriesTable,
  { module, nextUlid, ...options }: WriteRangesOptions,
  onBlock: (done: number, total: number) => void = () => undefined,
): Promise<WrittenRanges> {
  const { vfs, blocksDir, check } = options;
  const ranges = spill.ranges();
  const order = series.ordered();
  const memory = new PrivateMemory(module);
  const cache = new PageCache(CACHE_BYTES);
  const blocks: RangeBlock[] = [];
  let repeated = 0;
  try {
    for (const { range, summary } of ranges) {
      check();
      const shared = { vfs, blocksDir, check, spill, series, order, memory, cache };
      const written = await writeRange({ ...shared, ulid: nextUlid(), range, summary });
      blocks.push({ meta: written.block.meta, sizeBytes: written.block.sizeBytes });
      repeated += written.repeated;
      onBlock(blocks.length, ranges.length);
    }
  } catch (thrown) {
    const ulids = blocks.map(({ meta }) => meta.ulid);
    await abandonBlocks(vfs, blocksDir, ulids);
    throw thrown;
  }
  return { blocks, repeated };
}
