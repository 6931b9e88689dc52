/**
 * Samples that come in any order, sorted by the range of time that they belong to: each range gathers rows in memory, and
 * when all of them together are too many, they go to a file for each range.
 */
import { join } from "node:path/posix";
import type { Vfs } from "../../base/vfs.ts";
import { ROW_BYTES, SampleRows } from "./sample-rows.ts";

interface Bucket {
  rows: SampleRows;
  count: number;
  /** Of its file. */
  spilled: number;
  mint: number;
  maxt: number;
}

export interface RangeSummary {
  /** Times of its samples, inclusive. */
  readonly mint: number;
  readonly maxt: number;
  readonly rowCount: number;
}

const FIRST_CAPACITY = 64;
/** Read at once. */
const PIECE_ROWS = 32 * 1024;

export class RangeSpill {
  readonly #vfs: Vfs;
  readonly #dir: string;
  readonly #rangeMs: number;
  readonly #memoryBytesMax: number;
  readonly #buckets = new Map<number, Bucket>();
  #memoryBytes = 0;
  #hasDir = false;
  #last: Bucket | undefined;
  #lastRange = Number.NaN;

  /** @param dir for the files; made when it is needed, and left to its owner to remove */
  constructor(vfs: Vfs, dir: string, rangeMs: number, memoryBytesMax: number) {
    this.#vfs = vfs;
    this.#dir = dir;
    this.#rangeMs = rangeMs;
    this.#memoryBytesMax = memoryBytesMax;
  }

  get rangeCount(): number {
    return this.#buckets.size;
  }

  /** Whether `spill` is due. */
  get isFull(): boolean {
    return this.#memoryBytes > this.#memoryBytesMax;
  }

  add(series: number, timeMs: number, value: number): void {
    const bucket = this.#roomFor(timeMs);
    bucket.rows.set(bucket.count++, series, timeMs, value);
  }

  /** @param low of the value's bits, as `high` */
  addWords(series: number, timeMs: number, low: number, high: number): void {
    const bucket = this.#roomFor(timeMs);
    bucket.rows.setWords(bucket.count++, series, timeMs, low, high);
  }

  /** Brings what is in memory to files. */
  async spill(): Promise<void> {
    if (!this.#hasDir) await this.#vfs.mkdir(this.#dir);
    this.#hasDir = true;
    for (const [range, bucket] of this.#buckets) {
      if (bucket.count === 0) continue;
      const file = await this.#vfs.open(this.#path(range), bucket.spilled === 0 ? "create" : "write");
      try {
        await file.write(bucket.rows.bytes.subarray(0, bucket.count * ROW_BYTES), bucket.spilled * ROW_BYTES);
      } finally {
        await file.close();
      }
      bucket.spilled += bucket.count;
      bucket.count = 0;
      bucket.rows = new SampleRows(FIRST_CAPACITY);
    }
    this.#memoryBytes = this.#buckets.size * FIRST_CAPACITY * ROW_BYTES;
  }

  /** Ranges in order of time. */
  ranges(): { readonly range: number; readonly summary: RangeSummary }[] {
    return [...this.#buckets]
      .sort(([a], [b]) => a - b)
      .map(([range, { mint, maxt, count, spilled }]) => ({
        range,
        summary: { mint, maxt, rowCount: count + spilled },
      }));
  }

  /** Shows all rows of a range, in the order in which they were added, in pieces. */
  async read(range: number, visit: (rows: SampleRows, count: number) => void): Promise<void> {
    const bucket = this.#buckets.get(range);
    if (bucket === undefined) return;
    if (bucket.spilled > 0) {
      const file = await this.#vfs.open(this.#path(range), "read");
      try {
        const piece = new SampleRows(Math.min(PIECE_ROWS, bucket.spilled));
        for (let done = 0; done < bucket.spilled;) {
          const wanted = Math.min(piece.capacity, bucket.spilled - done);
          const filled = await file.read(piece.bytes.subarray(0, wanted * ROW_BYTES), done * ROW_BYTES);
          if (filled < wanted * ROW_BYTES) throw new Error(`${file.path} has become shorter`);
          visit(piece, wanted);
          done += wanted;
        }
      } finally {
        await file.close();
      }
    }
    visit(bucket.rows, bucket.count);
  }

  #roomFor(timeMs: number): Bucket {
    const bucket = this.#bucketOf(Math.floor(timeMs / this.#rangeMs));
    if (bucket.count === bucket.rows.capacity) this.#grow(bucket);
    if (timeMs < bucket.mint) bucket.mint = timeMs;
    if (timeMs > bucket.maxt) bucket.maxt = timeMs;
    return bucket;
  }

  #bucketOf(range: number): Bucket {
    // Mostly the range of the sample before.
    if (range === this.#lastRange) return this.#last!;
    let bucket = this.#buckets.get(range);
    if (bucket === undefined) {
      bucket = {
        rows: new SampleRows(FIRST_CAPACITY),
        count: 0,
        spilled: 0,
        mint: Number.POSITIVE_INFINITY,
        maxt: Number.NEGATIVE_INFINITY,
      };
      this.#buckets.set(range, bucket);
      this.#memoryBytes += bucket.rows.bytes.byteLength;
    }
    this.#last = bucket;
    this.#lastRange = range;
    return bucket;
  }

  #grow(bucket: Bucket): void {
    const larger = new SampleRows(bucket.rows.capacity * 2);
    larger.bytes.set(bucket.rows.bytes);
    this.#memoryBytes += larger.bytes.byteLength - bucket.rows.bytes.byteLength;
    bucket.rows = larger;
  }

  #path = (range: number): string => join(this.#dir, `range${range}`);
}
