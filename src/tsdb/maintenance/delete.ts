/**
 * Marks samples of blocks as deleted: the series that match, in the range of time, get tombstones beside those that they
 * have. Samples are gone once the block is next merged or written anew.
 */
import { join } from "node:path/posix";
import { matchingSeries } from "../block/block-labels.ts";
import { BlockReader } from "../block/block-reader.ts";
import { SeriesSeeds } from "../block/series-seed.ts";
import { replaceTombstones, type Tombstones } from "../block/tombstones.ts";
import { PageCache } from "../index/page-cache.ts";
import { HeadStorage } from "../head/head-storage.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import type { Matcher } from "../model/matcher.ts";
import { parseSeriesSelector } from "../promql/parser.ts";
import { blocksDirOf } from "./block-dirs.ts";
import { LabelTable } from "../promql/label-table.ts";
import type { JobContext } from "./job-context.ts";
import type { DeleteJob, JobResults } from "./protocol.ts";
import { SampleCounter } from "./sample-counter.ts";

const CACHE_BYTES = 4 * 1024 * 1024;

export async function deleteSamples(job: DeleteJob, context: JobContext): Promise<JobResults["delete"]> {
  const { vfs, module, progress } = context;
  const blocksDir = blocksDirOf(context);
  const selectors = job.selectors.map(parseSeriesSelector);
  const counter = new SampleCounter(new PrivateMemory(module));
  /** By a hash of their labels, as they may be in several blocks. */
  const series = new Set<bigint>();
  const ulids: string[] = [];
  let sampleCount = 0;
  for (const [done, ulid] of job.ulids.entries()) {
    const dir = join(blocksDir, ulid);
    const block = BlockReader.open(vfs, dir, new PageCache(CACHE_BYTES));
    try {
      const tombstones = block.readTombstones();
      const count = await addTombstones(block, tombstones, { selectors, job, counter, series, context });
      if (count > 0) ulids.push(ulid);
      if (count > 0 && !job.isDryRun) await replaceTombstones(vfs, dir, tombstones);
      sampleCount += count;
    } finally {
      block.close();
    }
    progress({ done: done + 1, total: job.ulids.length, unit: "blocks" });
  }
  return { ulids, seriesCount: series.size, sampleCount, headRefs: headRefs(job, selectors, context) };
}

function headRefs(
  { head, mint, maxt }: DeleteJob,
  selectors: readonly (readonly Matcher[])[],
  { vfs, check }: JobContext,
): Uint32Array {
  if (head === undefined) return new Uint32Array();
  const storage = new HeadStorage(head, vfs);
  try {
    const budget = { addSeries: check, addSamples: check, addBytes: check, check };
    const context = { labels: new LabelTable(), budget };
    const refs = new Set<number>();
    for (const matchers of selectors) for (const ref of storage.refs(matchers, mint, maxt, context)) refs.add(ref);
    return Uint32Array.from(refs).sort();
  } finally {
    storage.close();
  }
}

interface Deletion {
  readonly selectors: readonly (readonly Matcher[])[];
  readonly job: DeleteJob;
  readonly counter: SampleCounter;
  readonly series: Set<bigint>;
  readonly context: JobContext;
}

/** @returns how many samples they hide that were not hidden before */
async function addTombstones(
  block: BlockReader,
  tombstones: Tombstones,
  { selectors, job: { mint, maxt }, counter, series, context }: Deletion,
): Promise<number> {
  const { index } = block;
  const seeds = new SeriesSeeds(index.symbols);
  const entry = new SeriesEntry();
  const ids = new Set(selectors.flatMap((matchers) => [...matchingSeries(index, matchers, context.check)]));
  let sampleCount = 0;
  for (const id of ids) {
    await context.pause();
    index.series(id, entry);
    const count = counter.count(block, entry, { mint, maxt }, tombstones.of(id));
    if (count === 0) continue;
    sampleCount += count;
    series.add(seeds.of(entry.labels, entry.labelCount));
    // Only up to what there is: samples of these times that come to the series later are not meant.
    tombstones.add(id, Math.max(mint, entry.mint[0]!), Math.min(maxt, entry.maxt[entry.chunkCount - 1]!));
  }
  return sampleCount;
}
