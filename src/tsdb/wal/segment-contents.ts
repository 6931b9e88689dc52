/**
 * What the samples records of one segment hold, counted without a kernel: for inspection, where no sample is wanted but how
 * many there are, of how many series, between which times. It is as strict as replay (kernel/assembly/replay.ts) in what a
 * segment can contradict by itself, so that both end a segment at the same record.
 */
import { compareBytes } from "../model/labels.ts";
import { RECORD_DELETES } from "./format.ts";
import type { RecordBuffer, WalRecord } from "./reader.ts";

export interface RecordContents {
  readonly symbols: number;
  readonly series: number;
  readonly samples: number;
  /** Inclusive, ms; infinite without samples. */
  readonly mint: number;
  readonly maxt: number;
}

/** As the kernel has them (layout.ts, series.ts). */
const PAIR_BYTES_MAX = 2 ** 21 - 1;
const LABELS_PER_SERIES_MAX = 4096;
const TIME_MS_MAX = 2 ** 53;
const SAMPLES_PER_RECORD_MAX = 65_000;
const REFS_MAX = 2 ** 28;

const HAS_REF = 1;
const HAS_TIME = 2;
const BYTES_SHIFT = 2;
const WHOLE_VALUE = 7;

/** The record contradicts itself, or those before it. */
class Senseless extends Error {}

export class SegmentContents {
  /** Of each symbol so far, the number of its name. */
  readonly #nameOf: number[] = [];
  readonly #names = new Map<string, number>();
  readonly #nameTexts: string[] = [];
  readonly #declared = new Set<number>();
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** Refs that the segment has declared so far. */
  get series(): ReadonlySet<number> {
    return this.#declared;
  }

  /** Reads the next record of samples or deletes. @returns undefined when it is senseless; then the segment ends in front of it */
  read(record: WalRecord, buffer: RecordBuffer): RecordContents | undefined {
    this.#bytes = buffer.bytes;
    this.#at = record.dataOffset;
    this.#end = record.dataOffset + record.dataBytes;
    try {
      const symbols = this.#readSymbols();
      const series = this.#readSeries();
      const isDelete = record.type === RECORD_DELETES;
      if (isDelete && symbols + series > 0) throw new Senseless();
      const samples = isDelete ? this.#readDeletes() : this.#readSamples();
      return this.#at === this.#end ? { symbols, series, ...samples } : undefined;
    } catch (thrown) {
      if (thrown instanceof Senseless) return undefined;
      throw thrown;
    }
  }

  #readSymbols(): number {
    const count = this.#count();
    for (let left = count; left > 0; left--) {
      const name = this.#text();
      const valueBytes = this.#skipText();
      if (name.length === 0 || valueBytes === 0 || name.length + valueBytes + 16 > PAIR_BYTES_MAX)
        throw new Senseless();
      this.#nameOf.push(this.#nameNumber(Buffer.from(name).toString("latin1")));
    }
    return count;
  }

  #nameNumber(name: string): number {
    let number = this.#names.get(name);
    if (number === undefined) {
      number = this.#nameTexts.push(name) - 1;
      this.#names.set(name, number);
    }
    return number;
  }

  #readSeries(): number {
    const count = this.#count();
    let ref = 0;
    for (let left = count; left > 0; left--) {
      ref += this.#zigzag();
      if (ref < 0 || ref >= 2 ** 32) throw new Senseless();
      const labels = this.#varint();
      if (labels === 0 || labels > LABELS_PER_SERIES_MAX) throw new Senseless();
      let before: string | undefined;
      for (let i = 0; i < labels; i++) {
        const nameNumber = this.#nameOf[this.#varint()];
        if (nameNumber === undefined) throw new Senseless();
        const name = this.#nameTexts[nameNumber]!;
        if (before !== undefined && compareBytes(before, name) >= 0) throw new Senseless();
        before = name;
      }
      this.#declared.add(ref);
    }
    return count;
  }

  #readSamples(): Pick<RecordContents, "samples" | "mint" | "maxt"> {
    const count = this.#count();
    if (count > SAMPLES_PER_RECORD_MAX) throw new Senseless();
    let ref = -1;
    let time = 0;
    let mint = Number.POSITIVE_INFINITY;
    let maxt = Number.NEGATIVE_INFINITY;
    for (let left = count; left > 0; left--) {
      if (this.#at >= this.#end) throw new Senseless();
      const flags = this.#bytes[this.#at++]!;
      ref += (flags & HAS_REF) === 0 ? 1 : this.#zigzag();
      if ((flags & HAS_TIME) !== 0) time += this.#zigzag();
      if (Math.abs(time) > TIME_MS_MAX || !this.#declared.has(ref)) throw new Senseless();
      const stored = (flags >> BYTES_SHIFT) & 7;
      this.#skip(stored === WHOLE_VALUE ? 8 : stored);
      if (time < mint) mint = time;
      if (time > maxt) maxt = time;
    }
    return { samples: count, mint, maxt };
  }

  /** What is deleted counts as no sample, and its times for nothing. */
  #readDeletes(): Pick<RecordContents, "samples" | "mint" | "maxt"> {
    const count = this.#count();
    if (count > SAMPLES_PER_RECORD_MAX) throw new Senseless();
    let ref = -1;
    let mint = 0;
    for (let left = count; left > 0; left--) {
      ref += this.#zigzag();
      mint += this.#zigzag();
      const span = this.#varint();
      if (ref < 0 || ref >= REFS_MAX || Math.abs(mint) > TIME_MS_MAX || span > TIME_MS_MAX - mint)
        throw new Senseless();
    }
    return { samples: 0, mint: Number.POSITIVE_INFINITY, maxt: Number.NEGATIVE_INFINITY };
  }

  /** Of entries, none of which takes less than a byte. */
  #count(): number {
    const count = this.#varint();
    if (count > this.#end - this.#at) throw new Senseless();
    return count;
  }

  #text(): Uint8Array {
    const byteCount = this.#skipText();
    return this.#bytes.subarray(this.#at - byteCount, this.#at);
  }

  #skipText(): number {
    const byteCount = this.#varint();
    this.#skip(byteCount);
    return byteCount;
  }

  #skip(byteCount: number): void {
    if (byteCount > this.#end - this.#at) throw new Senseless();
    this.#at += byteCount;
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Beyond 2^53 rounded, which is beyond all that is allowed. */
  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let byteCount = 0; byteCount < 10; byteCount++, scale *= 128) {
      if (this.#at >= this.#end) throw new Senseless();
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Senseless();
  }
}
