/** Merges blocks into one, or writes one anew without what is deleted of it. The sources stay as they are. */
import { join } from "node:path/posix";
import { BlockSource } from "../compact/block-source.ts";
import { lineageOf } from "../compact/lineage.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { blocksDirOf, newUlids, sizeOfTree, UNPACKED_FACTOR } from "./block-dirs.ts";
import type { JobContext } from "./job-context.ts";
import type { CompactJob, JobResults } from "./protocol.ts";
import { ensureSpace } from "./space.ts";
import { closeSources, writeMerged } from "./write-merged.ts";

export async function compact(
  { sources: ulids, packed, reserveBytes }: CompactJob,
  context: JobContext,
): Promise<JobResults["compact"]> {
  const { vfs, log } = context;
  const blocksDir = blocksDirOf(context);
  const startMs = context.clock.monotonicMs();
  let sourceBytes = 0;
  for (const ulid of ulids) sourceBytes += await sizeOfTree(vfs, join(blocksDir, ulid));
  const memory = new PrivateMemory(context.module);
  const sources: BlockSource[] = [];
  try {
    for (const ulid of ulids) {
      await context.pause();
      sources.push(BlockSource.open(vfs, join(blocksDir, ulid), memory));
    }
    const metas = sources.map(({ block }) => block.meta);
    const isUnpacked = !packed && metas.some(({ compaction }) => compaction.level > 1);
    await ensureSpace(vfs, blocksDir, {
      neededBytes: isUnpacked ? sourceBytes * UNPACKED_FACTOR : sourceBytes,
      reserveBytes,
      what: ulids.length === 1 ? `write block ${ulids[0]} anew` : `merge ${ulids.length} blocks`,
    });
    const makeUlid = await newUlids(context, blocksDir);
    const block = await writeMerged(context, {
      blocksDir,
      ulid: makeUlid(),
      minTime: Math.min(...metas.map(({ minTime }) => minTime)),
      maxTime: Math.max(...metas.map(({ maxTime }) => maxTime)),
      compaction: lineageOf(metas),
      sources,
      packed,
      memory,
    });
    log.info(
      {
        operation: "compact",
        sources: ulids,
        block: block?.meta.ulid,
        samples: block?.meta.stats.numSamples ?? 0,
        source_bytes: sourceBytes,
        bytes: block?.sizeBytes ?? 0,
        duration_ms: Math.round(context.clock.monotonicMs() - startMs),
      },
      block === undefined ? "merged blocks; nothing was left" : "merged blocks",
    );
    return { block };
  } finally {
    closeSources(sources, log);
  }
}
