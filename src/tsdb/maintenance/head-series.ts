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
import type { SeriesSource } from "../compact/series-source.ts";
import { HeadContents } from "../head/head-contents.ts";
import type { HeadAttachment } from "../head/head-storage.ts";
import { SymbolTable } from "../index/symbol-table.ts";
import { type HeadRange, HeadSource } from "./head-source.ts";

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

/** Series between two calls of `check`. */
const CHECK_EVERY = 4096;

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
