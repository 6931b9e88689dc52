/**
 * The chunks of the series that a query selected, batch by batch.
 *
 *   refs ──gather (pinned)──▶ records ─┬─ open chunk, copied to the scratch ──▶ batch
 *                                      ├─ full, in a seal block ─────────────▶ batch
 *                                      └─ full, in a file ──▶ ChunkRuns ─────▶ batch   (no longer pinned)
 */
import { messageOf, TsdbError } from "../../base/errors.ts";
import type { HeadMemory } from "../kernel/head-memory.ts";
import { CHUNK_XOR } from "../storage.ts";
import type { ChunkBatch, SeriesSelection } from "../storage.ts";
import type { ChunkFileReader } from "./chunk-file-reader.ts";
import { ChunkRuns } from "./chunk-runs.ts";
import type { HeadLabels } from "./head-labels.ts";

/** Encoded bytes that one batch aims at: enough to make a call worth it, little enough to stay in the cache. */
const BATCH_BYTES = 2 * 1024 * 1024;
const SERIES_PER_GATHER_MAX = 1024;

export interface SelectionRange {
  readonly mint: number;
  readonly maxt: number;
  readonly warn: (text: string) => void;
}

export class HeadSelection implements SeriesSelection {
  readonly seriesCount: number;
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  readonly #labels: HeadLabels;
  readonly #refs: Uint32Array;
  readonly #range: SelectionRange;
  readonly #runs: ChunkRuns;
  #next = 0;
  /** About as many as the last batch took: what is gathered and does not fit is gathered again. */
  #seriesPerGather = SERIES_PER_GATHER_MAX;

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

  next(into: ChunkBatch): boolean {
    if (this.#next >= this.#refs.length) return false;
    const { kernel } = this.#memory;
    into.firstSeries = this.#next;
    into.seriesCount = 0;
    into.chunkStart.length = 1;
    into.chunkStart[0] = 0;
    into.chunkAddress.length = into.chunkBytes.length = into.encoding.length = 0;
    let taken: number;
    kernel.pin(this.#slot);
    try {
      taken = this.#takeRecords(into);
    } finally {
      kernel.unpin(this.#slot);
    }
    const unread = this.#runs.read(into);
    if (unread.length > 0) this.#readOneByOne(into, unread);
    into.seriesCount = taken;
    this.#next += taken;
    return true;
  }

  /** Gathers the next series and moves what memory holds of them to the batch. @returns how many series */
  #takeRecords(into: ChunkBatch): number {
    const { kernel, at } = this.#memory;
    const wanted = this.#refs.subarray(this.#next, this.#next + this.#seriesPerGather);
    this.#memory.words.set(wanted, kernel.listAddress(this.#slot) >>> 2);
    const gathered = kernel.gather(this.#slot, 0, wanted.length, this.#range.mint, this.#range.maxt);
    const gatheredSeries = Number(gathered >> 32n);
    const recordCount = Number(gathered & 0xffff_ffffn);
    if (gatheredSeries === 0) throw tooManyChunks();
    const { words } = this.#memory;
    const recordWords = at.CHUNK_RECORD_SIZE >>> 2;
    const seriesWord = at.CHUNK_RECORD_SERIES >>> 2;
    const bytesWord = at.CHUNK_RECORD_DATA_BYTES >>> 2;
    let record = kernel.recordsAddress(this.#slot) >>> 2;
    const end = record + recordCount * recordWords;
    let bytes = 0;
    let taken = 0;
    for (; taken < gatheredSeries && bytes < BATCH_BYTES; taken++) {
      for (; record < end && words[record + seriesWord] === taken; record += recordWords) {
        bytes += words[record + bytesWord]!;
        this.#takeRecord(into, record, this.#refs[this.#next + taken]!);
      }
      into.chunkStart.push(into.chunkAddress.length);
    }
    const isCut = taken < gatheredSeries;
    this.#seriesPerGather = isCut ? taken : Math.min(SERIES_PER_GATHER_MAX, 2 * this.#seriesPerGather);
    return taken;
  }

  /** @param record index of its first word */
  #takeRecord(into: ChunkBatch, record: number, ref: number): void {
    const { at, words } = this.#memory;
    const dataBytes = words[record + (at.CHUNK_RECORD_DATA_BYTES >>> 2)]!;
    const address = words[record + (at.CHUNK_RECORD_ADDRESS >>> 2)]!;
    const place = into.chunkAddress.length;
    into.chunkBytes.push(dataBytes);
    into.encoding.push(CHUNK_XOR);
    if (address === 0) {
      const fileIndex = words[record + (at.CHUNK_RECORD_FILE_INDEX >>> 2)]!;
      const offset = words[record + (at.CHUNK_RECORD_OFFSET >>> 2)]!;
      this.#runs.add({ fileIndex, offset, dataBytes, ref, place });
      into.chunkAddress.push(0);
      return;
    }
    const to = reserved(into, dataBytes);
    into.store(to, this.#memory.slice(address, dataBytes));
    into.chunkAddress.push(to);
  }

  /** Chunks whose run could not be read or verified: what is really lost is left out, and said. */
  #readOneByOne(into: ChunkBatch, places: readonly number[]): void {
    const lost = new Set<number>();
    for (const place of places) {
      const { fileIndex, offset, dataBytes, ref } = this.#runs.chunkAt(place);
      try {
        const chunk = this.#files.read(fileIndex, offset, dataBytes, ref);
        const address = reserved(into, dataBytes);
        into.store(address, chunk);
        into.chunkAddress[place] = address;
      } catch (thrown) {
        this.#range.warn(`Samples are missing from the result: ${messageOf(thrown)}`);
        lost.add(place);
      }
    }
    if (lost.size > 0) removeChunks(into, lost);
  }
}

function removeChunks(batch: ChunkBatch, lost: ReadonlySet<number>): void {
  let kept = 0;
  let series = 0;
  for (let place = 0; place < batch.chunkAddress.length; place++) {
    for (; batch.chunkStart[series] === place; series++) batch.chunkStart[series] = kept;
    if (lost.has(place)) continue;
    batch.chunkAddress[kept] = batch.chunkAddress[place]!;
    batch.chunkBytes[kept] = batch.chunkBytes[place]!;
    kept++;
  }
  for (; series < batch.chunkStart.length; series++) batch.chunkStart[series] = kept;
  batch.chunkAddress.length = batch.chunkBytes.length = batch.encoding.length = kept;
}

function reserved(into: ChunkBatch, bytes: number): number {
  const address = into.reserve(bytes);
  if (address === undefined) throw tooManyChunks();
  return address;
}

const tooManyChunks = (): TsdbError =>
  new TsdbError("QUERY_LIMIT", "One series has more chunks in the range than a query may hold");
