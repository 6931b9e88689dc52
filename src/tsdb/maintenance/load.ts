/**
 * What a start does with the blocks directory: what was half made or half removed goes, damaged blocks are set aside, blocks
 * that went into others go, and the rest is opened once. A second load finds nothing more to do.
 */
import { join } from "node:path/posix";
import { TsdbError } from "../../base/errors.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { Vfs } from "../../base/vfs.ts";
import { TOMBSTONES_FILE } from "../block/block-files.ts";
import { BlockReader } from "../block/block-reader.ts";
import { compareBlocks } from "../compact/plan.ts";
import { supersededBlocks } from "../compact/superseded.ts";
import { PageCache } from "../index/page-cache.ts";
import { isUlid } from "../model/ulid.ts";
import {
  BLOCKS_DIR,
  blocksDirOf,
  isThere,
  isTemporary,
  listIfThere,
  makeDurableDir,
  removeBlocks,
  sizeOfTree,
  SNAPSHOTS_DIR,
} from "./block-dirs.ts";
import type { JobContext } from "./job-context.ts";
import type { JobOf, JobResults, LoadedBlock } from "./protocol.ts";
import { moveToQuarantine, quarantinedBlocks } from "./quarantine.ts";

const CACHE_BYTES = 1024 * 1024;

export async function load(_job: JobOf<"load">, context: JobContext): Promise<JobResults["load"]> {
  const { vfs, dataDir, log } = context;
  await makeDurableDir(vfs, dataDir, BLOCKS_DIR);
  const blocksDir = blocksDirOf(context);
  await removeTemporaryDirs(vfs, blocksDir);
  await removeTemporaryDirs(vfs, join(dataDir, SNAPSHOTS_DIR));

  const names = await vfs.list(blocksDir);
  const loaded: LoadedBlock[] = [];
  for (const [done, name] of names.entries()) {
    await context.pause();
    if (!isUlid(name)) log.warn({ operation: "load", name }, "not a block, left alone");
    else {
      const block = await openOrSetAside(context, blocksDir, name);
      if (block !== undefined) loaded.push(block);
    }
    context.progress({ done: done + 1, total: names.length, unit: "blocks" });
  }

  const superseded = supersededBlocks(loaded.map(({ meta }) => meta));
  if (superseded.size > 0) {
    log.info({ operation: "load", blocks: [...superseded] }, "removing blocks that went into others");
    await removeBlocks(vfs, blocksDir, superseded);
  }
  const blocks = loaded.filter(({ meta }) => !superseded.has(meta.ulid));
  return {
    blocks: blocks.sort((a, b) => compareBlocks(a.meta, b.meta)),
    quarantined: await quarantinedBlocks(context),
  };
}

async function removeTemporaryDirs(vfs: Vfs, dir: string): Promise<void> {
  const left = (await listIfThere(vfs, dir)).filter(isTemporary);
  for (const name of left) await removeTree(vfs, join(dir, name));
  if (left.length > 0) await vfs.syncDir(dir);
}

async function openOrSetAside(context: JobContext, blocksDir: string, ulid: string): Promise<LoadedBlock | undefined> {
  try {
    return await describeBlock(context.vfs, join(blocksDir, ulid));
  } catch (error) {
    if (!(error instanceof TsdbError) || error.code !== "BLOCK_CORRUPT") throw error;
    await moveToQuarantine(context, ulid, error.message);
    return undefined;
  }
}

/** Opens a block for what is to be known of it. @throws CorruptBlockError */
async function describeBlock(vfs: Vfs, dir: string): Promise<LoadedBlock> {
  const unfinished = join(dir, `${TOMBSTONES_FILE}.tmp`);
  if (await isThere(vfs, unfinished)) await vfs.remove(unfinished);
  const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
  try {
    const numTombstones = block.readTombstones().intervalCount;
    const { meta } = block;
    return {
      // They are replaced while the block and its meta.json stay.
      meta: { ...meta, stats: { ...meta.stats, numTombstones } },
      sizeBytes: await sizeOfTree(vfs, dir),
      hasTombstones: numTombstones > 0,
    };
  } finally {
    block.close();
  }
}
