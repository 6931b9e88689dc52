/**
 * Label sets of one query as small integers. An operator knows its series as label set ids before it sees a value, so
 * dropping a name, grouping and matching are done once per series, on numbers, and never on strings.
 *
 * A label set is its label pair ids (LabelTable) ordered by label name; equal sets have equal ids. Set 0 is the empty set.
 *   #pairs: │ a b c │ a d │ ...      #starts: 0 3 5 ...      #slots: open addressing, id + 1 or 0 when free
 */
import { METRIC_NAME, compareBytes } from "../model/labels.ts";
import type { LabelSet } from "../model/labels.ts";
import type { LabelTable } from "./label-table.ts";

/** What Prometheus calls metadata labels: all three go whenever a result is no longer the metric it was made from. */
const METADATA_LABELS = [METRIC_NAME, "__type__", "__unit__"] as const;

/** Which labels of a set stay: those named, or all but those named. */
export interface Projection {
  readonly keepNamed: boolean;
  readonly names: readonly string[];
}

/** Keeps all labels that identify a series apart from the metric itself. */
export const WITHOUT_METADATA: Projection = { keepNamed: false, names: METADATA_LABELS };

/** `by (names)`, `on (names)`; or `without (names)`, `ignoring (names)`, which never count the metric as a label. */
export const projection = (keepNamed: boolean, names: readonly string[]): Projection => ({
  keepNamed,
  names: keepNamed ? names : [...METADATA_LABELS, ...names],
});

export class LabelSets {
  readonly table: LabelTable;
  #pairs = new Uint32Array(1024);
  #starts = new Uint32Array(256);
  #slots = new Int32Array(512);
  #count = 0;
  #scratch = new Uint32Array(64);

  constructor(table: LabelTable) {
    this.table = table;
    this.intern(this.#scratch, 0);
  }

  get count(): number {
    return this.#count;
  }

  /** Makes room for as many further sets, which costs less than making it as they come. */
  expect(count: number): void {
    let slotCount = this.#slots.length;
    while ((this.#count + count + 1) * 2 > slotCount) slotCount *= 2;
    if (slotCount > this.#slots.length) this.#rehash(slotCount);
  }

  /** The id of the set of the first `length` pair ids, which must be ordered by label name. */
  intern(pairIds: Uint32Array, length = pairIds.length): number {
    this.expect(1);
    const mask = this.#slots.length - 1;
    let slot = hashOf(pairIds, 0, length) & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask)
      if (this.#equals(this.#slots[slot]! - 1, pairIds, length)) return this.#slots[slot]! - 1;
    const id = this.#append(pairIds, length);
    this.#slots[slot] = id + 1;
    return id;
  }

  /** Pair ids of a set, ordered by label name. Valid until the next set is interned. */
  pairs(id: number): Uint32Array {
    return this.#pairs.subarray(this.#starts[id], this.#starts[id + 1]);
  }

  labels(id: number): LabelSet {
    return Array.from(this.pairs(id), this.table.pair);
  }

  /** The value of a label, or the empty string when the set does not have it. */
  value(id: number, name: string): string {
    const pair = this.pairOf(id, this.table.nameId(name));
    return pair === undefined ? "" : this.table.valueOf(pair);
  }

  /** The pair with which a set has a label, if it has it. */
  pairOf(id: number, nameId: number): number | undefined {
    const { table } = this;
    const end = this.#starts[id + 1]!;
    for (let i = this.#starts[id]!; i < end; i++) {
      const pair = this.#pairs[i]!;
      if (table.nameIdOf(pair) === nameId) return pair;
    }
    return undefined;
  }

  /** The sets that remain of `ids`, in the same order. */
  project(ids: Uint32Array, { keepNamed, names }: Projection): Uint32Array {
    const { table } = this;
    const nameIds = names.map((name) => table.nameId(name));
    // By name id: this runs for every label of every series.
    const keeps = new Uint8Array(table.nameCount).fill(keepNamed ? 0 : 1);
    for (const nameId of nameIds) keeps[nameId] = keepNamed ? 1 : 0;
    return ids.map((id) => {
      const [start, end] = [this.#starts[id]!, this.#starts[id + 1]!];
      if (this.#scratch.length < end - start) this.#scratch = new Uint32Array(2 * (end - start));
      let length = 0;
      for (let i = start; i < end; i++) {
        const pair = this.#pairs[i]!;
        if (keeps[table.nameIdOf(pair)] === 1) this.#scratch[length++] = pair;
      }
      return length === end - start ? id : this.intern(this.#scratch, length);
    });
  }

  /** Positions of `ids` sorted by label set: pair by pair, name then value, a prefix first, in UTF-8 byte order. */
  sorted(ids: Uint32Array): Uint32Array {
    const rank = this.#rankOfPairs(ids);
    const pairs = this.#pairs;
    const starts = this.#starts;
    return Uint32Array.from(ids.keys()).sort((a, b) => {
      let left = starts[ids[a]!]!;
      let right = starts[ids[b]!]!;
      const leftEnd = starts[ids[a]! + 1]!;
      const rightEnd = starts[ids[b]! + 1]!;
      for (; left < leftEnd && right < rightEnd; left++, right++)
        if (pairs[left] !== pairs[right]) return rank[pairs[left]!]! - rank[pairs[right]!]!;
      return leftEnd - left - (rightEnd - right) || a - b;
    });
  }

  /** Each pair is compared as text once, however many series have it. */
  #rankOfPairs(ids: Uint32Array): Uint32Array {
    const used = new Set<number>();
    for (const id of ids) for (const pair of this.pairs(id)) used.add(pair);
    const { table } = this;
    const ordered = [...used].sort(
      (a, b) =>
        compareBytes(table.name(table.nameIdOf(a)), table.name(table.nameIdOf(b))) ||
        compareBytes(table.valueOf(a), table.valueOf(b)),
    );
    const rank = new Uint32Array(table.pairCount);
    ordered.forEach((pair, i) => (rank[pair] = i));
    return rank;
  }

  #equals(id: number, pairIds: Uint32Array, length: number): boolean {
    const start = this.#starts[id]!;
    if (this.#starts[id + 1]! - start !== length) return false;
    for (let i = 0; i < length; i++) if (this.#pairs[start + i] !== pairIds[i]) return false;
    return true;
  }

  #append(pairIds: Uint32Array, length: number): number {
    const id = this.#count++;
    const start = this.#starts[id]!;
    if (start + length > this.#pairs.length) this.#pairs = grown(this.#pairs, start + length);
    if (id + 1 >= this.#starts.length) this.#starts = grown(this.#starts, id + 2);
    for (let i = 0; i < length; i++) this.#pairs[start + i] = pairIds[i]!;
    this.#starts[id + 1] = start + length;
    return id;
  }

  #rehash(slotCount: number): void {
    this.#slots = new Int32Array(slotCount);
    for (let id = 0; id < this.#count; id++) {
      let slot = hashOf(this.#pairs, this.#starts[id]!, this.#starts[id + 1]!) & (slotCount - 1);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (slotCount - 1);
      this.#slots[slot] = id + 1;
    }
  }
}

/** Murmur3's mixing; the ids are the query's own, so nobody outside can choose what collides. */
function hashOf(pairIds: Uint32Array, start: number, end: number): number {
  let hash = 0x9747b28c;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ Math.imul(pairIds[i]!, 0xcc9e2d51), 0x1b873593);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function grown(array: Uint32Array<ArrayBuffer>, lengthNeeded: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(2 * array.length, lengthNeeded));
  larger.set(array);
  return larger;
}
