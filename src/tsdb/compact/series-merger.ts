/**
 * Merges what several sources have of one series into chunks that neither overlap nor hold what is deleted. Chunks are taken
 * in the order of their first times, so that no more is decoded than the chunks that overlap at one time:
 *
 *   source 0   ├──a──┤      ├──c──┤          a: by itself, its bytes go on as they are (if they suit the target)
 *   source 1           ├──b──┤   ├──d──┤     b, c, d: decoded into a lane for each source, freed of what is deleted,
 *                                            merged up to where the next chunk begins, encoded anew
 *
 * Of two samples with one time that of the earlier source counts. Native histogram chunks cannot be decoded here: they go on
 * whole. One that overlaps samples of an earlier source is left out, and counted; samples of later sources give way to it.
 */
import { TsdbError } from "../../base/errors.ts";
import type { ChunkToWrite } from "../block/block-writer.ts";
import { isOpaque } from "../block/sample-sum.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNK_PACKED, CHUNK_XOR } from "../storage.ts";
import type { ChunkList } from "./chunk-list.ts";
import { SampleColumns } from "./columns.ts";
import { settleOpaque } from "./opaque-chunks.ts";
import { RunWriter, type ChunkEncoder } from "./run-writer.ts";

export interface MergeTarget {
  /** Makes the chunks that are written anew. */
  readonly encoder: ChunkEncoder;
  /** Whether its chunks may be packed: then XOR chunks are written anew, into longer ones. */
  readonly packed: boolean;
}

export class SeriesMerger {
  readonly #memory: PrivateMemory;
  readonly #out: RunWriter;
  readonly #isPacked: boolean;
  readonly #lanes: SampleColumns[] = [];
  readonly #laneCounts: number[] = [];
  readonly #decoded: SampleColumns;
  readonly #merged: [SampleColumns, SampleColumns];
  /** The present series' chunks in order of time: which list, and which chunk of it. */
  readonly #lists: number[] = [];
  readonly #chunks: number[] = [];
  #leftOutCount = 0;
  #stillDeleted: readonly number[] = [];

  constructor(memory: PrivateMemory, { encoder, packed }: MergeTarget) {
    this.#memory = memory;
    this.#out = new RunWriter(memory, encoder);
    this.#isPacked = packed;
    this.#decoded = new SampleColumns(memory);
    this.#merged = [new SampleColumns(memory), new SampleColumns(memory)];
  }

  /** Of the series that was merged last; none when all of it is deleted. Valid until the next one. */
  get chunks(): readonly ChunkToWrite[] {
    return this.#out.chunks;
  }

  get hash(): bigint {
    return this.#out.hash;
  }

  /** Of its chunks that stay whole although a part of them is deleted: mint, maxt, ... */
  get stillDeleted(): readonly number[] {
    return this.#stillDeleted;
  }

  /** Histogram chunks of all series so far that overlapped others. */
  get leftOutCount(): number {
    return this.#leftOutCount;
  }

  /**
   * @param sources in the order in which their samples count
   * @param seed of the hash of the series' samples
   */
  merge(sources: readonly ChunkList[], seed: bigint): void {
    this.#out.begin(seed);
    this.#stillDeleted = [];
    if (sources.some(hasOpaque)) {
      const { leftOutCount, stillDeleted } = settleOpaque(sources);
      this.#leftOutCount += leftOutCount;
      this.#stillDeleted = stillDeleted;
    }
    this.#order(sources);
    const count = this.#lists.length;
    for (let i = 0; i < count; i++) {
      const list = this.#lists[i]!;
      const chunk = this.#chunks[i]!;
      const source = sources[list]!;
      const deletion = source.deletionOf(chunk);
      if (deletion === "all") continue;
      this.#emitBefore(source.mint[chunk]!);
      if (isOpaque(source.encoding[chunk]!)) {
        this.#passOpaque(source, chunk);
        continue;
      }
      const isLast = i + 1 === count || sources[this.#lists[i + 1]!]!.mint[this.#chunks[i + 1]!]! > source.maxt[chunk]!;
      const isAlone = deletion === "none" && isLast && this.#lanesAreEmpty();
      if (!isAlone) this.#load(list, source, chunk);
      else this.#take(source, chunk, sources[this.#lists[i + 1]!], this.#chunks[i + 1]!);
    }
    this.#emitBefore(Number.POSITIVE_INFINITY);
    this.#out.flush();
  }

  /** A chunk that overlaps nothing and of which nothing is deleted. */
  #take(source: ChunkList, chunk: number, next: ChunkList | undefined, nextChunk: number): void {
    const encoding = source.encoding[chunk]!;
    const count = this.#sampleCount(source, chunk);
    if (!this.#goesThrough(encoding, count, next, nextChunk)) {
      const { endTimes, endValues } = this.#out.reserve(count);
      return this.#out.added(this.#decode(source, chunk, endTimes, endValues, count));
    }
    const samples = this.#decoded;
    samples.clear();
    samples.reserve(count);
    samples.addCount(this.#decode(source, chunk, samples.times, samples.values, count));
    this.#out.pass(encoding, this.#bytes(source, chunk), samples);
  }

  /** Whether a chunk by itself is what the target would have made of it. */
  #goesThrough(encoding: number, count: number, next: ChunkList | undefined, nextChunk: number): boolean {
    const { waitingCount, samplesMax } = this.#out;
    if (this.#isPacked) return encoding === CHUNK_PACKED && waitingCount === 0 && count >= samplesMax / 2;
    if (encoding !== CHUNK_XOR) return false;
    // Short ones are put together: a block of small flushes has many.
    if (waitingCount > 0) return waitingCount + count > samplesMax;
    return next?.encoding[nextChunk] !== CHUNK_XOR || count + this.#sampleCount(next, nextChunk) > samplesMax;
  }

  /** Decodes a chunk to its source's lane, without what is deleted. */
  #load(list: number, source: ChunkList, chunk: number): void {
    const lane = (this.#lanes[list] ??= new SampleColumns(this.#memory));
    const count = this.#sampleCount(source, chunk);
    lane.reserve(count);
    const overlaps = lane.count > 0 && lane.lastTime >= source.mint[chunk]!;
    const into = overlaps ? this.#decoded : lane;
    if (overlaps) {
      into.clear();
      into.reserve(count);
    }
    const { endTimes, endValues } = into;
    let kept = this.#decode(source, chunk, endTimes, endValues, count);
    const { deleted } = source;
    for (let at = 0; at < deleted.length; at += 2)
      if (deleted[at]! <= source.maxt[chunk]! && deleted[at + 1]! >= source.mint[chunk]!)
        kept = this.#memory.kernel.maskSamples(endTimes, endValues, kept, deleted[at]!, deleted[at + 1]!);
    into.addCount(kept);
    if (!overlaps) return;
    // Chunks of one source overlap only in blocks of others: the one that begins first counts.
    const merged = this.#merged[0];
    merged.clear();
    this.#merge(lane, lane.count, into, kept, merged);
    this.#lanes[list] = merged;
    this.#merged[0] = lane;
  }

  #passOpaque({ encoding, address, bytes, mint, maxt }: ChunkList, i: number): void {
    this.#out.passOpaque(encoding[i]!, address[i]!, bytes[i]!, mint[i]!, maxt[i]!);
  }

  #lanesAreEmpty(): boolean {
    for (const lane of this.#lanes) if (lane !== undefined && lane.count > 0) return false;
    return true;
  }

  /** Hands on what is before a time, which is final: no chunk to come begins earlier. */
  #emitBefore(time: number): void {
    let lanes = 0;
    let total = 0;
    let last = 0;
    for (let list = 0; list < this.#lanes.length; list++) {
      const lane = this.#lanes[list];
      const count = lane === undefined || lane.count === 0 ? 0 : lane.countBefore(time);
      this.#laneCounts[list] = count;
      if (count === 0) continue;
      lanes++;
      total += count;
      last = list;
    }
    if (lanes === 0) return;
    const out = this.#out.reserve(total);
    if (lanes === 1) {
      out.copyBehind(this.#lanes[last]!, total);
      this.#out.added(total);
    } else this.#out.added(this.#mergeLanes(out, last));
    for (let list = 0; list <= last; list++)
      if (this.#laneCounts[list]! > 0) this.#lanes[list]!.dropFirst(this.#laneCounts[list]!);
  }

  /** @param last the last lane with samples to merge @returns how many samples lie behind those of `out` */
  #mergeLanes(out: SampleColumns, last: number): number {
    let from: SampleColumns | undefined;
    let count = 0;
    for (let list = 0; list <= last; list++) {
      const laneCount = this.#laneCounts[list]!;
      if (laneCount === 0) continue;
      const lane = this.#lanes[list]!;
      if (from === undefined) {
        from = lane;
        count = laneCount;
        continue;
      }
      const { endTimes, endValues } = out;
      const { kernel } = this.#memory;
      if (list === last)
        return kernel.mergeSamples(
          from.times,
          from.values,
          count,
          lane.times,
          lane.values,
          laneCount,
          endTimes,
          endValues,
        );
      const into = from === this.#merged[0] ? this.#merged[1] : this.#merged[0];
      into.clear();
      this.#merge(from, count, lane, laneCount, into);
      from = into;
      count = into.count;
    }
    return count;
  }

  #merge(a: SampleColumns, aCount: number, b: SampleColumns, bCount: number, into: SampleColumns): void {
    into.reserve(aCount + bCount);
    const { times, values } = into;
    into.addCount(
      this.#memory.kernel.mergeSamples(a.times, a.values, aCount, b.times, b.values, bCount, times, values),
    );
  }

  #sampleCount({ encoding, address, bytes, source }: ChunkList, chunk: number): number {
    const count = this.#memory.kernel.chunkSampleCount(encoding[chunk]!, address[chunk]!, bytes[chunk]!) >>> 0;
    if (count === 0) throw malformed(source);
    return count;
  }

  #decode({ encoding, address, bytes, source }: ChunkList, chunk: number, times: number, values: number, max: number) {
    const { kernel } = this.#memory;
    const count = kernel.decodeChunk(encoding[chunk]!, address[chunk]!, bytes[chunk]!, times, values, max);
    if (count < 0) throw malformed(source);
    return count;
  }

  #bytes({ address, bytes }: ChunkList, chunk: number): Uint8Array {
    const from = address[chunk]!;
    return this.#memory.bytes.subarray(from, from + bytes[chunk]!);
  }

  #order(sources: readonly ChunkList[]): void {
    this.#lists.length = this.#chunks.length = 0;
    let isOrdered = true;
    let before = Number.NEGATIVE_INFINITY;
    for (const [list, { count, mint }] of sources.entries())
      for (let chunk = 0; chunk < count; chunk++) {
        if (mint[chunk]! < before) isOrdered = false;
        before = mint[chunk]!;
        this.#lists.push(list);
        this.#chunks.push(chunk);
      }
    if (isOrdered) return;
    const mintOf = (i: number): number => sources[this.#lists[i]!]!.mint[this.#chunks[i]!]!;
    const places = Array.from(this.#lists.keys()).sort((a, b) => mintOf(a) - mintOf(b) || a - b);
    const lists = places.map((i) => this.#lists[i]!);
    const chunks = places.map((i) => this.#chunks[i]!);
    for (const i of places.keys()) {
      this.#lists[i] = lists[i]!;
      this.#chunks[i] = chunks[i]!;
    }
  }
}

function hasOpaque({ count, encoding }: ChunkList): boolean {
  for (let i = 0; i < count; i++) if (isOpaque(encoding[i]!)) return true;
  return false;
}

const malformed = (source: string): TsdbError =>
  new TsdbError("BLOCK_CORRUPT", `A chunk of ${source} cannot be decoded`, {
    remedy: "Run `tsdb verify` to see what else is damaged; restore the block from a backup",
  });
