/**
 * Blocks as Prometheus reads them: what is of our own (packed chunks) is written anew, what overlaps is merged, and the rest
 * is linked or copied file by file. All is made in a directory that gets its name last.
 */
import { basename, join } from "node:path/posix";
import { linkOrCopy } from "../../base/link-file.ts";
import type { Vfs } from "../../base/vfs.ts";
import { BlockReader } from "../block/block-reader.ts";
import type { BlockMeta } from "../block/meta.ts";
import { BlockSource, type BlockPart } from "../compact/block-source.ts";
import { lineageOf } from "../compact/lineage.ts";
import { PageCache } from "../index/page-cache.ts";
import { scanChunks } from "../inspect/scan-chunks.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import type { JobContext } from "../maintenance/job-context.ts";
import { writeMerged } from "../maintenance/write-merged.ts";
import { CHUNK_PACKED } from "../storage.ts";

export interface StoredBlock {
  readonly dir: string;
  readonly meta: BlockMeta;
}

export interface ExportBlocksOptions {
  readonly context: JobContext;
  /** New ones, each later than those before. */
  readonly nextUlid: () => string;
  /** Is there, and empty. */
  readonly targetDir: string;
  /** Absent: everything. */
  readonly part: BlockPart | undefined;
  readonly onProgress: (doneBlocks: number, totalBlocks: number) => void;
}

export interface ExportedBlock {
  readonly meta: BlockMeta;
  /** ULIDs of the blocks that it was made of. */
  readonly sources: readonly string[];
  readonly isCopy: boolean;
}

/** @param blocks in the order in which their samples count */
export async function exportBlocks(
  blocks: readonly StoredBlock[],
  { context, nextUlid, targetDir, part, onProgress }: ExportBlocksOptions,
): Promise<ExportedBlock[]> {
  const { vfs } = context;
  const exported: ExportedBlock[] = [];
  const groups = groupsByOverlap(blocksOfPart(blocks, part));
  for (const [i, group] of groups.entries()) {
    onProgress(i, groups.length);
    await context.pause();
    const sources = group.map(({ meta }) => meta.ulid);
    const [only] = group;
    if (group.length === 1 && part === undefined && !hasPacked(only!, context)) {
      await copyTree(vfs, only!.dir, join(targetDir, only!.meta.ulid));
      exported.push({ meta: only!.meta, sources, isCopy: true });
      continue;
    }
    const meta = await writeAnew(group, { context, nextUlid, targetDir, part });
    if (meta !== undefined) exported.push({ meta, sources, isCopy: false });
  }
  await vfs.syncDir(targetDir);
  return exported;
}

const CACHE_BYTES = 4 * 1024 * 1024;

/** Those whose times touch the part. */
export const blocksOfPart = (blocks: readonly StoredBlock[], part: BlockPart | undefined): readonly StoredBlock[] =>
  part === undefined
    ? blocks
    : blocks.filter(({ meta: { minTime, maxTime } }) => minTime <= part.maxt && maxTime > part.mint);

/** Blocks that overlap, directly or by way of others, together; each group in the order that was given. */
function groupsByOverlap(blocks: readonly StoredBlock[]): StoredBlock[][] {
  const order = new Map(blocks.map((block, i) => [block, i]));
  const groups: StoredBlock[][] = [];
  let maxTime = Number.NEGATIVE_INFINITY;
  for (const block of blocks.toSorted((a, b) => a.meta.minTime - b.meta.minTime)) {
    if (block.meta.minTime < maxTime) groups.at(-1)?.push(block);
    else groups.push([block]);
    maxTime = Math.max(maxTime, block.meta.maxTime);
  }
  return groups.map((group) => group.sort((a, b) => order.get(a)! - order.get(b)!));
}

function hasPacked({ dir }: StoredBlock, { vfs, module, check }: JobContext): boolean {
  const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
  let found = false;
  try {
    if (block.manifest !== undefined) return block.manifest.encodings.includes(CHUNK_PACKED);
    scanChunks(block, new PrivateMemory(module), {
      check,
      chunk: (encoding) => void (found ||= encoding === CHUNK_PACKED),
    });
  } finally {
    block.close();
  }
  return found;
}

async function writeAnew(
  group: readonly StoredBlock[],
  { context, nextUlid, targetDir, part }: Omit<ExportBlocksOptions, "onProgress">,
): Promise<BlockMeta | undefined> {
  const memory = new PrivateMemory(context.module);
  const sources: BlockSource[] = [];
  try {
    for (const { dir } of group) sources.push(BlockSource.open(context.vfs, dir, memory, part));
    const metas = group.map(({ meta }) => meta);
    const { level, sources: origins } = lineageOf(metas);
    const written = await writeMerged(context, {
      blocksDir: targetDir,
      ulid: nextUlid(),
      minTime: Math.min(...metas.map(({ minTime }) => minTime)),
      maxTime: Math.max(...metas.map(({ maxTime }) => maxTime)),
      // Its parents are not there. A block that was merely written anew is of the level that it had.
      compaction: { level: group.length === 1 ? level - 1 : level, sources: origins },
      sources,
      packed: false,
      memory,
      hasTightTimes: part !== undefined,
    });
    return written?.meta;
  } finally {
    for (const source of sources) source.close();
  }
}

async function copyTree(vfs: Vfs, from: string, to: string): Promise<void> {
  await vfs.mkdir(to);
  for (const name of await vfs.list(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if ((await vfs.stat(source))?.kind === "directory") await copyTree(vfs, source, target);
    else if (!basename(source).endsWith(".tmp")) await linkOrCopy(vfs, source, target);
  }
  await vfs.syncDir(to);
}
