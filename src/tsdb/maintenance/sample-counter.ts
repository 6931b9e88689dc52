/** Counts the samples of a series in a range of time that are not deleted. Only chunks that are cut by it are decoded. */
import { TsdbError } from "../../base/errors.ts";
import type { BlockReader } from "../block/block-reader.ts";
import { chunkSum, isOpaque } from "../block/sample-sum.ts";
import type { Interval } from "../block/tombstones.ts";
import { Arena } from "../compact/arena.ts";
import { ChunkList } from "../compact/chunk-list.ts";
import { SampleColumns } from "../compact/columns.ts";
import type { SeriesEntry } from "../index/series-entry.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";

export class SampleCounter {
  readonly #memory: PrivateMemory;
  readonly #arena: Arena;
  readonly #samples: SampleColumns;

  constructor(memory: PrivateMemory) {
    this.#memory = memory;
    this.#arena = new Arena(memory);
    this.#samples = new SampleColumns(memory);
  }

  /** @throws CorruptBlockError */
  count(block: BlockReader, series: SeriesEntry, range: Interval, deleted: readonly Interval[]): number {
    const chunks = new ChunkList(`block ${block.meta.ulid}`);
    for (const { mint, maxt } of deleted) chunks.deleted.push(mint, maxt);
    const wanted: number[] = [];
    for (let i = 0; i < series.chunkCount; i++)
      if (series.mint[i]! <= range.maxt && series.maxt[i]! >= range.mint) wanted.push(i);
    const refs = wanted.map((i) => series.ref[i]!);
    this.#arena.reset();
    block.chunks.readMany(refs, 0, refs.length, this.#arena, {
      chunk: (i, encoding, address, bytes) =>
        chunks.add(address, bytes, encoding, series.mint[wanted[i]!]!, series.maxt[wanted[i]!]!),
      damage: (_, error) => {
        throw error;
      },
    });
    let count = 0;
    for (let i = 0; i < chunks.count; i++) count += this.#countOf(chunks, i, range);
    return count;
  }

  #countOf(chunks: ChunkList, i: number, range: Interval): number {
    const { kernel } = this.#memory;
    const deletion = chunks.deletionOf(i);
    if (deletion === "all") return 0;
    const encoding = chunks.encoding[i]!;
    const address = chunks.address[i]!;
    const bytes = chunks.bytes[i]!;
    // Histograms are deleted by time like all else; which of a chunk's lie in the range is not known here.
    if (isOpaque(encoding)) return chunkSum(this.#memory, encoding, address, bytes, 0n)?.count ?? 0;
    const sampleCount = kernel.chunkSampleCount(encoding, address, bytes) >>> 0;
    const isWithin = chunks.mint[i]! >= range.mint && chunks.maxt[i]! <= range.maxt;
    if (isWithin && deletion === "none") return sampleCount;
    const samples = this.#samples;
    samples.clear();
    samples.reserve(sampleCount);
    const { times, values } = samples;
    let left = kernel.decodeChunk(encoding, address, bytes, times, values, sampleCount);
    if (left < 0) throw new TsdbError("BLOCK_CORRUPT", `A chunk of ${chunks.source} cannot be decoded`);
    left = kernel.clipSamples(times, values, left, range.mint, range.maxt);
    for (let at = 0; at < chunks.deleted.length; at += 2)
      left = kernel.maskSamples(times, values, left, chunks.deleted[at]!, chunks.deleted[at + 1]!);
    return left;
  }
}
