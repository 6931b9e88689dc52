/**
 * The series of the head as a flush or a snapshot merges them into blocks: in the order of their label sets, one time range
 * after the other, as of a WAL sequence.
 *
 *   refs ──▶ their pairs' texts, sorted ──▶ symbols ──▶ refs in the order of their labels
 *        ──▶ which ranges have what of whom ──▶ for each range two sources: what came in order, and what came late
 *
 * Two sources, because in-order samples count before late ones. In memory are the symbols, four bytes a series, two for
 * each label pair, a bit a series for each range and source, and the chunks of a few series.
 */
import type { Vfs } from "../../base/vfs.ts";
import { SourceChunks } from "../chunk-source.ts";
import type { Arena } from "../compact/arena.ts";
import type { ChunkList } from "../compact/chunk-list.ts";
import type { SeriesSource } from "../compact/series-source.ts";
import { HeadContents } from "../head/head-contents.ts";
import type { HeadAttachment } from "../head/head-storage.ts";
import { SymbolTable, type Symbols } from "../index/symbol-table.ts";
import { CHUNK_RAW } from "../storage.ts";
import { PlainChunkMemory } from "./plain-chunk-memory.ts";

export interface HeadSeriesOptions {
  readonly vfs: Vfs;
  /** Samples at it and later are left out. */
  readonly beforeMs: number;
  /** Late samples and deletes of later records are left out. */
  readonly sequence: number;
  /** Ranges begin at multiples of it. */
  readonly rangeMs: number;
  /** Called now and then. @throws to stop */
  readonly check: () => void;
}

export interface HeadRange {
  readonly minTime: number;
  /** Exclusive. */
  readonly maxTime: number;
}

/** Which series, by their places in the order of labels, have something in a range. */
interface RangeContents extends HeadRange {
  readonly inOrder: Uint8Array;
  readonly late: Uint8Array;
}

export class HeadSeries {
  readonly #contents: HeadContents;
  readonly #options: HeadSeriesOptions;
  readonly #symbols: SymbolTable;
  /** By pair id: symbols of its name and value. */
  readonly #nameOf: Uint32Array;
  readonly #valueOf: Uint32Array;
  /** In the order of their labels. */
  readonly #refs: Uint32Array;
  readonly #ranges: readonly RangeContents[];

  /** Holds the head's reader slot, and a view of the head, until it is closed. */
  constructor(head: HeadAttachment, options: HeadSeriesOptions) {
    this.#options = options;
    this.#contents = new HeadContents(head, options);
    try {
      const { pairCount } = this.#contents;
      this.#nameOf = new Uint32Array(pairCount);
      this.#valueOf = new Uint32Array(pairCount);
      this.#symbols = this.#readSymbols();
      this.#refs = this.#sortedRefs();
      this.#ranges = this.#findRanges();
    } catch (error) {
      this.#contents.close();
      throw error;
    }
  }

  /** Those that have samples, ascending. */
  get ranges(): readonly HeadRange[] {
    return this.#ranges;
  }

  /** What there is in one of the ranges, in the order in which its samples count. */
  sources(range: HeadRange): readonly SeriesSource[] {
    const found = this.#ranges.find(({ minTime }) => minTime === range.minTime);
    if (found === undefined) return [];
    const { minTime, maxTime } = found;
    const wanted = { minTime, maxTime: Math.min(maxTime, this.#options.beforeMs) };
    const open = (isLate: boolean): SeriesSource =>
      new HeadSource({
        contents: this.#contents,
        refs: this.#refs,
        places: isLate ? found.late : found.inOrder,
        symbols: this.#symbols,
        nameOf: this.#nameOf,
        valueOf: this.#valueOf,
        range: wanted,
        isLate,
      });
    return [open(false), open(true)];
  }

  close(): void {
    this.#contents.close();
  }

  /** The texts of all pairs that series have. */
  #readSymbols(): SymbolTable {
    const contents = this.#contents;
    const texts = new Map<string, number>();
    const numberOf = (text: string): number => {
      let number = texts.get(text);
      if (number === undefined) texts.set(text, (number = texts.size));
      return number;
    };
    const isSeen = new Uint8Array(contents.pairCount);
    for (const [i, ref] of contents.refs.entries()) {
      if (i % CHECK_EVERY === 0) this.#options.check();
      for (const pair of contents.pairsOf(ref)) {
        if (isSeen[pair] === 1) continue;
        isSeen[pair] = 1;
        this.#nameOf[pair] = numberOf(contents.nameOfPair(pair));
        this.#valueOf[pair] = numberOf(contents.valueOfPair(pair));
      }
    }
    const symbols = SymbolTable.of(texts.keys());
    const encoder = new TextEncoder();
    const placeOf = Uint32Array.from(texts.keys(), (text) => symbols.find(encoder.encode(text))!);
    for (let pair = 0; pair < isSeen.length; pair++) {
      if (isSeen[pair] === 0) continue;
      this.#nameOf[pair] = placeOf[this.#nameOf[pair]!]!;
      this.#valueOf[pair] = placeOf[this.#valueOf[pair]!]!;
    }
    return symbols;
  }

  #sortedRefs(): Uint32Array {
    const contents = this.#contents;
    const { refs } = contents;
    const ranks = this.#pairRanks();
    // Labels as ranks of their pairs, series by series: what is compared most lies side by side, and is gone after this.
    const starts = new Uint32Array(refs.length + 1);
    for (let i = 0; i < refs.length; i++) starts[i + 1] = starts[i]! + contents.pairsOf(refs[i]!).length;
    const keys = new Uint32Array(starts[refs.length]!);
    for (let i = 0; i < refs.length; i++) {
      if (i % CHECK_EVERY === 0) this.#options.check();
      const pairs = contents.pairsOf(refs[i]!);
      for (let label = 0; label < pairs.length; label++) keys[starts[i]! + label] = ranks[pairs[label]!]!;
    }
    const compare = (a: number, b: number): number => {
      let [atA, atB] = [starts[a]!, starts[b]!];
      const [endA, endB] = [starts[a + 1]!, starts[b + 1]!];
      while (atA < endA && atB < endB) {
        const order = keys[atA++]! - keys[atB++]!;
        if (order !== 0) return order;
      }
      return endA - atA - (endB - atB);
    };
    return Uint32Array.from(refs.keys())
      .sort(compare)
      .map((i) => refs[i]!);
  }

  /** By pair id: its place in the order of names, then values; symbols compare as their texts do. */
  #pairRanks(): Uint32Array {
    const ids = Uint32Array.from(this.#nameOf.keys());
    ids.sort((a, b) => this.#nameOf[a]! - this.#nameOf[b]! || this.#valueOf[a]! - this.#valueOf[b]!);
    const ranks = new Uint32Array(ids.length);
    for (let rank = 0; rank < ids.length; rank++) ranks[ids[rank]!] = rank;
    return ranks;
  }

  #findRanges(): RangeContents[] {
    const { rangeMs, check } = this.#options;
    const byStart = new Map<number, RangeContents>();
    const rangeAt = (time: number): RangeContents => {
      const minTime = Math.floor(time / rangeMs) * rangeMs;
      let range = byStart.get(minTime);
      if (range === undefined) {
        const bits = (): Uint8Array => new Uint8Array((this.#refs.length + 7) >>> 3);
        byStart.set(minTime, (range = { minTime, maxTime: minTime + rangeMs, inOrder: bits(), late: bits() }));
      }
      return range;
    };
    const mark = (bits: Uint8Array, place: number): void => void (bits[place >>> 3]! |= 1 << (place & 7));
    this.#contents.visitTimes(
      this.#refs,
      {
        chunk(place, mint, maxt) {
          for (let time = mint; time <= maxt; time = rangeAt(time).maxTime) mark(rangeAt(time).inOrder, place);
        },
        late(place, times) {
          let range: RangeContents | undefined;
          for (const time of times) {
            if (range === undefined || time >= range.maxTime) range = rangeAt(time);
            mark(range.late, place);
          }
        },
      },
      check,
    );
    return [...byStart.values()].sort((a, b) => a.minTime - b.minTime);
  }
}

/** Series between two calls of `check`. */
const CHECK_EVERY = 4096;
/** Series whose chunks are read together, and how many bytes of them. */
const SERIES_PER_READ = 256;
const BYTES_PER_READ = 4 * 1024 * 1024;

interface HeadSourceOptions {
  readonly contents: HeadContents;
  readonly refs: Uint32Array;
  readonly places: Uint8Array;
  readonly symbols: Symbols;
  readonly nameOf: Uint32Array;
  readonly valueOf: Uint32Array;
  readonly range: HeadRange;
  readonly isLate: boolean;
}

/** What of one range came in order, or late. */
class HeadSource implements SeriesSource {
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
