/**
 * What the head has of one range of time, in the order of labels: either what came in order or what came late. Series are
 * read some at a time, and each one's chunks go to the arena of the merge.
 */
import { SourceChunks } from "../chunk-source.ts";
import type { Arena } from "../compact/arena.ts";
import type { ChunkList } from "../compact/chunk-list.ts";
import type { SeriesSource } from "../compact/series-source.ts";
import type { HeadContents } from "../head/head-contents.ts";
import type { Symbols } from "../index/symbol-table.ts";
import { CHUNK_RAW } from "../storage.ts";
import { PlainChunkMemory } from "./plain-chunk-memory.ts";

export interface HeadRange {
  readonly minTime: number;
  /** Exclusive. */
  readonly maxTime: number;
}

/** Series whose chunks are read together, and how many bytes of them. */
const SERIES_PER_READ = 256;
const BYTES_PER_READ = 4 * 1024 * 1024;

export interface HeadSourceOptions {
  readonly contents: HeadContents;
  /** Of all series, in the order of their labels. */
  readonly refs: Uint32Array;
  /** Which of them have something here: a bit each. */
  readonly places: Uint8Array;
  readonly symbols: Symbols;
  /** By pair id: symbols of its name and value. */
  readonly nameOf: Uint32Array;
  readonly valueOf: Uint32Array;
  readonly range: HeadRange;
  readonly isLate: boolean;
}

export class HeadSource implements SeriesSource {
  readonly name = "the head";
  readonly symbols: Symbols;
  readonly seriesCount: number;
  labels = new Uint32Array(16);
  labelCount = 0;
  readonly #options: HeadSourceOptions;
  /** Series that are read together: their refs, and of which one is the present. */
  #refs = new Uint32Array(0);
  #at = -1;
  /** Where in the order of labels the series behind them begin. */
  #nextPlace = 0;
  /** Chunks of the series from `#readFrom` up to `#readEnd`. */
  readonly #memory = new PlainChunkMemory();
  readonly #chunks = SourceChunks.in(this.#memory);
  #readFrom = 0;
  #readEnd = 0;

  constructor(options: HeadSourceOptions) {
    this.#options = options;
    this.symbols = options.symbols;
    this.seriesCount = options.places.reduce((sum, bits) => sum + bitCount(bits), 0);
  }

  next(): boolean {
    if (++this.#at >= this.#refs.length && !this.#nextRefs()) return false;
    const { contents, nameOf, valueOf } = this.#options;
    const pairs = contents.pairsOf(this.#refs[this.#at]!);
    this.labelCount = pairs.length;
    if (this.labels.length < 2 * pairs.length) this.labels = new Uint32Array(4 * pairs.length);
    for (let i = 0; i < pairs.length; i++) {
      this.labels[2 * i] = nameOf[pairs[i]!]!;
      this.labels[2 * i + 1] = valueOf[pairs[i]!]!;
    }
    return true;
  }

  #nextRefs(): boolean {
    const { refs, places } = this.#options;
    const next: number[] = [];
    for (; this.#nextPlace < refs.length && next.length < SERIES_PER_READ; this.#nextPlace++) {
      if ((places[this.#nextPlace >>> 3]! & (1 << (this.#nextPlace & 7))) !== 0) next.push(refs[this.#nextPlace]!);
    }
    this.#refs = Uint32Array.from(next);
    this.#at = this.#readFrom = this.#readEnd = 0;
    return next.length > 0;
  }

  read(into: ChunkList, arena: Arena): void {
    if (this.#at >= this.#readEnd) this.#readMore();
    const { isLate, range } = this.#options;
    const { start, address, bytes, encoding, mint, maxt, deletions } = this.#chunks;
    const series = this.#at - this.#readFrom;
    let isCut = false;
    for (let i = start[series]!; i < start[series + 1]!; i++) {
      if ((encoding[i] === CHUNK_RAW) !== isLate) continue;
      const to = arena.reserve(bytes[i]!);
      arena.store(to, this.#memory.view(address[i]!, bytes[i]!));
      into.add(to, bytes[i]!, encoding[i]!, mint[i]!, maxt[i]!);
      isCut ||= mint[i]! < range.minTime || maxt[i]! >= range.maxTime;
    }
    for (const deletion of deletions) {
      if (!isLate && deletion.series === series) into.deleted.push(deletion.mint, deletion.maxt);
    }
    // A chunk reaches over an end of the range, or there are samples in it by now that are none of this flush.
    if (isCut) into.deleted.push(Number.NEGATIVE_INFINITY, range.minTime - 1, range.maxTime, Number.POSITIVE_INFINITY);
  }

  #readMore(): void {
    const { contents, range, isLate } = this.#options;
    this.#memory.clear();
    const refs = this.#refs.subarray(this.#at);
    const selection = contents.selection(refs, range.minTime, range.maxTime - 1, isLate);
    this.#readFrom = this.#at;
    this.#readEnd = this.#at + selection.read(Uint32Array.from(refs.keys()), this.#chunks, BYTES_PER_READ);
  }

  close(): void {
    this.#memory.clear();
  }
}

function bitCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
