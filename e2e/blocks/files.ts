/** Blocks on disk: a day written by our writer, and blocks of whomever read by our reader. */
import { randomFillSync } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { realVfs } from "../../src/base/vfs.ts";
import { BlockReader, readBlockMeta } from "../../src/tsdb/block/block-reader.ts";
import { BlockWriter, type ChunkToWrite } from "../../src/tsdb/block/block-writer.ts";
import type { ChunkData } from "../../src/tsdb/block/chunk-files-reader.ts";
import { isOpaque } from "../../src/tsdb/block/sample-sum.ts";
import { checkBlock } from "../../src/tsdb/block/check-block.ts";
import { SeriesSeeds } from "../../src/tsdb/block/series-seed.ts";
import { replaceTombstones } from "../../src/tsdb/block/tombstones.ts";
import { verifyBlock } from "../../src/tsdb/block/verify-block.ts";
import { supersededBlocks } from "../../src/tsdb/compact/superseded.ts";
import { PageCache } from "../../src/tsdb/index/page-cache.ts";
import { SeriesEntry } from "../../src/tsdb/index/series-entry.ts";
import { SymbolTable } from "../../src/tsdb/index/symbol-table.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../../src/tsdb/kernel/private-memory.ts";
import { compareLabelSets } from "../../src/tsdb/model/labels.ts";
import { isUlid, ulidMaker } from "../../src/tsdb/model/ulid.ts";
import { CHUNK_XOR } from "../../src/tsdb/storage.ts";
import { type DaySeries, RANGE_MS } from "./population.ts";

const SAMPLES_PER_CHUNK = 120;
const XOR_BYTES_MAX = 64 * SAMPLES_PER_CHUNK;

/** Writes one block for each range of two hours. @returns how many */
export async function writeDay(
  dir: string,
  series: readonly DaySeries[],
  startMs: number,
  endMs: number,
): Promise<number> {
  const memory = new PrivateMemory(loadKernelModule());
  const nextUlid = ulidMaker((into) => void randomFillSync(into));
  const symbols = SymbolTable.of(series.flatMap(({ labels }) => labels.flat()));
  const seeds = new SeriesSeeds(symbols);
  const sorted = [...series].sort((a, b) => compareLabelSets(a.labels, b.labels));
  const encoder = new TextEncoder();
  let count = 0;
  for (let minTime = startMs; minTime < endMs; minTime += RANGE_MS, count++) {
    const ulid = nextUlid(minTime);
    const maxTime = minTime + RANGE_MS;
    const compaction = { level: 1, sources: [ulid] };
    const writer = await BlockWriter.create({
      vfs: realVfs,
      blocksDir: dir,
      ulid,
      symbols,
      minTime,
      maxTime,
      compaction,
    });
    for (const { labels, times, values } of sorted) {
      const first = times.findIndex((time) => time >= minTime);
      const behind = times.findIndex((time) => time >= maxTime);
      const end = behind < 0 ? times.length : behind;
      if (first < 0 || first >= end) continue;
      const numbers = Uint32Array.from(labels.flat(), (text) => symbols.find(encoder.encode(text))!);
      const seed = seeds.of(numbers, labels.length);
      const chunks: ChunkToWrite[] = [];
      let hash = 0n;
      for (let from = first; from < end; from += SAMPLES_PER_CHUNK) {
        const to = Math.min(end, from + SAMPLES_PER_CHUNK);
        const encoded = encode(memory, times.subarray(from, to), values.subarray(from, to), seed);
        chunks.push({ ...encoded, mint: times[from]!, maxt: times[to - 1]!, sampleCount: to - from });
        hash += encoded.hash;
      }
      await writer.add(numbers, chunks, hash);
    }
    const { samples } = await writer.finish();
    const { dir: writtenDir } = writer;
    checkBlock({ vfs: realVfs, dir: writtenDir, cache: new PageCache(1 << 20), memory, check: () => {} }, samples);
    await writer.publish();
  }
  return count;
}

function encode(
  memory: PrivateMemory,
  times: Float64Array,
  values: Float64Array,
  seed: bigint,
): { readonly encoding: number; readonly data: Uint8Array; readonly hash: bigint } {
  memory.clear();
  const { length } = times;
  const [timesAt, valuesAt, state, out] = [8 * length, 8 * length, 64, XOR_BYTES_MAX].map((bytes) =>
    memory.reserve(bytes),
  );
  memory.column(timesAt!, length).set(times);
  memory.column(valuesAt!, length).set(values);
  const bytes = memory.kernel.xorEncode(timesAt!, valuesAt!, length, out!, state!);
  const hash = memory.kernel.hashSamples(timesAt!, valuesAt!, length, seed);
  return { encoding: CHUNK_XOR, data: memory.bytes.slice(out, out! + bytes), hash };
}

export const blockDirsIn = (dir: string): string[] =>
  readdirSync(dir)
    .filter(isUlid)
    .sort()
    .map((name) => join(dir, name));

/** Deletes an interval of all series of the first block. @returns of how many */
export async function deleteInFirstBlock(dir: string, mint: number, maxt: number): Promise<number> {
  const [blockDir] = blockDirsIn(dir);
  const block = BlockReader.open(realVfs, blockDir!, new PageCache(1 << 20));
  const tombstones = block.readTombstones();
  for (const id of block.index.allPostings()) tombstones.add(id, mint, maxt);
  block.close();
  await replaceTombstones(realVfs, blockDir!, tombstones);
  return tombstones.seriesCount;
}

export interface ReadBlocks {
  readonly series: DaySeries[];
  readonly tombstoneCount: number;
  /** Chunks that hold no floats; they are not among the series. */
  readonly opaqueChunkCount: number;
}

/** Verifies and reads all blocks in a directory; what is deleted of them is left out. */
export function readBlocks(dir: string): ReadBlocks {
  const memory = new PrivateMemory(loadKernelModule());
  const parts = new Map<string, DaySeries[]>();
  let tombstoneCount = 0;
  let opaqueChunkCount = 0;
  // Prometheus removes what went into a block a moment after the block is there; it may have been stopped in between.
  const metas = blockDirsIn(dir).map((blockDir) => readBlockMeta(realVfs, blockDir).meta);
  const superseded = supersededBlocks(metas);
  for (const { ulid } of metas.filter((meta) => !superseded.has(meta.ulid))) {
    const blockDir = join(dir, ulid);
    const { damages } = verifyBlock({ vfs: realVfs, dir: blockDir, memory, check: () => {} });
    if (damages.length > 0) throw new Error(`${blockDir}: ${JSON.stringify(damages)}`);
    const block = BlockReader.open(realVfs, blockDir, new PageCache(1 << 20));
    const tombstones = block.readTombstones();
    tombstoneCount += tombstones.intervalCount;
    const entry = new SeriesEntry();
    for (const id of block.index.allPostings()) {
      block.index.series(id, entry);
      const text = (i: number): string => block.index.symbols.textOf(entry.labels[i]!);
      const labels = Array.from({ length: entry.labelCount }, (_, i) => [text(2 * i), text(2 * i + 1)] as const);
      const known = parts.get(JSON.stringify(labels)) ?? [];
      parts.set(JSON.stringify(labels), known);
      for (let i = 0; i < entry.chunkCount; i++) {
        const chunk = block.chunks.read(entry.ref[i]!);
        if (isOpaque(chunk.encoding)) opaqueChunkCount++;
        else known.push({ labels, ...decode(memory, chunk) });
      }
      for (const { mint, maxt } of tombstones.of(id))
        known.push(...known.splice(0).map((part) => without(part, mint, maxt)));
    }
    block.close();
  }
  const series = [...parts.values()].filter((chunks) => chunks.some(({ times }) => times.length > 0)).map(joined);
  return { series, tombstoneCount, opaqueChunkCount };
}

function decode(memory: PrivateMemory, { encoding, data }: ChunkData): Pick<DaySeries, "times" | "values"> {
  memory.clear();
  const { kernel } = memory;
  const chunk = memory.reserve(data.byteLength);
  memory.bytes.set(data, chunk);
  const countMax = kernel.chunkSampleCount(encoding, chunk, data.byteLength);
  const [times, values] = [memory.reserve(8 * countMax), memory.reserve(8 * countMax)];
  const count = kernel.decodeChunk(encoding, chunk, data.byteLength, times, values, countMax);
  if (count < 0) throw new Error(`a chunk of encoding ${encoding} that cannot be decoded`);
  return { times: Float64Array.from(memory.column(times, count)), values: memory.column(values, count).slice() };
}

function without({ labels, times, values }: DaySeries, mint: number, maxt: number): DaySeries {
  const kept = [...times.keys()].filter((i) => times[i]! < mint || times[i]! > maxt);
  const words = new BigUint64Array(values.slice().buffer);
  return {
    labels,
    times: Float64Array.from(kept, (i) => times[i]!),
    values: new Float64Array(BigUint64Array.from(kept, (i) => words[i]!).buffer),
  };
}

function joined(parts: readonly DaySeries[]): DaySeries {
  const count = parts.reduce((sum, { times }) => sum + times.length, 0);
  const [times, values] = [new Float64Array(count), new Float64Array(count)];
  let at = 0;
  for (const part of parts.toSorted((a, b) => a.times[0]! - b.times[0]!)) {
    times.set(part.times, at);
    values.set(part.values, at);
    at += part.times.length;
  }
  return { labels: parts[0]!.labels, times, values };
}
