/**
 * Where a query's chunks come from: the head, or one block. A source is selected from by matchers like the whole storage,
 * but read at random, so that the series of several can be joined (query/merged-storage.ts), and it hands on what is stored
 * with what is deleted of it beside.
 *
 *   ChunkSource ──querier──▶ SourceQuerier ──select──▶ SourceSelection ──read──▶ SourceChunks
 *
 * Synchronous, as everything in a query worker. All times are inclusive ms since the epoch.
 */
import type { Matcher } from "./model/matcher.ts";
import type { ChunkBatch, ChunkMemory, QueryContext } from "./storage.ts";

export interface ChunkSource {
  /** It has no samples outside of these times. */
  readonly mint: number;
  readonly maxt: number;
  querier(context: QueryContext): SourceQuerier;
}

/** As storage.ts describes Querier, of one source. */
export interface SourceQuerier {
  select(matchers: readonly Matcher[], mint: number, maxt: number): SourceSelection;
  labelNames(matchers: readonly Matcher[], mint: number, maxt: number): string[];
  labelValues(name: string, matchers: readonly Matcher[], mint: number, maxt: number): string[];
  readonly warnings: readonly string[];
  close(): void;
}

export interface SourceSelection {
  readonly seriesCount: number;
  /** Label pair ids (LabelTable.pairId) of series `i`, ordered by label name. Valid while the query lives. */
  labels(i: number): Uint32Array;
  /**
   * Reads chunks that may have samples in the range. Series are read whole, one after the other, until all are read or
   * `bytesMax` is reached.
   * @param series which ones, in any order, each once; ascending ones cost least
   * @param into cleared before
   * @returns how many of `series` were read, from the first on: one at least
   */
  read(series: Uint32Array, into: SourceChunks, bytesMax: number): number;
}

/** A range of time, both ends inclusive, that is deleted of a series. */
export interface Deletion {
  /** As in SourceChunks. */
  readonly series: number;
  readonly mint: number;
  readonly maxt: number;
}

interface Columns {
  readonly start: number[];
  readonly address: number[];
  readonly bytes: number[];
  readonly encoding: number[];
  readonly mint?: number[];
  readonly maxt?: number[];
  readonly deletions?: Deletion[];
}

/**
 * What a source has read. Chunks of the `i`-th series that was asked for have the numbers `start[i]` up to, not including,
 * `start[i + 1]`; they may overlap, and those in order of time cost least. Where two of one series have a sample at one time,
 * that of the chunk with the earlier first time counts, but one of an encoded chunk before one of a raw chunk (CHUNK_RAW).
 */
export class SourceChunks {
  /** Where the chunks lie. */
  readonly memory: ChunkMemory;
  readonly start: number[];
  readonly address: number[];
  readonly bytes: number[];
  readonly encoding: number[];
  /** Time of the first sample, exactly. */
  readonly mint: number[];
  /** Not before the time of the last sample. */
  readonly maxt: number[];
  /** What is deleted of encoded chunks, in order of series; raw chunks come without what is deleted. */
  readonly deletions: Deletion[];

  private constructor(memory: ChunkMemory, columns: Columns) {
    this.memory = memory;
    this.start = columns.start;
    this.address = columns.address;
    this.bytes = columns.bytes;
    this.encoding = columns.encoding;
    this.mint = columns.mint ?? [];
    this.maxt = columns.maxt ?? [];
    this.deletions = columns.deletions ?? [];
  }

  /** Columns of its own. */
  static in(memory: ChunkMemory): SourceChunks {
    return new SourceChunks(memory, { start: [], address: [], bytes: [], encoding: [] });
  }

  /** The columns of a batch: what is read is in the batch at once. */
  static of(batch: ChunkBatch): SourceChunks {
    const { chunkStart: start, chunkAddress: address, chunkBytes: bytes, encoding } = batch;
    return new SourceChunks(batch, { start, address, bytes, encoding });
  }

  /** The same chunks, in columns of their own. */
  copy(): SourceChunks {
    return new SourceChunks(this.memory, {
      start: [...this.start],
      address: [...this.address],
      bytes: [...this.bytes],
      encoding: [...this.encoding],
      mint: [...this.mint],
      maxt: [...this.maxt],
      deletions: [...this.deletions],
    });
  }

  get count(): number {
    return this.address.length;
  }

  /** Whether chunks neither overlap nor have anything deleted. */
  get isPlain(): boolean {
    if (this.deletions.length > 0) return false;
    const { start, mint, maxt } = this;
    for (let series = 0; series + 1 < start.length; series++) {
      const end = start[series + 1]!;
      for (let chunk = start[series]! + 1; chunk < end; chunk++) if (mint[chunk]! <= maxt[chunk - 1]!) return false;
    }
    return true;
  }

  clear(): void {
    this.start.length = 1;
    this.start[0] = 0;
    this.#shorten(0);
    this.deletions.length = 0;
  }

  /** @returns the chunk's number */
  add(address: number, bytes: number, encoding: number, mint: number, maxt: number): number {
    this.bytes.push(bytes);
    this.encoding.push(encoding);
    this.mint.push(mint);
    this.maxt.push(maxt);
    return this.address.push(address) - 1;
  }

  endSeries(): void {
    this.start.push(this.address.length);
  }

  /** Takes chunks out, such as those that could not be read. */
  remove(chunks: ReadonlySet<number>): void {
    let kept = 0;
    let series = 0;
    for (let chunk = 0; chunk < this.count; chunk++) {
      for (; this.start[series] === chunk; series++) this.start[series] = kept;
      if (chunks.has(chunk)) continue;
      this.address[kept] = this.address[chunk]!;
      this.bytes[kept] = this.bytes[chunk]!;
      this.encoding[kept] = this.encoding[chunk]!;
      this.mint[kept] = this.mint[chunk]!;
      this.maxt[kept] = this.maxt[chunk]!;
      kept++;
    }
    for (; series < this.start.length; series++) this.start[series] = kept;
    this.#shorten(kept);
  }

  #shorten(count: number): void {
    this.address.length = this.bytes.length = this.encoding.length = this.mint.length = this.maxt.length = count;
  }
}

/** The warning of whoever leaves samples out: between which times, and why. */
export const missingSamples = (mint: number, maxt: number, why: string): string =>
  `Samples from ${timeText(mint)} to ${timeText(maxt)} are missing from the result: ${why}`;

/** Times that a Date cannot hold are shown as they are. */
const timeText = (timeMs: number): string =>
  Math.abs(timeMs) <= DATE_MS_MAX ? new Date(timeMs).toISOString() : String(timeMs);

const DATE_MS_MAX = 8.64e15;
