/**
 * The symbols of an index on disk. Where every 32nd one begins is kept; the others are reached from there.
 */
import { compareByteStrings } from "./format.ts";
import type { PagedFile } from "./page-cache.ts";
import { PagedCursor } from "./paged-cursor.ts";
import { sectionLength } from "./section.ts";
import type { Symbols } from "./symbol-table.ts";

const SAMPLED_EVERY = 32;
/** Texts that are kept: label names, and what was asked for lately. */
const TEXTS_MAX = 16 * 1024;

// A byte order mark is a character like others here.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class SymbolSection implements Symbols {
  readonly count: number;
  readonly #file: PagedFile;
  readonly #cursor: PagedCursor;
  /** Offsets in the file of every 32nd symbol. */
  readonly #sampled: Float64Array;
  readonly #end: number;
  readonly #texts = new Map<number, string>();
  /** The symbol that the cursor stands before. */
  #next = -1;

  private constructor(file: PagedFile, count: number, sampled: Float64Array, end: number) {
    this.count = count;
    this.#file = file;
    this.#sampled = sampled;
    this.#end = end;
    this.#cursor = new PagedCursor(file);
  }

  static open(file: PagedFile, offset: number): SymbolSection {
    const end = offset + 4 + sectionLength(file, offset, "the symbols");
    const cursor = new PagedCursor(file);
    cursor.seek(offset + 4, end);
    const count = cursor.u32();
    if (count > end - offset) throw file.corrupt(offset + 4, "more symbols than there is room for");
    const sampled = new Float64Array(Math.ceil(count / SAMPLED_EVERY));
    for (let i = 0; i < count; i++) {
      if (i % SAMPLED_EVERY === 0) sampled[i / SAMPLED_EVERY] = cursor.offset;
      cursor.skip(cursor.uvarint());
    }
    return new SymbolSection(file, count, sampled, end);
  }

  bytesOf(symbol: number): Uint8Array {
    if (symbol >= this.count) throw this.#file.corrupt(this.#end, `symbol ${symbol} of ${this.count} was asked for`);
    const cursor = this.#cursor;
    const sample = Math.floor(symbol / SAMPLED_EVERY);
    // Those who go over all of them go on where they are.
    if (this.#next > symbol || this.#next < sample * SAMPLED_EVERY) {
      cursor.seek(this.#sampled[sample]!, this.#end);
      this.#next = sample * SAMPLED_EVERY;
    }
    for (; this.#next < symbol; this.#next++) cursor.skip(cursor.uvarint());
    this.#next++;
    return cursor.bytes(cursor.uvarint());
  }

  textOf(symbol: number): string {
    let text = this.#texts.get(symbol);
    if (text !== undefined) return text;
    text = decoder.decode(this.bytesOf(symbol));
    if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
    this.#texts.set(symbol, text);
    return text;
  }

  /** @returns undefined when there is no such symbol */
  find(text: Uint8Array): number | undefined {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = compareByteStrings(this.bytesOf(middle), text);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }
}
