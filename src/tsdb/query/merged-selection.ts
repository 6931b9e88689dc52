/**
 * Series of several sources, read together: each source reads what it has of the next few series, then the chunks of each
 * series are joined. The only source of a selection reads straight into the batch, and nothing more is done as long as
 * chunks neither overlap nor are deleted in part.
 */
import { SourceChunks } from "../chunk-source.ts";
import type { SourceSelection } from "../chunk-source.ts";
import type { Budget, ChunkBatch, SeriesSelection } from "../storage.ts";
import { ChunkMerger } from "./chunk-merger.ts";

/** How series of several parts are one. */
export interface JoinedSeries {
  readonly count: number;
  /** By part: of each series its number there, or -1. */
  readonly inPart: readonly Int32Array[];
  /** Of each series the first part that has it. */
  readonly firstPart: Uint32Array;
}

/** Encoded bytes that one batch aims at: enough to make a call worth it, little enough to stay in the cache. */
const BATCH_BYTES = 2 * 1024 * 1024;
/** What a source should be asked for at least, so that it can read neighbours in one piece. */
const PART_BYTES_MIN = 256 * 1024;
const SERIES_PER_BATCH_MAX = 1024;

export class MergedSelection implements SeriesSelection {
  readonly seriesCount: number;
  readonly #parts: readonly SourceSelection[];
  readonly #joined: JoinedSeries | undefined;
  readonly #budget: Budget;
  #next = 0;
  /** About as many as the last batch took: what is read and does not fit is read again. */
  #seriesPerBatch = SERIES_PER_BATCH_MAX;

  /** @param joined absent when there is at most one part */
  constructor(parts: readonly SourceSelection[], joined: JoinedSeries | undefined, budget: Budget) {
    this.seriesCount = joined?.count ?? parts[0]?.seriesCount ?? 0;
    this.#parts = parts;
    this.#joined = joined;
    this.#budget = budget;
  }

  labels(i: number): Uint32Array {
    if (this.#joined === undefined) return this.#parts[0]!.labels(i);
    const part = this.#joined.firstPart[i]!;
    return this.#parts[part]!.labels(this.#joined.inPart[part]![i]!);
  }

  next(into: ChunkBatch): boolean {
    if (this.#next === this.seriesCount) return false;
    into.firstSeries = this.#next;
    into.seriesCount = 0;
    const wanted = Math.min(this.#seriesPerBatch, this.seriesCount - this.#next);
    const read = this.#joined === undefined ? this.#readOnly(wanted, into) : this.#readAll(wanted, into, this.#joined);
    this.#seriesPerBatch = read < wanted ? read : Math.min(SERIES_PER_BATCH_MAX, 2 * this.#seriesPerBatch);
    into.seriesCount = read;
    this.#next += read;
    return true;
  }

  #readOnly(wanted: number, into: ChunkBatch): number {
    const series = Uint32Array.from({ length: wanted }, (_, i) => this.#next + i);
    const chunks = SourceChunks.of(into);
    const read = this.#parts[0]!.read(series, chunks, BATCH_BYTES);
    if (chunks.isPlain) return read;
    new ChunkMerger([{ chunks: chunks.copy(), places: undefined }], into, this.#budget).merge(read);
    return read;
  }

  #readAll(wanted: number, into: ChunkBatch, { inPart }: JoinedSeries): number {
    const bytesMax = Math.max(PART_BYTES_MIN, BATCH_BYTES / this.#parts.length);
    let count = wanted;
    const parts = this.#parts.map((part, p) => {
      const places = new Int32Array(count).fill(-1);
      const series = new Uint32Array(count);
      let asked = 0;
      for (let i = 0; i < count; i++) {
        const number = inPart[p]![this.#next + i]!;
        if (number < 0) continue;
        places[i] = asked;
        series[asked++] = number;
      }
      const chunks = SourceChunks.in(into);
      if (asked === 0) return { chunks, places };
      const read = part.read(series.subarray(0, asked), chunks, bytesMax);
      // Of the series that this part did not come to, those before are complete: the others are for the next batch.
      if (read < asked) count = places.indexOf(read);
      return { chunks, places };
    });
    new ChunkMerger(parts, into, this.#budget).merge(count);
    return count;
  }
}
