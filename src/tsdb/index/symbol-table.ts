/**
 * The symbols of an index that is to be written: all its label names and values, each once, in byte order. A symbol's
 * number is its place, so that numbers compare as their texts do: label sets given as numbers sort without a look at texts.
 *
 * One array of bytes and one of offsets, whatever the number: a million texts as JavaScript strings would take three times
 * as much.
 */
import { assert } from "../../base/assert.ts";
import { grown } from "../../base/grown.ts";
import { compareBytes } from "../model/labels.ts";
import { compareByteStrings } from "./format.ts";

/** Symbols in order, wherever they come from: a table, or an index on disk. */
export interface Symbols {
  readonly count: number;
  /** UTF-8; valid until the next call. */
  bytesOf(symbol: number): Uint8Array;
}

export class SymbolTable implements Symbols {
  #bytes = new Uint8Array(4096);
  #bytesUsed = 0;
  #ends = new Uint32Array(256);
  #count = 0;

  /** Of texts in any order, repeats among them. */
  static of(texts: Iterable<string>): SymbolTable {
    const sorted = sortedByBytes([...new Set(texts)]);
    const table = new SymbolTable();
    const encoder = new TextEncoder();
    for (const text of sorted) table.add(encoder.encode(text));
    return table;
  }

  /**
   * The symbols of several sources as one table.
   * @returns for each source, the new numbers of its symbols
   */
  static merge(sources: readonly Symbols[]): { readonly table: SymbolTable; readonly numbers: readonly Uint32Array[] } {
    const table = new SymbolTable();
    const numbers = sources.map(({ count }) => new Uint32Array(count));
    // The next symbol of each source, in a copy: what bytesOf gives may not outlast the next call.
    const heads = sources.map((source) => (source.count > 0 ? source.bytesOf(0).slice() : undefined));
    const positions = sources.map(() => 0);
    while (true) {
      let smallest: Uint8Array | undefined;
      for (const head of heads)
        if (head !== undefined && (smallest === undefined || compareByteStrings(head, smallest) < 0)) smallest = head;
      if (smallest === undefined) return { table, numbers };
      const number = table.add(smallest);
      for (const [i, source] of sources.entries()) {
        const head = heads[i];
        if (head === undefined || (head !== smallest && compareByteStrings(head, smallest) !== 0)) continue;
        numbers[i]![positions[i]!++] = number;
        heads[i] = positions[i]! < source.count ? source.bytesOf(positions[i]!).slice() : undefined;
      }
    }
  }

  get count(): number {
    return this.#count;
  }

  bytesOf(symbol: number): Uint8Array {
    assert(symbol < this.#count, "no such symbol");
    return this.#bytes.subarray(symbol === 0 ? 0 : this.#ends[symbol - 1], this.#ends[symbol]);
  }

  /** Adds the next one, which must come after all others. @returns its number */
  add(text: Uint8Array): number {
    assert(
      this.#count === 0 || compareByteStrings(this.bytesOf(this.#count - 1), text) < 0,
      "symbols out of order, or one twice",
    );
    const end = this.#bytesUsed + text.byteLength;
    if (end > this.#bytes.byteLength)
      this.#bytes = grown(this.#bytes, new Uint8Array(Math.max(end, this.#bytes.byteLength * 2)));
    if (this.#count === this.#ends.length) this.#ends = grown(this.#ends, new Uint32Array(this.#ends.length * 2));
    this.#bytes.set(text, this.#bytesUsed);
    this.#bytesUsed = this.#ends[this.#count] = end;
    return this.#count++;
  }

  /** @returns undefined when there is none */
  find(text: Uint8Array): number | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(middle, text);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  /** As compareByteStrings, without a view: searching makes twenty of these for each text. */
  #compare(symbol: number, text: Uint8Array): number {
    const bytes = this.#bytes;
    const from = symbol === 0 ? 0 : this.#ends[symbol - 1]!;
    const length = this.#ends[symbol]! - from;
    for (let i = 0; i < length && i < text.byteLength; i++)
      if (bytes[from + i] !== text[i]) return bytes[from + i]! - text[i]!;
    return length - text.byteLength;
  }
}

/** Sorts in place. The engine's own order is that of UTF-16 units, which is byte order below the surrogates, and faster. */
export const sortedByBytes = (texts: string[]): string[] =>
  texts.some((text) => /[\ud800-\uffff]/.test(text)) ? texts.sort(compareBytes) : texts.sort();
