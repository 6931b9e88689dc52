/**
 * All that the head has, as of a WAL sequence, for the maintenance worker: every series, its labels as the head has them,
 * and the time ranges of what there is of it. One view is held from the opening to the closing.
 */
import { realVfs, type Vfs } from "../../base/vfs.ts";
import { TsdbError } from "../../base/errors.ts";
import { ENCODING_DELETED } from "../kernel/head-exports.ts";
import { HeadMemory } from "../kernel/head-memory.ts";
import { LabelTable } from "../promql/label-table.ts";
import { CHUNK_RAW } from "../storage.ts";
import { ChunkFileReader } from "./chunk-file-reader.ts";
import { gatherInPieces } from "./gather-pieces.ts";
import { HeadLabels } from "./head-labels.ts";
import { HeadSelection } from "./head-selection.ts";
import type { HeadAttachment } from "./head-storage.ts";

export interface HeadContentsOptions {
  readonly vfs?: Vfs;
  /** Late samples and deletes of later records are left out. */
  readonly sequence: number;
  /** Exclusive, ms: samples at it and later are left out. */
  readonly beforeMs: number;
}

/** What a series has: an in-order chunk from `mint` to `maxt`, or late samples at certain times. A chunk may come twice. */
export interface TimeVisitor {
  chunk(place: number, mint: number, maxt: number): void;
  late(place: number, times: Float64Array): void;
}

const SERIES_PER_GATHER = 256;

export class HeadContents {
  /** In-order samples before it are in blocks: the head may have some left, but they do not count. */
  readonly fromMs: number;
  /** Of all series, ascending. */
  readonly refs: Uint32Array;
  readonly #options: HeadContentsOptions;
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  readonly #labels: HeadLabels;

  constructor(attachment: HeadAttachment, options: HeadContentsOptions) {
    this.#options = options;
    this.#memory = HeadMemory.attach(attachment.module, attachment.memory);
    this.#slot = attachment.slot;
    this.#files = new ChunkFileReader({ vfs: options.vfs ?? realVfs, dir: attachment.chunkDir });
    this.#labels = new HeadLabels(this.#memory, this.#slot, new LabelTable());
    this.#memory.kernel.pinView(this.#slot);
    const flushedMs = this.#memory.i64(this.#memory.at.H_FLUSHED_MS);
    this.fromMs = Math.abs(flushedMs) > Number.MAX_SAFE_INTEGER ? Number.NEGATIVE_INFINITY : flushedMs;
    this.refs = this.#allRefs();
  }

  /** Pair ids are below it. */
  get pairCount(): number {
    return this.#memory.u32(this.#memory.at.H_PAIR_NEXT);
  }

  /** The head's pair ids of a series, ordered by label name; a view of shared memory, which does not change. */
  pairsOf(ref: number): Uint32Array {
    return this.#labels.pairsOf(ref);
  }

  nameOfPair(pairId: number): string {
    return this.#labels.nameOfPair(pairId);
  }

  valueOfPair(pairId: number): string {
    return this.#labels.valueOfPair(pairId);
  }

  /**
   * The chunks of some series that have samples in [mint, maxt].
   * @param isLate late samples alone, or all
   */
  selection(refs: Uint32Array, mint: number, maxt: number, isLate: boolean): HeadSelection {
    return new HeadSelection(this.#memory, this.#slot, this.#files, this.#labels, refs, {
      mint,
      maxt: Math.min(maxt, this.#options.beforeMs - 1),
      floorMs: isLate ? Number.POSITIVE_INFINITY : this.fromMs,
      sequence: this.#options.sequence,
      // What cannot be read must not be taken for nothing.
      warn: (text) => {
        throw new TsdbError("CHUNK_CORRUPT", text, {
          remedy: "Restart the server: chunks that cannot be read are rebuilt from the write-ahead log",
        });
      },
    });
  }

  /**
   * Tells the times of what there is, without reading it.
   * @param check called now and then. @throws to stop
   */
  visitTimes(refs: Uint32Array, visitor: TimeVisitor, check: () => void): void {
    const { kernel } = this.#memory;
    for (let first = 0; first < refs.length;) {
      check();
      const some = refs.subarray(first, first + SERIES_PER_GATHER);
      this.#memory.words.set(some, kernel.listAddress(this.#slot) >>> 2);
      kernel.pin(this.#slot);
      try {
        first += this.#visitSome(first, some.length, visitor);
      } finally {
        kernel.unpin(this.#slot);
      }
    }
  }

  /** @returns how many of the series in the list were visited */
  #visitSome(place: number, count: number, visitor: TimeVisitor): number {
    const { beforeMs, sequence } = this.#options;
    const range = { mint: Number.NEGATIVE_INFINITY, maxt: beforeMs - 1, floorMs: this.fromMs, sequence };
    const { mint, maxt, floorMs } = range;
    const gathered = this.#memory.kernel.gather(this.#slot, 0, count, mint, maxt, floorMs, sequence);
    const series = Number(gathered >> 32n);
    const visit = (recordCount: number): void => this.#visitRecords(place, recordCount, visitor);
    if (series > 0) {
      visit(Number(gathered & 0xffff_ffffn));
      return series;
    }
    gatherInPieces(this.#memory, this.#slot, range, (_, recordCount) => visit(recordCount));
    return 1;
  }

  #visitRecords(place: number, count: number, visitor: TimeVisitor): void {
    const { kernel, at, words } = this.#memory;
    const { beforeMs } = this.#options;
    for (let i = 0; i < count; i++) {
      const record = (kernel.recordsAddress(this.#slot) >>> 0) + i * at.CHUNK_RECORD_SIZE;
      const encoding = this.#memory.u32(record + at.CHUNK_RECORD_ENCODING);
      if (encoding === ENCODING_DELETED) continue;
      const recordPlace = place + this.#memory.u32(record + at.CHUNK_RECORD_SERIES);
      if (encoding === CHUNK_RAW) {
        const chunk = this.#memory.u32(record + at.CHUNK_RECORD_ADDRESS);
        visitor.late(recordPlace, new Float64Array(words.buffer, chunk + RAW_HEADER_BYTES, words[chunk >>> 2]));
        continue;
      }
      const mint = this.#memory.i64(record + at.CHUNK_RECORD_MINT);
      const maxt = this.#memory.i64(record + at.CHUNK_RECORD_MAXT);
      visitor.chunk(recordPlace, Math.max(mint, this.fromMs), Math.min(maxt, beforeMs - 1));
    }
  }

  #allRefs(): Uint32Array {
    const { kernel, at } = this.#memory;
    const end = kernel.refCount() >>> 0;
    const all: number[] = [];
    for (let base = 0; base < end; base += at.WINDOW_REFS) {
      const refs = kernel.selectAll(this.#slot, base, end) >>> 0;
      for (;;) {
        const count = kernel.selectCollect(this.#slot, base, refs) >>> 0;
        const list = kernel.listAddress(this.#slot) >>> 2;
        for (let i = 0; i < count; i++) all.push(this.#memory.words[list + i]!);
        if (count < kernel.listIdsMax()) break;
      }
    }
    return Uint32Array.from(all);
  }

  close(): void {
    this.#memory.kernel.unpin(this.#slot);
    this.#memory.kernel.unpinView(this.#slot);
    this.#files.close();
  }
}

/** Count and padding in front of a raw chunk's times. */
const RAW_HEADER_BYTES = 8;
