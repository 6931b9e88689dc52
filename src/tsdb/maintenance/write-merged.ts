/**
 * Makes one block of several sources: written aside, read back and compared with what was meant to be written, and only then
 * given its name. Whatever fails or stops it on the way leaves no block, and as little else as the disk allows.
 */
import { join } from "node:path/posix";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { Vfs } from "../../base/vfs.ts";
import { CREATION_SUFFIX } from "../block/block-files.ts";
import { BlockReader } from "../block/block-reader.ts";
import { BlockWriter, type FinishedBlock } from "../block/block-writer.ts";
import { checkBlock } from "../block/check-block.ts";
import type { BlockMeta } from "../block/meta.ts";
import { replaceTombstones, Tombstones } from "../block/tombstones.ts";
import { SourceMerge, type StillDeleted } from "../compact/merge-sources.ts";
import type { SeriesSource } from "../compact/series-source.ts";
import { PackedEncoder } from "../compact/packed-encoder.ts";
import { XorEncoder } from "../compact/xor-encoder.ts";
import { PageCache } from "../index/page-cache.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { removeBlocks } from "./block-dirs.ts";
import type { JobContext } from "./job-context.ts";
import type { LoadedBlock } from "./protocol.ts";

export interface NewBlock {
  readonly blocksDir: string;
  readonly ulid: string;
  readonly minTime: number;
  /** Exclusive. */
  readonly maxTime: number;
  readonly compaction: BlockMeta["compaction"];
  /** In the order in which their samples count. */
  readonly sources: readonly SeriesSource[];
  readonly packed: boolean;
  /** That sources have their chunks in. */
  readonly memory: PrivateMemory;
  /** Whether its times are those of its samples, not those given. */
  readonly hasTightTimes?: boolean;
}

const CACHE_BYTES = 4 * 1024 * 1024;

/** @returns undefined when there is nothing to be in it */
export async function writeMerged(context: JobContext, block: NewBlock): Promise<LoadedBlock | undefined> {
  const { vfs } = context;
  const merge = new SourceMerge(block.sources);
  let writer: BlockWriter | undefined;
  try {
    writer = await BlockWriter.create({ vfs, ...block, symbols: merge.symbols });
    const stillDeleted = await fill(context, block, merge, writer);
    if (writer.seriesCount === 0) {
      await writer.abandon();
      return undefined;
    }
    const finished = await writer.finish();
    checkAgain(context, writer.dir, finished);
    if (stillDeleted.length > 0) await keepDeleted(vfs, writer.dir, stillDeleted);
    context.check();
    context.naming(block.ulid);
    await writer.publish();
    return { meta: finished.meta, sizeBytes: finished.sizeBytes, hasTombstones: stillDeleted.length > 0 };
  } catch (error) {
    await discard(context, block, writer);
    throw error;
  }
}

async function fill(
  { log, pause, progress }: JobContext,
  { packed, ulid, memory }: NewBlock,
  merge: SourceMerge,
  writer: BlockWriter,
): Promise<readonly StillDeleted[]> {
  const total = merge.seriesCount;
  const { stillDeleted, leftOutCount } = await merge.writeTo(writer, {
    memory,
    target: { encoder: packed ? new PackedEncoder(memory) : new XorEncoder(memory), packed },
    pause,
    onSeries: (done) => progress({ done, total, unit: "series" }),
  });
  if (leftOutCount > 0)
    log.warn(
      { operation: "compact", block: ulid, chunks: leftOutCount },
      "native histogram chunks that overlap those of older blocks were left out",
    );
  return stillDeleted;
}

/** @throws CorruptBlockError when the disk does not have what was written */
function checkAgain({ vfs, module, check }: JobContext, dir: string, { samples }: FinishedBlock): void {
  checkBlock({ vfs, dir, cache: new PageCache(CACHE_BYTES), memory: new PrivateMemory(module), check }, samples);
}

/** Marks again what is deleted of chunks that were taken whole. */
async function keepDeleted(vfs: Vfs, dir: string, stillDeleted: readonly StillDeleted[]): Promise<void> {
  const tombstones = new Tombstones();
  const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
  try {
    const ids = block.index.allPostings();
    for (const { series, intervals } of stillDeleted)
      for (let i = 0; i < intervals.length; i += 2) tombstones.add(ids[series]!, intervals[i]!, intervals[i + 1]!);
  } finally {
    block.close();
  }
  await replaceTombstones(vfs, dir, tombstones);
}

/** What was read was verified: a close that fails changes nothing of it, and must not make a job of it that failed. */
export function closeSources(sources: readonly SeriesSource[], log: Logger): void {
  for (const source of sources)
    try {
      source.close();
    } catch (error) {
      log.warn({ operation: "compact", err: error }, `Cannot close ${source.name}: ${messageOf(error)}`);
    }
}

async function discard(
  { vfs, log }: JobContext,
  { blocksDir, ulid }: NewBlock,
  writer: BlockWriter | undefined,
): Promise<void> {
  try {
    if (writer === undefined) await removeTree(vfs, join(blocksDir, ulid + CREATION_SUFFIX));
    else if (writer.dir.endsWith(CREATION_SUFFIX)) await writer.abandon();
    // Under its own name the next start would take it for a block, and drop its sources.
    else await removeBlocks(vfs, blocksDir, [ulid]);
  } catch (error) {
    log.warn(
      { operation: "compact", block: ulid, err: error },
      `Cannot remove a block that was not finished; the next start or delete sees to it: ${messageOf(error)}`,
    );
  }
}
