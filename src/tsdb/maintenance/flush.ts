/**
 * Brings what the head has before a time to blocks, one for each range of time that it touches. The head is read as a query
 * reads it; nothing of it changes here. All blocks of a flush are there once it has ended, or none.
 */
import { HeadMemory } from "../kernel/head-memory.ts";
import { HeadStorage } from "../head/head-storage.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { messageOf } from "../../base/errors.ts";
import { blocksDirOf, newUlids, removeBlocks } from "./block-dirs.ts";
import { openHead } from "./head-source.ts";
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
  { head, beforeMs, blockRangeMs, reserveBytes }: Omit<FlushJob, "kind">,
  blocksDir: string,
  context: JobContext,
): Promise<LoadedBlock[]> {
  const { vfs, log } = context;
  await ensureSpace(vfs, blocksDir, { neededBytes: 0, reserveBytes, what: "bring the head to blocks" });
  const memory = HeadMemory.attach(head.module, head.memory);
  const oldestMs = memory.i64(memory.at.H_MIN_TIME_MS);
  const storage = new HeadStorage(head, vfs);
  const blocks: LoadedBlock[] = [];
  try {
    const makeUlid = await newUlids(context, blocksDir);
    for (let from = rangeStart(oldestMs, blockRangeMs); from < beforeMs; from += blockRangeMs) {
      await context.pause();
      const range = { mint: from, maxt: Math.min(from + blockRangeMs, beforeMs) - 1 };
      const block = await writeRange(storage, range, blocksDir, makeUlid(), context);
      if (block !== undefined) blocks.push(block);
    }
    return blocks;
  } catch (error) {
    await removeBlocks(
      vfs,
      blocksDir,
      blocks.map(({ meta }) => meta.ulid),
    ).catch((cause: unknown) => {
      log.warn({ operation: "flush", err: cause }, `Cannot remove blocks of a flush that failed: ${messageOf(cause)}`);
    });
    throw error;
  } finally {
    storage.close();
  }
}

/** Without samples the oldest time is the end of all times: no range begins there. */
const rangeStart = (timeMs: number, rangeMs: number): number => Math.floor(timeMs / rangeMs) * rangeMs;

async function writeRange(
  storage: HeadStorage,
  range: { readonly mint: number; readonly maxt: number },
  blocksDir: string,
  ulid: string,
  context: JobContext,
): Promise<LoadedBlock | undefined> {
  const memory = new PrivateMemory(context.module);
  const sources = openHead(storage.source(Number.NEGATIVE_INFINITY), range, memory, context.check);
  if (sources.length === 0) return undefined;
  try {
    return await writeMerged(context, {
      blocksDir,
      ulid,
      minTime: range.mint,
      maxTime: range.maxt + 1,
      compaction: { level: 1, sources: [ulid] },
      sources,
      packed: false,
      memory,
      // A block of late samples is mostly much shorter than its range.
      hasTightTimes: true,
    });
  } finally {
    closeSources(sources, context.log);
  }
}
