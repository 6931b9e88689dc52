/** Names, pairs and label sets of the head, translated to the query's own ids as they are met. */
import type { HeadMemory } from "../kernel/head-memory.ts";
import type { Matcher } from "../model/matcher.ts";
import { type ValueTest, valueTest } from "../model/value-test.ts";
import type { LabelTable } from "../promql/label-table.ts";
import type { QueryContext } from "../storage.ts";

interface MatcherPlan {
  readonly pairIds: Uint32Array;
  /** Whether series with these pairs are taken away instead of kept. */
  readonly subtract: boolean;
}

export class HeadLabels {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #table: LabelTable;
  readonly #decoder = new TextDecoder();
  /** By the head's pair id: the query's + 1. */
  #translated = new Uint32Array(4096);

  constructor(memory: HeadMemory, slot: number, table: LabelTable) {
    this.#memory = memory;
    this.#slot = slot;
    this.#table = table;
  }

  /**
   * What a matcher asks of the postings. A label that a series lacks is the empty string: a matcher that accepts it can
   * only take away the series whose value it does not accept.
   */
  planMatcher(matcher: Matcher, { budget }: QueryContext): MatcherPlan {
    const test = valueTest(matcher);
    const isNegative = matcher.type === "!=" || matcher.type === "!~";
    const acceptsEmpty = test.passes("") !== isNegative;
    // Pairs to look up: those that pass the positive test, or those that fail it.
    const wantsPassing = acceptsEmpty === isNegative;
    if (wantsPassing && test.literals !== undefined) {
      const ids = test.literals.filter((value) => value !== "").map((value) => this.findPair(matcher.name, value));
      return { pairIds: Uint32Array.from(ids.filter((id) => id !== undefined)), subtract: acceptsEmpty };
    }
    return { pairIds: this.#scanPairs(matcher.name, test, wantsPassing, () => budget.check()), subtract: acceptsEmpty };
  }

  #scanPairs(name: string, test: ValueTest, wantsPassing: boolean, check: () => void): Uint32Array {
    const { kernel } = this.#memory;
    const nameId = this.findName(name);
    const ids: number[] = [];
    if (nameId === undefined) return new Uint32Array(0);
    const max = kernel.listIdsMax();
    for (let after = 0; ;) {
      const count = kernel.listPairs(this.#slot, nameId, after) >>> 0;
      const list = kernel.listAddress(this.#slot) >>> 2;
      const page = this.#memory.words.slice(list, list + count);
      for (let i = 0; i < page.length; i++) {
        if (i % 4096 === 0) check();
        if (test.passes(this.valueOfPair(page[i]!)) === wantsPassing) ids.push(page[i]!);
      }
      if (count < max) return Uint32Array.from(ids);
      after = page[count - 1]! + 1;
    }
  }

  findName(name: string): number | undefined {
    const bytes = Buffer.from(name);
    if (bytes.byteLength > KEY_BYTES_MAX) return undefined;
    this.#memory.bytes.set(bytes, this.#memory.kernel.keyAddress(this.#slot) >>> 0);
    const found = this.#memory.kernel.lookupName(this.#slot, bytes.byteLength) >>> 0;
    return found === 0 ? undefined : found - 1;
  }

  findPair(name: string, value: string): number | undefined {
    const nameBytes = Buffer.from(name);
    const valueBytes = Buffer.from(value);
    if (nameBytes.byteLength + valueBytes.byteLength > KEY_BYTES_MAX) return undefined;
    const wire = Buffer.concat([
      Uint8Array.of(0x0a, ...uvarint(nameBytes.byteLength)),
      nameBytes,
      Uint8Array.of(0x12, ...uvarint(valueBytes.byteLength)),
      valueBytes,
    ]);
    this.#memory.bytes.set(wire, this.#memory.kernel.keyAddress(this.#slot) >>> 0);
    const found = this.#memory.kernel.lookupPair(this.#slot, wire.byteLength) >>> 0;
    return found === 0 ? undefined : found - 1;
  }

  nameOfPair(pairId: number): string {
    const { kernel } = this.#memory;
    return this.#text(kernel.pairNameAddress(pairId) >>> 0, kernel.pairNameBytes(pairId) >>> 0);
  }

  valueOfPair(pairId: number): string {
    const { kernel } = this.#memory;
    return this.#text(kernel.pairValueAddress(pairId) >>> 0, kernel.pairValueBytes(pairId) >>> 0);
  }

  /** The head's pair ids of a series, ordered by name. */
  pairsOf(ref: number): Uint32Array {
    const { kernel } = this.#memory;
    const at = kernel.seriesPairs(ref) >>> 2;
    return this.#memory.words.subarray(at, at + (kernel.seriesPairCount(ref) >>> 0));
  }

  /** The query's pair ids of a series, ordered by name. */
  translate(ref: number): Uint32Array {
    const pairs = this.pairsOf(ref);
    const ids = new Uint32Array(pairs.length);
    for (let i = 0; i < pairs.length; i++) {
      const pairId = pairs[i]!;
      if (pairId >= this.#translated.length) this.#grow(pairId);
      let id = this.#translated[pairId]!;
      if (id === 0) {
        id = this.#table.pairId(this.nameOfPair(pairId), this.valueOfPair(pairId)) + 1;
        this.#translated[pairId] = id;
      }
      ids[i] = id - 1;
    }
    return ids;
  }

  #grow(pairId: number): void {
    const larger = new Uint32Array(Math.max(this.#translated.length * 2, pairId + 1));
    larger.set(this.#translated);
    this.#translated = larger;
  }

  /** TextDecoder takes no views of shared memory: short texts are copied. */
  #text(address: number, bytes: number): string {
    return this.#decoder.decode(this.#memory.bytes.slice(address, address + bytes));
  }
}

/** The key area holds 64 KiB. */
const KEY_BYTES_MAX = 60_000;

function uvarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return bytes;
}
