/**
 * What a start does with the blocks directory: what was half made or half removed goes, damaged blocks are set aside, blocks
 * that went into others go, and the rest is opened once. A second load finds nothing more to do.
 */
import { join, relative } from "node:path/posix";
import { TsdbError } from "../../base/errors.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { Vfs } from "../../base/vfs.ts";
import { TOMBSTONES_FILE } from "../block/block-files.ts";
import { BlockReader, readBlockMeta } from "../block/block-reader.ts";
import { compareBlocks } from "../compact/plan.ts";
import { supersededBlocks } from "../compact/superseded.ts";
import { CorruptBlockError } from "../index/corrupt.ts";
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
  // What went into a block that cannot be read is not served beside it, and stays: it may be all that is left.
  const sound = loaded.filter(({ damage }) => damage === undefined);
  const removable = supersededBlocks(sound.map(({ meta }) => meta));
  if (removable.size > 0) {
    log.info({ operation: "load", blocks: [...removable] }, "removing blocks that went into others");
    await removeBlocks(vfs, blocksDir, removable);
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
    const block = await describeBlock(context.vfs, join(blocksDir, ulid));
    if (block.damage !== undefined)
      context.log.error(
        { operation: "load", block: ulid },
        `The disk fails to read block ${ulid}, which stays where it is: ${block.damage}`,
      );
    return block;
  } catch (error) {
    if (!(error instanceof TsdbError) || error.code !== "BLOCK_CORRUPT") throw error;
    await moveToQuarantine(context, ulid, error.message);
    return undefined;
  }
}

/**
 * Opens a block for what is to be known of it. One that the disk fails to read may be whole: as long as meta.json tells its
 * range and what went into it, it stays, so that nothing is deleted or merged past it.
 * @throws CorruptBlockError
 */
async function describeBlock(vfs: Vfs, dir: string): Promise<LoadedBlock> {
  const unfinished = join(dir, `${TOMBSTONES_FILE}.tmp`);
  if (await isThere(vfs, unfinished)) await vfs.remove(unfinished);
  const sizeBytes = await sizeOfTree(vfs, dir);
  try {
    const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
    try {
      const numTombstones = block.readTombstones().intervalCount;
      const { meta } = block;
      // They are replaced while the block and its meta.json stay.
      return {
        meta: { ...meta, stats: { ...meta.stats, numTombstones } },
        sizeBytes,
        hasTombstones: numTombstones > 0,
      };
    } finally {
      block.close();
    }
  } catch (error) {
    if (!(error instanceof CorruptBlockError && error.isReadFailure)) throw error;
    // Read again if need be: whether it has tombstones is not known.
    const { meta } = readBlockMeta(vfs, dir);
    return {
      meta,
      sizeBytes,
      hasTombstones: true,
      damage: `${relative(dir, error.path)} at byte ${error.offsetBytes}: ${error.reason}`,
    };
  }
}
