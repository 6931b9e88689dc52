/** One series as an index has it, in columns that are used again for the next. */
import { grown } from "../../base/grown.ts";

/** A label set in numbers of symbols, which are ordered as the symbols are. */
export interface NumberedLabels {
  readonly labelCount: number;
  /** name, value, name, value, ... */
  readonly labels: Uint32Array;
}

export class SeriesEntry implements NumberedLabels {
  labelCount = 0;
  labels = new Uint32Array(32);
  chunkCount = 0;
  /** Inclusive, ms. */
  mint = new Float64Array(16);
  maxt = new Float64Array(16);
  /** Number of the chunk file from 0, times 2^32, plus the offset in it. */
  ref = new Float64Array(16);

  clear(): void {
    this.labelCount = this.chunkCount = 0;
  }

  addLabel(name: number, value: number): void {
    const at = 2 * this.labelCount++;
    if (at === this.labels.length) this.labels = grown(this.labels, new Uint32Array(at * 2));
    this.labels[at] = name;
    this.labels[at + 1] = value;
  }

  addChunk(mint: number, maxt: number, ref: number): void {
    const at = this.chunkCount++;
    if (at === this.ref.length) {
      this.mint = grown(this.mint, new Float64Array(at * 2));
      this.maxt = grown(this.maxt, new Float64Array(at * 2));
      this.ref = grown(this.ref, new Float64Array(at * 2));
    }
    this.mint[at] = mint;
    this.maxt[at] = maxt;
    this.ref[at] = ref;
  }
}

/** In the order of an index, as Prometheus compares label sets: pair by pair, a prefix first. */
export function compareLabels(a: NumberedLabels, b: NumberedLabels): number {
  const length = 2 * Math.min(a.labelCount, b.labelCount);
  for (let i = 0; i < length; i++) if (a.labels[i] !== b.labels[i]) return a.labels[i]! - b.labels[i]!;
  return a.labelCount - b.labelCount;
}
