/**
 * Series of one block that a query selected. Their labels are kept, and which chunks they have, as long as these are not too
 * many: a month of a series has thousands. What is not kept is read from the index again when it is wanted.
 *
 *   series ──▶ references, what is deleted ──ascending──▶ ChunkFilesReader ──verified──▶ chunks
 */
import { TsdbError } from "../../base/errors.ts";
import type { SourceChunks, SourceSelection } from "../chunk-source.ts";
import { damageOf } from "../index/corrupt.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import { CHUNK_PACKED, CHUNK_XOR, CHUNK_XOR2 } from "../storage.ts";
import type { BlockReader } from "./block-reader.ts";
import type { Interval, Tombstones } from "./tombstones.ts";

export interface BlockRange {
  readonly mint: number;
  readonly maxt: number;
  /** Told of what is damaged: between these times the answer lacks samples. */
  readonly onDamage: (mint: number, maxt: number, error: TsdbError) => void;
}

/** Series ids, and of each its label pair ids from `labelStart[i]` up to `labelStart[i + 1]`. */
export interface SelectedSeries {
  readonly ids: Uint32Array;
  readonly labels: Uint32Array;
  readonly labelStart: Uint32Array;
  /** Absent when there are too many to keep. */
  readonly chunks: KeptChunks | undefined;
}

/** Chunks of the series that were selected, those in the range: of the `i`-th those from `start[i]` up to `start[i + 1]`. */
export class KeptChunks {
  readonly start: number[] = [0];
  readonly mint: number[] = [];
  readonly maxt: number[] = [];
  readonly ref: number[] = [];

  get count(): number {
    return this.ref.length;
  }

  add({ chunkCount, mint, maxt, ref }: SeriesEntry, range: { readonly mint: number; readonly maxt: number }): void {
    for (let i = 0; i < chunkCount && mint[i]! <= range.maxt; i++) {
      if (maxt[i]! < range.mint) continue;
      this.mint.push(mint[i]!);
      this.maxt.push(maxt[i]!);
      this.ref.push(ref[i]!);
    }
    this.start.push(this.ref.length);
  }
}

/** What a chunk is taken for where nothing tells how long it is. */
const CHUNK_BYTES_GUESS = 256;
const CHUNK_BYTES_MAX = 64 * 1024;

export class BlockSelection implements SourceSelection {
  readonly seriesCount: number;
  readonly #block: BlockReader;
  readonly #tombstones: Tombstones;
  readonly #selected: SelectedSeries;
  readonly #range: BlockRange;
  readonly #entry = new SeriesEntry();
  #refs: number[] = [];

  constructor(block: BlockReader, tombstones: Tombstones, selected: SelectedSeries, range: BlockRange) {
    this.seriesCount = selected.ids.length;
    this.#block = block;
    this.#tombstones = tombstones;
    this.#selected = selected;
    this.#range = range;
  }

  labels(i: number): Uint32Array {
    const { labels, labelStart } = this.#selected;
    return labels.subarray(labelStart[i], labelStart[i + 1]);
  }

  read(series: Uint32Array, into: SourceChunks, bytesMax: number): number {
    into.clear();
    this.#refs = [];
    let bytes = 0;
    let read = 0;
    for (; read < series.length && bytes < bytesMax; read++) {
      bytes += this.#find(series[read]!, read, into);
      into.endSeries();
    }
    this.#readChunks(into);
    return read;
  }

  /** Adds the chunks of the series selected as the `n`-th, yet to be read. @returns about how many bytes they have */
  #find(n: number, series: number, into: SourceChunks): number {
    const id = this.#selected.ids[n]!;
    const found = this.#chunksOf(n, id);
    if (found === undefined) return 0;
    const { mint, maxt, ref, from, to } = found;
    const deleted = this.#tombstones.of(id);
    let isCut = false;
    let bytes = 0;
    for (let i = from; i < to; i++) {
      const [first, last] = [mint[i]!, maxt[i]!];
      if (first > this.#range.maxt) break;
      if (last < this.#range.mint || isCovered(first, last, deleted)) continue;
      into.add(0, 0, 0, first, last);
      this.#refs.push(ref[i]!);
      const step = i + 1 < to ? ref[i + 1]! - ref[i]! : CHUNK_BYTES_GUESS;
      bytes += step > 0 && step < CHUNK_BYTES_MAX ? step : CHUNK_BYTES_GUESS;
      if (!isCut) isCut = deleted.some((interval) => interval.mint <= last && interval.maxt >= first);
    }
    if (isCut) for (const interval of deleted) into.deletions.push({ series, ...interval });
    return bytes;
  }

  /** Columns in which the series' chunks are numbered from `from` up to `to`; undefined when they cannot be read. */
  #chunksOf(n: number, id: number) {
    const { chunks } = this.#selected;
    if (chunks !== undefined) {
      const { mint, maxt, ref, start } = chunks;
      return { mint, maxt, ref, from: start[n]!, to: start[n + 1]! };
    }
    try {
      this.#block.index.series(id, this.#entry);
    } catch (error) {
      // It was sound when it was selected.
      const { minTime, maxTime } = this.#block.meta;
      this.#range.onDamage(minTime, maxTime - 1, damageOf(error));
      return undefined;
    }
    const { mint, maxt, ref, chunkCount } = this.#entry;
    return { mint, maxt, ref, from: 0, to: chunkCount };
  }

  #readChunks(into: SourceChunks): void {
    const refs = this.#refs;
    const isAscending = refs.every((ref, i) => i === 0 || ref > refs[i - 1]!);
    // Series may be asked for in any order: their chunks are read in that of the files.
    const order = isAscending ? undefined : Uint32Array.from(refs.keys()).sort((a, b) => refs[a]! - refs[b]!);
    const inOrder = order === undefined ? refs : Array.from(order, (chunk) => refs[chunk]!);
    const lost = new Set<number>();
    this.#block.chunks.readMany(inOrder, 0, inOrder.length, into.memory, {
      chunk: (i, encoding, address, bytes) => {
        if (!READABLE.has(encoding)) throw this.#unsupported(encoding);
        const chunk = order?.[i] ?? i;
        into.address[chunk] = address;
        into.bytes[chunk] = bytes;
        into.encoding[chunk] = encoding;
      },
      damage: (i, error) => {
        const chunk = order?.[i] ?? i;
        lost.add(chunk);
        this.#range.onDamage(into.mint[chunk]!, into.maxt[chunk]!, error);
      },
    });
    if (lost.size > 0) into.remove(lost);
  }

  #unsupported(encoding: number): TsdbError {
    const what = ENCODINGS.get(encoding) ?? `chunks of encoding ${encoding}`;
    return new TsdbError("NOT_YET_SUPPORTED", `not yet supported: ${what}, in block ${this.#block.meta.ulid}`, {
      remedy: "Leave out these series with a matcher",
    });
  }
}

const READABLE: ReadonlySet<number> = new Set([CHUNK_XOR, CHUNK_XOR2, CHUNK_PACKED]);

/** What others write and queries cannot read yet, numbered as in Prometheus. */
const ENCODINGS = new Map([
  [2, "native histogram samples"],
  [3, "native histogram samples"],
  [5, "native histogram samples"],
  [6, "native histogram samples"],
]);

/** Whether all of a chunk is deleted. @param deleted ascending, with a gap between any two */
const isCovered = (mint: number, maxt: number, deleted: readonly Interval[]): boolean =>
  deleted.some((interval) => interval.mint <= mint && interval.maxt >= maxt);

/** Whether a series has a chunk with samples in the range that are not all deleted. */
export function hasSamples(
  { chunkCount, mint, maxt }: SeriesEntry,
  range: { readonly mint: number; readonly maxt: number },
  deleted: readonly Interval[],
): boolean {
  for (let i = 0; i < chunkCount; i++) {
    if (mint[i]! > range.maxt) return false;
    if (maxt[i]! < range.mint) continue;
    if (!isCovered(Math.max(mint[i]!, range.mint), Math.min(maxt[i]!, range.maxt), deleted)) return true;
  }
  return false;
}
