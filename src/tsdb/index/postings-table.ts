/**
 * The postings offset table of an index on disk: for each label value, where its postings are. Sorted by name and value; of
 * each name the first entry and every 32nd after it are kept, by their offsets, and the others are reached from there.
 */
import { compareByteStrings } from "./format.ts";
import type { PagedFile } from "./page-cache.ts";
import { PagedCursor } from "./paged-cursor.ts";
import { sectionLength } from "./section.ts";

const SAMPLED_EVERY = 32;

interface LabelName {
  readonly text: string;
  /** What each entry of this name begins with: number of keys, name with its length. */
  readonly prefixBytes: number;
  /** Its first one among the sampled entries. */
  readonly firstSample: number;
  valueCount: number;
}

const encoder = new TextEncoder();
// A byte order mark is a character like others here.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class PostingsTable {
  /** Of labels, in byte order. */
  readonly names: readonly string[];
  readonly #file: PagedFile;
  readonly #cursor: PagedCursor;
  readonly #start: number;
  readonly #end: number;
  readonly #byName: ReadonlyMap<string, LabelName>;
  /** Of entries, from the table's start. */
  readonly #sampled: Uint32Array;

  private constructor(file: PagedFile, start: number, end: number) {
    this.#file = file;
    this.#start = start;
    this.#end = end;
    this.#cursor = new PagedCursor(file);
    const { names, sampled } = this.#readAll();
    this.#byName = names;
    this.#sampled = sampled;
    this.names = [...names.keys()].filter((name) => name !== "");
  }

  static open(file: PagedFile, offset: number): PostingsTable {
    const length = sectionLength(file, offset, "the postings offsets");
    return new PostingsTable(file, offset + 4, offset + 4 + length);
  }

  valueCount(name: string): number {
    return this.#byName.get(name)?.valueCount ?? 0;
  }

  forEachValue(name: string, visit: (value: string, postings: number) => boolean | void): void {
    const found = this.#byName.get(name);
    if (found === undefined) return;
    // A cursor of its own: whoever visits may ask for other things of this table.
    const cursor = new PagedCursor(this.#file);
    cursor.seek(this.#start + this.#sampled[found.firstSample]!, this.#end);
    for (let i = 0; i < found.valueCount; i++) {
      cursor.skip(found.prefixBytes);
      const value = decoder.decode(cursor.bytes(cursor.uvarint()));
      if (visit(value, cursor.uvarint()) === false) return;
    }
  }

  /** Where the postings of a label value are; undefined when there are none. */
  find(name: string, value: string): number | undefined {
    const found = this.#byName.get(name);
    if (found === undefined) return undefined;
    const wanted = encoder.encode(value);
    // The last sampled entry that is not behind the value.
    let low = 0;
    let high = Math.ceil(found.valueCount / SAMPLED_EVERY);
    while (low < high) {
      const middle = (low + high) >>> 1;
      this.#seekSample(found, middle);
      if (compareByteStrings(this.#readValue(found), wanted) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    this.#seekSample(found, low - 1);
    const left = found.valueCount - (low - 1) * SAMPLED_EVERY;
    for (let i = 0; i < Math.min(SAMPLED_EVERY, left); i++) {
      const order = compareByteStrings(this.#readValue(found), wanted);
      const offset = this.#cursor.uvarint();
      if (order === 0) return offset;
      if (order > 0) return undefined;
    }
    return undefined;
  }

  #seekSample(name: LabelName, sample: number): void {
    this.#cursor.seek(this.#start + this.#sampled[name.firstSample + sample]!, this.#end);
  }

  #readValue(name: LabelName): Uint8Array {
    this.#cursor.skip(name.prefixBytes);
    return this.#cursor.bytes(this.#cursor.uvarint());
  }

  #readAll(): { names: Map<string, LabelName>; sampled: Uint32Array } {
    const cursor = this.#cursor;
    cursor.seek(this.#start, this.#end);
    const entryCount = cursor.u32();
    if (entryCount * 4 > this.#end - this.#start)
      throw this.#file.corrupt(this.#start, "more postings offsets than there is room for");
    const names = new Map<string, LabelName>();
    const sampled: number[] = [];
    let current: LabelName | undefined;
    let currentBytes = new Uint8Array(0);
    let valueBefore: Uint8Array = new Uint8Array(0);
    for (let i = 0; i < entryCount; i++) {
      const entry = cursor.offset;
      if (cursor.uvarint() !== 2) throw this.#file.corrupt(entry, "a postings offset without name and value");
      const name = cursor.bytes(cursor.uvarint());
      const prefixBytes = cursor.offset - entry;
      const value = cursor.bytes(cursor.uvarint());
      cursor.uvarint();
      const order = current === undefined ? -1 : compareByteStrings(currentBytes, name);
      if (order > 0 || (order === 0 && compareByteStrings(valueBefore, value) >= 0))
        throw this.#file.corrupt(entry, "postings offsets out of order");
      if (order < 0 || current === undefined) {
        currentBytes = name.slice();
        current = { text: decoder.decode(name), prefixBytes, firstSample: sampled.length, valueCount: 0 };
        names.set(current.text, current);
      }
      if (current.valueCount++ % SAMPLED_EVERY === 0) sampled.push(entry - this.#start);
      valueBefore = value;
    }
    return { names, sampled: Uint32Array.from(sampled) };
  }
}
