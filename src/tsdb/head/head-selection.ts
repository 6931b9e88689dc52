/**
 * The chunks of the head's series that a query selected, read at random.
 *
 *   refs ──gather (pinned)──▶ records ─┬─ open chunk, copied to the scratch ──▶ chunks
 *                                      ├─ full, in a seal block ─────────────▶ chunks
 *                                      ├─ late samples, as a raw chunk ──────▶ chunks
 *                                      └─ full, in a file ──▶ ChunkRuns ─────▶ chunks   (no longer pinned)
 */
import { messageOf, TsdbError } from "../../base/errors.ts";
import { missingSamples } from "../chunk-source.ts";
import type { SourceChunks, SourceSelection } from "../chunk-source.ts";
import { ENCODING_DELETED } from "../kernel/head-exports.ts";
import type { HeadMemory } from "../kernel/head-memory.ts";
import { CHUNK_XOR } from "../storage.ts";
import type { ChunkFileReader } from "./chunk-file-reader.ts";
import { ChunkRuns } from "./chunk-runs.ts";
import { gatherInPieces } from "./gather-pieces.ts";
import type { HeadLabels } from "./head-labels.ts";

const SERIES_PER_GATHER_MAX = 1024;

export interface SelectionRange {
  readonly mint: number;
  readonly maxt: number;
  /** In-order samples before this are in blocks, and not of the head. */
  readonly floorMs: number;
  /** Late samples and deletes of later records do not count; absent: all do. */
  readonly sequence?: number;
  readonly warn: (text: string) => void;
}

export class HeadSelection implements SourceSelection {
  readonly seriesCount: number;
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  readonly #labels: HeadLabels;
  readonly #refs: Uint32Array;
  readonly #range: SelectionRange;
  readonly #runs: ChunkRuns;

  constructor(
    memory: HeadMemory,
    slot: number,
    files: ChunkFileReader,
    labels: HeadLabels,
    refs: Uint32Array,
    range: SelectionRange,
  ) {
    this.#memory = memory;
    this.#slot = slot;
    this.#files = files;
    this.#labels = labels;
    this.#refs = refs;
    this.#range = range;
    this.#runs = new ChunkRuns(memory, slot, files);
    this.seriesCount = refs.length;
  }

  labels(i: number): Uint32Array {
    return this.#labels.translate(this.#refs[i]!);
  }

  read(series: Uint32Array, into: SourceChunks, bytesMax: number): number {
    const { kernel } = this.#memory;
    into.clear();
    let taken: number;
    kernel.pin(this.#slot);
    try {
      taken = this.#takeRecords(series.subarray(0, SERIES_PER_GATHER_MAX), into, bytesMax);
    } finally {
      kernel.unpin(this.#slot);
    }
    this.#readOneByOne(into, this.#runs.read(into));
    return taken;
  }

  /** Gathers series and moves what memory holds of them to `into`. @returns how many series */
  #takeRecords(series: Uint32Array, into: SourceChunks, bytesMax: number): number {
    const { kernel, at } = this.#memory;
    const list = kernel.listAddress(this.#slot) >>> 2;
    for (let i = 0; i < series.length; i++) this.#memory.words[list + i] = this.#refs[series[i]!]!;
    const { mint, maxt, floorMs, sequence = Number.POSITIVE_INFINITY } = this.#range;
    const gathered = kernel.gather(this.#slot, 0, series.length, mint, maxt, floorMs, sequence);
    const gatheredSeries = Number(gathered >> 32n);
    const recordCount = Number(gathered & 0xffff_ffffn);
    if (gatheredSeries === 0) return this.#takeInPieces(this.#refs[series[0]!]!, into);
    const { words } = this.#memory;
    const recordWords = at.CHUNK_RECORD_SIZE >>> 2;
    const seriesWord = at.CHUNK_RECORD_SERIES >>> 2;
    const bytesWord = at.CHUNK_RECORD_DATA_BYTES >>> 2;
    let record = kernel.recordsAddress(this.#slot) >>> 2;
    const end = record + recordCount * recordWords;
    let bytes = 0;
    let taken = 0;
    for (; taken < gatheredSeries && bytes < bytesMax; taken++) {
      for (; record < end && words[record + seriesWord] === taken; record += recordWords) {
        bytes += words[record + bytesWord]!;
        this.#takeRecord(into, record, this.#refs[series[taken]!]!);
      }
      into.endSeries();
    }
    return taken;
  }

  /** One series alone. */
  #takeInPieces(ref: number, into: SourceChunks): number {
    const { kernel, at } = this.#memory;
    const range = { ...this.#range, sequence: this.#range.sequence ?? Number.POSITIVE_INFINITY };
    gatherInPieces(this.#memory, this.#slot, range, (pieceMint, recordCount) => {
      for (let i = 0; i < recordCount; i++) {
        const record = (kernel.recordsAddress(this.#slot) >>> 0) + i * at.CHUNK_RECORD_SIZE;
        const isRepeated = pieceMint > range.mint && this.#memory.i64(record + at.CHUNK_RECORD_MINT) < pieceMint;
        if (!isRepeated) this.#takeRecord(into, record >>> 2, ref);
      }
    });
    into.endSeries();
    return 1;
  }

  /** @param record index of its first word */
  #takeRecord(into: SourceChunks, record: number, ref: number): void {
    const { at, words } = this.#memory;
    const dataBytes = words[record + (at.CHUNK_RECORD_DATA_BYTES >>> 2)]!;
    const address = words[record + (at.CHUNK_RECORD_ADDRESS >>> 2)]!;
    const mint = this.#memory.i64(4 * record + at.CHUNK_RECORD_MINT);
    const maxt = this.#memory.i64(4 * record + at.CHUNK_RECORD_MAXT);
    const encoding = words[record + (at.CHUNK_RECORD_ENCODING >>> 2)]!;
    const { floorMs } = this.#range;
    const series = into.start.length - 1;
    if (encoding === ENCODING_DELETED) {
      into.deletions.push({ series, mint, maxt });
      return;
    }
    if (encoding === CHUNK_XOR && mint < floorMs)
      into.deletions.push({ series, mint: Number.NEGATIVE_INFINITY, maxt: floorMs - 1 });
    if (address === 0) {
      const fileIndex = words[record + (at.CHUNK_RECORD_FILE_INDEX >>> 2)]!;
      const offset = words[record + (at.CHUNK_RECORD_OFFSET >>> 2)]!;
      const place = into.add(0, dataBytes, CHUNK_XOR, mint, maxt);
      this.#runs.add({ fileIndex, offset, dataBytes, ref, place });
      return;
    }
    const to = reserved(into, dataBytes);
    into.memory.store(to, this.#memory.slice(address, dataBytes));
    into.add(to, dataBytes, encoding, mint, maxt);
  }

  /** Chunks whose run could not be read or verified: what is really lost is left out, and said. */
  #readOneByOne(into: SourceChunks, places: Iterable<number>): void {
    const lost = new Set<number>();
    for (const place of places) {
      const { fileIndex, offset, dataBytes, ref } = this.#runs.chunkAt(place);
      try {
        const chunk = this.#files.read(fileIndex, offset, dataBytes, ref);
        const address = reserved(into, dataBytes);
        into.memory.store(address, chunk);
        into.address[place] = address;
      } catch (thrown) {
        this.#range.warn(missingSamples(into.mint[place]!, into.maxt[place]!, messageOf(thrown)));
        lost.add(place);
      }
    }
    if (lost.size > 0) into.remove(lost);
  }
}

function reserved(into: SourceChunks, bytes: number): number {
  const address = into.memory.reserve(bytes);
  if (address === undefined) throw tooManyChunks();
  return address;
}

const tooManyChunks = (): TsdbError =>
  new TsdbError("QUERY_LIMIT", "One series has more chunks in the range than a query may hold");
