/** Maintenance jobs run in this thread, on a disk in memory, with a clock and chance that a test decides. */
import { silentLogger } from "../../src/base/logger.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import { replaceTombstones, Tombstones } from "../../src/tsdb/block/tombstones.ts";
import { BlockReader } from "../../src/tsdb/block/block-reader.ts";
import { PageCache } from "../../src/tsdb/index/page-cache.ts";
import { SeriesEntry } from "../../src/tsdb/index/series-entry.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../../src/tsdb/kernel/private-memory.ts";
import { formatLabelSet, type LabelSet } from "../../src/tsdb/model/labels.ts";
import type { JobEnvironment } from "../../src/tsdb/maintenance/job-context.ts";
import { jobs } from "../../src/tsdb/maintenance/jobs.ts";
import type { LoadedBlock } from "../../src/tsdb/maintenance/protocol.ts";
import { InlineRunner } from "../../src/tsdb/maintenance/runner-inline.ts";
import { ulidOf } from "./block-metas.ts";
import { writeBlock } from "./blocks.ts";
import { ManualClock } from "./clock.ts";
import type { Sample } from "./columns.ts";
import { Random } from "./random.ts";

export const DATA_DIR = "/data";
export const BLOCKS_DIR = "/data/blocks";

const module = loadKernelModule({ debug: true });

export const environmentOn = (vfs: Vfs, overrides: Partial<JobEnvironment> = {}): JobEnvironment => {
  const random = new Random(7);
  return {
    vfs,
    dataDir: DATA_DIR,
    module,
    clock: new ManualClock(),
    random: (count) => random.bytes(count),
    log: silentLogger,
    ...overrides,
  };
};

export const runnerOn = (vfs: Vfs, overrides?: Partial<JobEnvironment>): InlineRunner =>
  new InlineRunner(jobs, environmentOn(vfs, overrides));

/** Samples by series, in text, then by time: the bits of their values. */
export type FlatSamples = Map<string, Map<number, bigint>>;

export interface PlainSeries {
  readonly labels: LabelSet;
  readonly chunks: readonly (readonly Sample[])[];
  /** Both ends inclusive. */
  readonly deleted?: readonly (readonly [mint: number, maxt: number])[];
}

/** Writes block number `n`, with what is deleted of it. */
export async function writePlainBlock(
  vfs: Vfs,
  n: number,
  series: readonly PlainSeries[],
  range: { readonly minTime?: number; readonly maxTime?: number } = {},
): Promise<string> {
  const ulid = ulidOf(n);
  await vfs.mkdir(BLOCKS_DIR);
  await writeBlock({ vfs, blocksDir: BLOCKS_DIR, ulid, ...range }, series);
  const tombstones = new Tombstones();
  const dir = `${BLOCKS_DIR}/${ulid}`;
  const block = BlockReader.open(vfs, dir, new PageCache(1 << 20));
  const entry = new SeriesEntry();
  for (const id of block.index.allPostings()) {
    block.index.series(id, entry);
    const name = nameOf(block, entry);
    const { deleted = [] } = series.find(({ labels }) => formatLabelSet(labels) === name)!;
    for (const [mint, maxt] of deleted) tombstones.add(id, mint, maxt);
  }
  block.close();
  if (tombstones.intervalCount > 0) await replaceTombstones(vfs, dir, tombstones);
  return ulid;
}

function nameOf(block: BlockReader, { labels, labelCount }: SeriesEntry): string {
  const text = (i: number): string => block.index.symbols.textOf(labels[i]!);
  return formatLabelSet(Array.from({ length: labelCount }, (_, i) => [text(2 * i), text(2 * i + 1)] as const));
}

/** What plain series hold, one after the other: of two samples with one time the first. */
export function flatten(sources: readonly (readonly PlainSeries[])[]): FlatSamples {
  const flat: FlatSamples = new Map();
  for (const { labels, chunks, deleted = [] } of sources.flat())
    for (const { timeMs, value } of chunks.flat())
      if (!deleted.some(([mint, maxt]) => timeMs >= mint && timeMs <= maxt))
        addFirst(flat, formatLabelSet(labels), timeMs, value);
  return flat;
}

function addFirst(flat: FlatSamples, name: string, timeMs: number, value: bigint): void {
  const samples = flat.get(name) ?? new Map<number, bigint>();
  flat.set(name, samples);
  if (!samples.has(timeMs)) samples.set(timeMs, value);
}

export interface ReadChunk {
  readonly series: string;
  readonly encoding: number;
  readonly samples: readonly Sample[];
}

/** All chunks of a block, with all of their samples. */
export function chunksOf(vfs: Vfs, dir: string): ReadChunk[] {
  const memory = new PrivateMemory(module);
  const block = BlockReader.open(vfs, dir, new PageCache(1 << 20));
  const entry = new SeriesEntry();
  const chunks: ReadChunk[] = [];
  for (const id of block.index.allPostings()) {
    block.index.series(id, entry);
    const series = nameOf(block, entry);
    for (const ref of entry.ref.subarray(0, entry.chunkCount)) {
      const { encoding, data } = block.chunks.read(ref);
      chunks.push({ series, encoding, samples: decode(memory, encoding, data) });
    }
  }
  block.close();
  return chunks;
}

function decode(memory: PrivateMemory, encoding: number, data: Uint8Array): Sample[] {
  memory.clear();
  const chunk = memory.reserve(data.byteLength + 64);
  memory.bytes.set(data, chunk);
  const count = memory.kernel.chunkSampleCount(encoding, chunk, data.byteLength);
  const times = memory.reserve(8 * count);
  const values = memory.reserve(8 * count);
  if (memory.kernel.decodeChunk(encoding, chunk, data.byteLength, times, values, count) !== count)
    throw new Error(`a chunk of encoding ${encoding} that cannot be decoded`);
  const bits = new BigUint64Array(memory.bytes.buffer, values, count);
  return Array.from(memory.column(times, count), (timeMs, i) => ({ timeMs, value: bits[i]! }));
}

/** What blocks hold together, without what is deleted; the first block's samples count. */
export function readBlocks(vfs: Vfs, dirs: readonly string[]): FlatSamples {
  const flat: FlatSamples = new Map();
  for (const dir of dirs) {
    const block = BlockReader.open(vfs, dir, new PageCache(1 << 20));
    const tombstones = block.readTombstones();
    const entry = new SeriesEntry();
    const deleted = new Map<string, readonly { readonly mint: number; readonly maxt: number }[]>();
    for (const id of block.index.allPostings()) {
      block.index.series(id, entry);
      deleted.set(nameOf(block, entry), tombstones.of(id));
    }
    block.close();
    for (const { series, samples } of chunksOf(vfs, dir))
      for (const { timeMs, value } of samples)
        if (!deleted.get(series)!.some(({ mint, maxt }) => timeMs >= mint && timeMs <= maxt))
          addFirst(flat, series, timeMs, value);
  }
  return flat;
}

export const dirOf = (ulid: string): string => `${BLOCKS_DIR}/${ulid}`;
export const dirsOf = (blocks: readonly LoadedBlock[]): string[] => blocks.map(({ meta }) => dirOf(meta.ulid));

/** In one order, for comparing. */
export const sorted = (flat: FlatSamples) =>
  [...flat]
    .filter(([, samples]) => samples.size > 0)
    .map(([name, samples]) => [name, [...samples].sort(([a], [b]) => a - b)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
