/** One series as an index has it, in columns that are used again for the next. */

export class SeriesEntry {
  labelCount = 0;
  /** Numbers of symbols: name, value, name, value, ... */
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

function grown<T extends Uint32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
