/** Blocks for tests: written by our writer from samples, read by our reader to samples. */
import { PageCache } from "../../src/tsdb/index/page-cache.ts";
import { SeriesEntry } from "../../src/tsdb/index/series-entry.ts";
import { SymbolTable } from "../../src/tsdb/index/symbol-table.ts";
import { BlockReader } from "../../src/tsdb/block/block-reader.ts";
import { BlockWriter, type BlockWriterOptions, type FinishedBlock } from "../../src/tsdb/block/block-writer.ts";
import { SeriesSeeds } from "../../src/tsdb/block/series-seed.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../../src/tsdb/kernel/private-memory.ts";
import { compareLabelSets, type LabelSet } from "../../src/tsdb/model/labels.ts";
import { CHUNK_PACKED, CHUNK_XOR } from "../../src/tsdb/storage.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import type { Sample } from "./columns.ts";
import { decodeXorChunk, encodeXorChunk } from "./xor-chunk-twin.ts";

export interface BlockSeries {
  readonly labels: LabelSet;
  /** In time order, without overlaps. */
  readonly chunks: readonly (readonly Sample[])[];
}

export const ULID_A = "01HZZZZZZZZZZZZZZZZZZZZZZA";
export const ULID_B = "01HZZZZZZZZZZZZZZZZZZZZZZB";

const kernel = loadKernelModule({ debug: true });

export const newMemory = (): PrivateMemory => new PrivateMemory(kernel);

/** Clears the memory and puts samples into it. */
function columnsOf(memory: PrivateMemory, samples: readonly Sample[]): readonly [number, number, number] {
  memory.clear();
  const times = memory.reserve(8 * samples.length);
  const values = memory.reserve(8 * samples.length);
  memory.column(times, samples.length).set(samples.map(({ timeMs }) => timeMs));
  const bits = new BigUint64Array(memory.bytes.buffer, values, samples.length);
  bits.set(samples.map(({ value }) => value));
  return [times, values, samples.length];
}

/** Adds up the hashes of samples as the kernel does. */
export const hashOf = (memory: PrivateMemory, seed: bigint, samples: readonly Sample[]): bigint =>
  memory.kernel.hashSamples(...columnsOf(memory, samples), seed);

const encodeXor = (samples: readonly Sample[]): Uint8Array =>
  encodeXorChunk(samples.map(({ timeMs, value }) => ({ timestampMs: BigInt(timeMs), value })));

function encodePacked(memory: PrivateMemory, samples: readonly Sample[]): Uint8Array {
  const columns = columnsOf(memory, samples);
  const bytesMax = 128 + 32 * samples.length;
  const [chunk, scratch] = [memory.reserve(bytesMax), memory.reserve(4096 + 16 * samples.length)];
  const chunkBytes = memory.kernel.packedEncode(...columns, chunk, bytesMax, scratch);
  return memory.bytes.slice(chunk, chunk + chunkBytes);
}

type WriteOptions = Pick<BlockWriterOptions, "vfs" | "blocksDir"> &
  Partial<BlockWriterOptions> & { readonly packed?: boolean };

/** Writes and publishes a block of XOR chunks, or of packed ones. */
export async function writeBlock(options: WriteOptions, series: readonly BlockSeries[]): Promise<FinishedBlock> {
  const symbols = options.symbols ?? SymbolTable.of(series.flatMap(({ labels }) => labels.flat()));
  const times = series.flatMap(({ chunks }) => chunks.flatMap((chunk) => chunk.map(({ timeMs }) => timeMs)));
  const minTime = times.reduce((least, time) => Math.min(least, time), times[0] ?? 0);
  const maxTime = times.reduce((most, time) => Math.max(most, time), minTime) + 1;
  const ulid = options.ulid ?? ULID_A;
  const compaction = { level: 1, sources: [ulid] };
  const writer = await BlockWriter.create({ ulid, symbols, minTime, maxTime, compaction, ...options });
  const seeds = new SeriesSeeds(symbols);
  const memory = newMemory();
  const encoder = new TextEncoder();
  for (const { labels, chunks } of [...series].sort((a, b) => compareLabelSets(a.labels, b.labels))) {
    const numbers = Uint32Array.from(labels.flat(), (text) => symbols.find(encoder.encode(text))!);
    const seed = seeds.of(numbers, labels.length);
    await writer.add(
      numbers,
      chunks.map((samples) => ({
        encoding: options.packed ? CHUNK_PACKED : CHUNK_XOR,
        data: options.packed ? encodePacked(memory, samples) : encodeXor(samples),
        mint: samples[0]!.timeMs,
        maxt: samples.at(-1)!.timeMs,
        sampleCount: samples.length,
      })),
      chunks.reduce((sum, samples) => sum + hashOf(memory, seed, samples), 0n),
    );
  }
  const finished = await writer.finish();
  await writer.publish();
  return finished;
}

export const openBlock = (vfs: Vfs, dir: string, cache = new PageCache(1 << 20)): BlockReader =>
  BlockReader.open(vfs, dir, cache);

/** All series of a block as our reader sees them, XOR chunks decoded. */
export function samplesOf(block: BlockReader): BlockSeries[] {
  const entry = new SeriesEntry();
  return [...block.index.allPostings()].map((id) => {
    block.index.series(id, entry);
    const text = (i: number): string => block.index.symbols.textOf(entry.labels[i]!);
    const labels = Array.from({ length: entry.labelCount }, (_, i) => [text(2 * i), text(2 * i + 1)] as const);
    const chunks = [...entry.ref.subarray(0, entry.chunkCount)].map((ref) => {
      const { encoding, data } = block.chunks.read(ref);
      if (encoding !== CHUNK_XOR) throw new Error(`a chunk of encoding ${encoding}`);
      return decodeXorChunk(data).map(({ timestampMs, value }) => ({ timeMs: Number(timestampMs), value }));
    });
    return { labels, chunks };
  });
}

/** Everything a query could read: labels, postings, samples, tombstones. */
export const contentOf = (block: BlockReader): unknown => ({
  series: samplesOf(block),
  names: block.index.labelNames,
  postings: block.index.labelNames.map((name) => {
    const values: unknown[] = [];
    block.index.forEachValue(name, (value) => void values.push([value, [...block.index.postings(name, value)]]));
    return values;
  }),
  tombstones: [...block.readTombstones()],
});
