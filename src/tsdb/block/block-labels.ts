/** What a query asks of a block's index: series by matchers, and their labels as the query's own ids. */
import type { IndexReader } from "../index/index-reader.ts";
import type { SeriesEntry } from "../index/series-entry.ts";
import type { Matcher } from "../model/matcher.ts";
import { valueTest } from "../model/value-test.ts";
import type { LabelTable } from "../promql/label-table.ts";
import { difference, intersection, union } from "./id-lists.ts";

/** Values between two looks at the budget. */
const CHECK_EVERY = 4096;

/**
 * Ids of the series that match all matchers, ascending. A label that a series lacks is the empty string: a matcher that
 * accepts it can only take away the series whose value it does not accept.
 * @param check throws to stop
 */
export function matchingSeries(index: IndexReader, matchers: readonly Matcher[], check: () => void): Uint32Array {
  const kept: Uint32Array[] = [];
  const takenAway: Uint32Array[] = [];
  for (const matcher of matchers) {
    const { ids, subtract } = postingsOf(index, matcher, check);
    if (!subtract && ids.length === 0) return ids;
    (subtract ? takenAway : kept).push(ids);
    check();
  }
  const found = kept.length === 0 ? index.allPostings() : intersection(kept);
  return takenAway.reduce(difference, found);
}

function postingsOf(index: IndexReader, matcher: Matcher, check: () => void): { ids: Uint32Array; subtract: boolean } {
  const { name } = matcher;
  const test = valueTest(matcher);
  const isNegative = matcher.type === "!=" || matcher.type === "!~";
  const acceptsEmpty = test.passes("") !== isNegative;
  // Values to look up: those that pass the positive test, or those that fail it.
  const wantsPassing = acceptsEmpty === isNegative;
  const lists: Uint32Array[] = [];
  if (wantsPassing && test.literals !== undefined) {
    for (const value of new Set(test.literals)) if (value !== "") lists.push(index.postings(name, value));
  } else {
    let visited = 0;
    index.forEachValue(name, (value, postings) => {
      if (visited++ % CHECK_EVERY === 0) check();
      if (test.passes(value) === wantsPassing) lists.push(index.postingsAt(postings));
    });
  }
  return { ids: union(lists), subtract: acceptsEmpty };
}

/** Symbols of label pairs, translated to the query's pair ids as they are met. */
export class PairIds {
  readonly #index: IndexReader;
  readonly #table: LabelTable;
  /** Open addressing, three words a slot: name symbol, value symbol, pair id + 1 or 0 when free. */
  #slots = new Uint32Array(3 * 1024);
  #count = 0;

  constructor(index: IndexReader, table: LabelTable) {
    this.#index = index;
    this.#table = table;
  }

  /** Writes the pair ids of a series, ordered by label name, to `into` from `at` on. */
  translate({ labels, labelCount }: SeriesEntry, into: Uint32Array, at: number): void {
    for (let i = 0; i < labelCount; i++) into[at + i] = this.#pairId(labels[2 * i]!, labels[2 * i + 1]!);
  }

  #pairId(name: number, value: number): number {
    const slots = this.#slots;
    const mask = slots.length / 3 - 1;
    let slot = hashOf(name, value) & mask;
    for (; slots[3 * slot + 2] !== 0; slot = (slot + 1) & mask)
      if (slots[3 * slot + 1] === value && slots[3 * slot] === name) return slots[3 * slot + 2]! - 1;
    const { symbols } = this.#index;
    const id = this.#table.pairId(symbols.textOf(name), symbols.textOf(value));
    slots[3 * slot] = name;
    slots[3 * slot + 1] = value;
    slots[3 * slot + 2] = id + 1;
    if (2 * ++this.#count > mask) this.#grow();
    return id;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    const mask = this.#slots.length / 3 - 1;
    for (let i = 0; i < old.length; i += 3) {
      if (old[i + 2] === 0) continue;
      let slot = hashOf(old[i]!, old[i + 1]!) & mask;
      while (this.#slots[3 * slot + 2] !== 0) slot = (slot + 1) & mask;
      this.#slots.set(old.subarray(i, i + 3), 3 * slot);
    }
  }
}

const hashOf = (name: number, value: number): number => {
  const hash = Math.imul(value ^ Math.imul(name, 0x9e3779b1), 0x85ebca6b);
  return (hash ^ (hash >>> 15)) >>> 0;
};
