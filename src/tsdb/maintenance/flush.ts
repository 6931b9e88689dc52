/**
 * Brings what the head has before a time to blocks, one for each range of time that it touches. The head is read as a query
 * reads it; nothing of it changes here. All blocks of a flush are there once it has ended, or none.
 */
import { messageOf } from "../../base/errors.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { blocksDirOf, newUlids, removeBlocks } from "./block-dirs.ts";
import { HeadSeries } from "./head-series.ts";
import type { HeadRange } from "./head-source.ts";
import type { JobContext } from "./job-context.ts";
import type { FlushJob, JobResults, LoadedBlock } from "./protocol.ts";
import { ensureSpace } from "./space.ts";
import { closeSources, writeMerged } from "./write-merged.ts";

export async function flush(job: FlushJob, context: JobContext): Promise<JobResults["flush"]> {
  const startMs = context.clock.monotonicMs();
  const blocks = await writeHead(job, blocksDirOf(context), context);
  context.log.info(
    {
      operation: "flush",
      blocks: blocks.map(({ meta }) => meta.ulid),
      samples: blocks.reduce((sum, { meta }) => sum + meta.stats.numSamples, 0),
      bytes: blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      duration_ms: Math.round(context.clock.monotonicMs() - startMs),
    },
    "wrote blocks of the head",
  );
  return { blocks };
}

/** Writes the blocks of a flush to a directory. */
export async function writeHead(
  { head, beforeMs, sequence, blockRangeMs, reserveBytes }: Omit<FlushJob, "kind">,
  blocksDir: string,
  context: JobContext,
): Promise<LoadedBlock[]> {
  const { vfs, check } = context;
  await ensureSpace(vfs, blocksDir, { neededBytes: 0, reserveBytes, what: "bring the head to blocks" });
  const makeUlid = await newUlids(context, blocksDir);
  const series = new HeadSeries(head, { vfs, beforeMs, sequence, rangeMs: blockRangeMs, check });
  const blocks: LoadedBlock[] = [];
  try {
    for (const range of series.ranges) {
      await context.pause();
      const block = await writeRange(series, range, blocksDir, makeUlid(), context);
      if (block !== undefined) blocks.push(block);
    }
    return blocks;
  } catch (error) {
    await discard(blocks, blocksDir, context);
    throw error;
  } finally {
    series.close();
  }
}

async function writeRange(
  series: HeadSeries,
  range: HeadRange,
  blocksDir: string,
  ulid: string,
  context: JobContext,
): Promise<LoadedBlock | undefined> {
  const sources = series.sources(range);
  try {
    return await writeMerged(context, {
      blocksDir,
      ulid,
      ...range,
      // A block of late samples is mostly much shorter than its range.
      hasTightTimes: true,
      compaction: { level: 1, sources: [ulid] },
      sources,
      packed: false,
      memory: new PrivateMemory(context.module),
    });
  } finally {
    closeSources(sources, context.log);
  }
}

/** The head still has all of it, and may be told to delete some, which these blocks would not know of. */
async function discard(blocks: readonly LoadedBlock[], blocksDir: string, { vfs, log }: JobContext): Promise<void> {
  const ulids = blocks.map(({ meta }) => meta.ulid);
  try {
    await removeBlocks(vfs, blocksDir, ulids);
  } catch (error) {
    log.error(
      { operation: "flush", blocks: ulids, err: error },
      `Cannot remove blocks of a flush that failed: ${messageOf(error)}`,
    );
  }
}
