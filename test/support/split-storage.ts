/**
 * Series spread at random over two blocks, packed or not, and the head of a database, there in order or late, so that
 * whoever reads all together finds just these series. Samples lie in one place or in several; what must not be seen is there
 * as well: other values in places that count later, samples that are deleted, and in-order samples of the head below its
 * floor.
 */
import { BlockStorage } from "../../src/tsdb/block/block-storage.ts";
import { replaceTombstones, Tombstones } from "../../src/tsdb/block/tombstones.ts";
import { HeadStorage } from "../../src/tsdb/head/head-storage.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { compareLabelSets, METRIC_NAME } from "../../src/tsdb/model/labels.ts";
import { MergedStorage } from "../../src/tsdb/query/merged-storage.ts";
import type { BlockRef, Storage } from "../../src/tsdb/storage.ts";
import { openBlock, ULID_A, ULID_B, writeBlock } from "./blocks.ts";
import type { Sample } from "./columns.ts";
import { DATA_DIR, openDatabase, write } from "./database.ts";
import type { FakeSeries } from "./fake-storage.ts";
import type { Random } from "./random.ts";
import { MemoryVfs } from "./vfs/memory.ts";

const kernel = loadKernelModule();
const BLOCKS_DIR = `${DATA_DIR}/blocks`;

export interface SplitStorage {
  readonly storage: Storage;
  close(): Promise<void>;
}

/** Samples of one series: the first block's count first, then the second's, then those in order of the head, then late ones. */
interface Split {
  readonly labels: FakeSeries["labels"];
  readonly blocks: readonly [Map<number, bigint>, Map<number, bigint>];
  readonly head: Map<number, bigint>;
  readonly late: Map<number, bigint>;
  /** Times that are deleted, by block. */
  readonly deleted: readonly [number[], number[]];
}

const LURE = 0x40c3_8800_0000_0000n; // 10,000

export async function splitStorage(series: readonly FakeSeries[], random: Random): Promise<SplitStorage> {
  const times = series.flatMap((one) => one.times);
  const floorMs = random.chance(0.5) ? Number.NEGATIVE_INFINITY : random.pick([...times, 0]);
  const split = series.map((one) => splitSeries(one, floorMs, random));

  const vfs = new MemoryVfs();
  const retention = { ageMs: 1e14, sizeBytesMax: 0, volumePercentMax: 0 };
  const database = await openDatabase(vfs, { kernel, retention, outOfOrderWindowMs: 1e14, wal: { enabled: false } });
  for (const part of ["head", "late"] as const) {
    const { rejections } = await write(
      database,
      split.filter((one) => one[part].size > 0).map((one) => written(one.labels, one[part])),
    );
    if (rejections.length > 0) throw new Error(JSON.stringify(rejections));
  }
  const refs = await Promise.all(
    [ULID_A, ULID_B].map((ulid, block) => writeSplit(vfs, ulid, split, block as 0 | 1, random.chance(0.5))),
  );

  const attachment = database.attach()!;
  const head = new HeadStorage(attachment, vfs);
  const blocks = new BlockStorage({ vfs, blocksDir: BLOCKS_DIR, cacheBytesMax: 2 ** 20 });
  const sources = blocks.sources(refs.filter((ref) => ref !== undefined));
  return {
    storage: new MergedStorage([...sources, head.source(floorMs)]),
    async close() {
      blocks.close();
      head.close();
      database.detach(attachment.slot);
      await database.close();
    },
  };
}

function splitSeries({ labels, times, values }: FakeSeries, floorMs: number, random: Random): Split {
  const bits = new BigUint64Array(values.buffer, values.byteOffset, values.length);
  // A script may give a time twice: there the last value counts.
  const samples = new Map(times.map((time, i) => [time, bits[i]!]));
  const split: Split = { labels, blocks: [new Map(), new Map()], head: new Map(), late: new Map(), deleted: [[], []] };
  const sources = [...split.blocks, split.head];
  // A head takes no series without a metric name.
  const hasHead = labels.some(([name]) => name === METRIC_NAME);
  const [first, second] = [random.pick([...times, 0]), random.pick([...times, 0])];
  const isMixed = random.chance(0.5);
  for (const [time, value] of samples) {
    const inTurn = time < Math.min(first, second) ? 0 : time < Math.max(first, second) ? 1 : 2;
    const wanted = isMixed ? random.below(3) : inTurn;
    const source = wanted === 2 && (!hasHead || time < floorMs) ? random.below(2) : wanted;
    sources[source]!.set(time, value);
    for (let later = source + 1; later < (hasHead ? 3 : 2); later++)
      if (random.chance(0.2)) sources[later]!.set(time, random.chance(0.5) ? value : LURE);
  }
  for (const [block, deleted] of split.deleted.entries())
    for (const time of samples.keys()) {
      // Between two samples, where there is room.
      const lure = time + 1 + random.below(500);
      if (!random.chance(0.1) || samples.has(lure)) continue;
      split.blocks[block]!.set(lure, LURE);
      deleted.push(lure);
    }
  if (!hasHead) return split;
  for (const time of samples.keys()) if (time < floorMs && random.chance(0.2)) split.head.set(time, LURE);
  const newest = Math.max(...split.head.keys());
  for (const [time, value] of samples) {
    if (time >= newest) continue;
    const places = sources.filter((source) => source.has(time));
    if (places.length === 1 && random.chance(0.2)) {
      places[0]!.delete(time);
      split.late.set(time, value);
    } else if (random.chance(0.1)) split.late.set(time, LURE);
  }
  return split;
}

const inOrder = (samples: ReadonlyMap<number, bigint>): Sample[] =>
  Array.from(samples, ([timeMs, value]) => ({ timeMs, value })).sort((a, b) => a.timeMs - b.timeMs);

function written(labels: Split["labels"], samples: ReadonlyMap<number, bigint>) {
  const bytes = (text: string) => Buffer.from(text).toString("latin1");
  return {
    labels: labels.map(([name, value]) => [bytes(name), bytes(value)] as const),
    samples: inOrder(samples).map(({ timeMs, value }) => ({ timestampMs: BigInt(timeMs), value })),
  };
}

async function writeSplit(
  vfs: MemoryVfs,
  ulid: string,
  split: readonly Split[],
  block: 0 | 1,
  packed: boolean,
): Promise<BlockRef | undefined> {
  const there = split
    .filter(({ blocks }) => blocks[block].size > 0)
    .sort((a, b) => compareLabelSets(a.labels, b.labels));
  if (there.length === 0) return undefined;
  const cut = (samples: readonly Sample[]) =>
    Array.from({ length: Math.ceil(samples.length / 7) }, (_, i) => samples.slice(7 * i, 7 * i + 7));
  const series = there.map(({ labels, blocks }) => ({ labels, chunks: cut(inOrder(blocks[block])) }));
  const { meta } = await writeBlock({ vfs, blocksDir: BLOCKS_DIR, ulid, packed }, series);
  const opened = openBlock(vfs, `${BLOCKS_DIR}/${ulid}`);
  const tombstones = new Tombstones();
  for (const [i, id] of opened.index.allPostings().entries())
    for (const time of there[i]!.deleted[block]) tombstones.add(id, time, time);
  opened.close();
  await replaceTombstones(vfs, `${BLOCKS_DIR}/${ulid}`, tombstones);
  return { ulid, minTime: meta.minTime, maxTime: meta.maxTime, tombstonesVersion: 1 };
}
