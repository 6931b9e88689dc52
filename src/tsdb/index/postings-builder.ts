/**
 * Which series have which label value, gathered while an index is written. What is kept are numbers in typed arrays: four
 * bytes for each label of each series, and some twenty for each label value.
 *
 *   add(series id, labels) ──▶ pair of each label (hash table), series after series ──▶ lists, some values at a time
 */
import { grown } from "../../base/grown.ts";
import type { SeriesEntry } from "./series-entry.ts";

/** How many series ids are laid out at a time when lists are made; a longer list is made alone. */
const BATCH_IDS = 1024 * 1024;

export class PostingsBuilder {
  readonly #batchIds: number;
  /** Numbers of label names, by the order in which they were met. */
  readonly #names = new Map<number, number>();
  readonly #symbolOfName: number[] = [];
  /** Open addressing: key of a pair (its name's number times 2^32, plus the symbol of its value), pair + 1. */
  #keys = new Float64Array(1024);
  #pairs = new Uint32Array(1024);
  #pairCount = 0;
  /** By pair: how many series have it. */
  #uses = new Uint32Array(512);
  #ids = new Uint32Array(1024);
  /** By series: where its pairs end. */
  #pairsEnd = new Float64Array(1024);
  #seriesCount = 0;
  #pairsOfSeries = new Uint32Array(8 * 1024);
  #pairsOfSeriesCount = 0;

  constructor(batchIds = BATCH_IDS) {
    this.#batchIds = batchIds;
  }

  get seriesCount(): number {
    return this.#seriesCount;
  }

  get pairCount(): number {
    return this.#pairCount;
  }

  /** Ids rise from call to call. */
  add(id: number, { labels, labelCount }: SeriesEntry): void {
    if (this.#pairsOfSeriesCount + labelCount > this.#pairsOfSeries.length)
      this.#pairsOfSeries = grown(this.#pairsOfSeries, new Uint32Array(2 * this.#pairsOfSeries.length + labelCount));
    for (let i = 0; i < labelCount; i++) {
      const pair = this.#pairOf(this.#numberOfName(labels[2 * i]!), labels[2 * i + 1]!);
      this.#uses[pair]!++;
      this.#pairsOfSeries[this.#pairsOfSeriesCount++] = pair;
    }
    const series = this.#seriesCount++;
    if (series === this.#ids.length) {
      this.#ids = grown(this.#ids, new Uint32Array(2 * series));
      this.#pairsEnd = grown(this.#pairsEnd, new Float64Array(2 * series));
    }
    this.#ids[series] = id;
    this.#pairsEnd[series] = this.#pairsOfSeriesCount;
  }

  /** Ids of all series. */
  all(): Uint32Array {
    return this.#ids.subarray(0, this.#seriesCount);
  }

  /** The lists of all label values, ordered by name and value (given as symbols); each is valid until the next. */
  *lists(): Generator<{ readonly name: number; readonly value: number; readonly ids: Uint32Array }> {
    const nameOrder = Uint32Array.from(this.#symbolOfName).sort();
    const placeOfName = new Map([...nameOrder].map((symbol, place) => [this.#names.get(symbol)!, place]));
    const numberAt = [...nameOrder].map((symbol) => this.#names.get(symbol)!);
    const sorted = new Float64Array(this.#pairCount);
    for (let slot = 0, at = 0; slot < this.#pairs.length; slot++)
      if (this.#pairs[slot] !== 0) {
        const key = this.#keys[slot]!;
        sorted[at++] = placeOfName.get(Math.floor(key / 2 ** 32))! * 2 ** 32 + (key % 2 ** 32);
      }
    sorted.sort();

    const pairAt = (place: number): number => {
      const key = sorted[place]!;
      return this.#pairs[this.#slotOf(numberAt[Math.floor(key / 2 ** 32)]! * 2 ** 32 + (key % 2 ** 32))]! - 1;
    };
    // By pair: where its next id goes, in the batch that is laid out; none when it is not in it.
    const NONE = 0xffff_ffff;
    const next = new Uint32Array(this.#pairCount).fill(NONE);
    for (let first = 0; first < sorted.length;) {
      let idCount = 0;
      let end = first;
      do {
        const pair = pairAt(end++);
        next[pair] = idCount;
        idCount += this.#uses[pair]!;
      } while (end < sorted.length && idCount + this.#uses[pairAt(end)]! <= this.#batchIds);
      const ids = this.#layOut(next, NONE, idCount);
      for (let place = first; place < end; place++) {
        const pair = pairAt(place);
        const idsEnd = next[pair]!;
        next[pair] = NONE;
        const key = sorted[place]!;
        const name = nameOrder[Math.floor(key / 2 ** 32)]!;
        yield { name, value: key % 2 ** 32, ids: ids.subarray(idsEnd - this.#uses[pair]!, idsEnd) };
      }
      first = end;
    }
  }

  /** Ids of the series of all pairs that `next` has a place for; afterwards it says where each one's ids end. */
  #layOut(next: Uint32Array, none: number, idCount: number): Uint32Array {
    const ids = new Uint32Array(idCount);
    const pairs = this.#pairsOfSeries;
    for (let series = 0, at = 0; series < this.#seriesCount; series++) {
      const id = this.#ids[series]!;
      for (const end = this.#pairsEnd[series]!; at < end; at++) {
        const pair = pairs[at]!;
        const place = next[pair]!;
        if (place === none) continue;
        ids[place] = id;
        next[pair] = place + 1;
      }
    }
    return ids;
  }

  #numberOfName(symbol: number): number {
    let number = this.#names.get(symbol);
    if (number === undefined) {
      this.#names.set(symbol, (number = this.#symbolOfName.length));
      this.#symbolOfName.push(symbol);
    }
    return number;
  }

  #pairOf(name: number, value: number): number {
    const key = name * 2 ** 32 + value;
    const slot = this.#slotOf(key);
    const found = this.#pairs[slot]!;
    if (found !== 0) return found - 1;
    const pair = this.#pairCount++;
    this.#keys[slot] = key;
    this.#pairs[slot] = pair + 1;
    if (pair === this.#uses.length) this.#uses = grown(this.#uses, new Uint32Array(2 * pair));
    if (2 * this.#pairCount > this.#pairs.length) this.#rehash();
    return pair;
  }

  /** Where a key is, or would be. */
  #slotOf(key: number): number {
    const mask = this.#pairs.length - 1;
    let hash = Math.imul(key % 2 ** 32, 0x9e3779b1) ^ Math.imul(Math.floor(key / 2 ** 32), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    for (let slot = (hash ^ (hash >>> 13)) & mask; ; slot = (slot + 1) & mask)
      if (this.#pairs[slot] === 0 || this.#keys[slot] === key) return slot;
  }

  #rehash(): void {
    const keys = this.#keys;
    const pairs = this.#pairs;
    this.#keys = new Float64Array(2 * keys.length);
    this.#pairs = new Uint32Array(2 * pairs.length);
    for (let i = 0; i < pairs.length; i++)
      if (pairs[i] !== 0) {
        const slot = this.#slotOf(keys[i]!);
        this.#keys[slot] = keys[i]!;
        this.#pairs[slot] = pairs[i]!;
      }
  }
}
