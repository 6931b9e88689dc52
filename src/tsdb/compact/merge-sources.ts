/**
 * Merges the series of several sources, in the order of their label sets, into the series of a block:
 *
 *   sources ──symbols──▶ one table, and the new number of each symbol of each source
 *           ──series───▶ the smallest label set that any source is at; equal ones together
 *           ──chunks───▶ SeriesMerger ──▶ BlockWriter
 *
 * In memory are the symbols of all sources, the postings that the writer gathers, and the chunks of one series.
 */
import { assert } from "../../base/assert.ts";
import { TsdbError } from "../../base/errors.ts";
import type { BlockWriter } from "../block/block-writer.ts";
import { SeriesSeeds } from "../block/series-seed.ts";
import { compareLabels, type NumberedLabels } from "../index/series-entry.ts";
import { SymbolTable } from "../index/symbol-table.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { Arena } from "./arena.ts";
import { ChunkList } from "./chunk-list.ts";
import { SeriesMerger, type MergeTarget } from "./series-merger.ts";
import type { SeriesSource } from "./series-source.ts";

/** What of a merged series stays marked as deleted: see opaque-chunks.ts. */
export interface StillDeleted {
  /** Which of the block's series, from 0. */
  readonly series: number;
  /** mint, maxt, mint, maxt, ... */
  readonly intervals: readonly number[];
}

export interface MergeOutcome {
  readonly stillDeleted: readonly StillDeleted[];
  /** Histogram chunks that overlapped others. */
  readonly leftOutCount: number;
}

export interface MergeOptions {
  readonly memory: PrivateMemory;
  readonly target: MergeTarget;
  /** Awaited after each series. */
  readonly pause: () => Promise<void>;
  /** So many of the sources' series were read. */
  readonly onSeries: (readCount: number) => void;
}

/** Takes merged series, in order: a block's writer, or whatever else can be made of them. */
export type SeriesWriter = Pick<BlockWriter, "add" | "seriesCount">;

export class SourceMerge {
  /** Of all sources. */
  readonly symbols: SymbolTable;
  readonly #cursors: readonly Cursor[];

  /** @param sources in the order in which their samples count */
  constructor(sources: readonly SeriesSource[]) {
    const { table, numbers } = SymbolTable.merge(sources.map((source) => source.symbols));
    this.symbols = table;
    this.#cursors = sources.map((source, i) => new Cursor(source, numbers[i]!));
  }

  get seriesCount(): number {
    return this.#cursors.reduce((sum, { source }) => sum + source.seriesCount, 0);
  }

  /** Adds all series that have samples. Runs once. */
  async writeTo(writer: SeriesWriter, { memory, target, pause, onSeries }: MergeOptions): Promise<MergeOutcome> {
    const arena = new Arena(memory);
    const merger = new SeriesMerger(memory, target);
    const seeds = new SeriesSeeds(this.symbols);
    const stillDeleted: StillDeleted[] = [];
    let readCount = 0;
    let isLeft = this.#cursors.map((cursor) => cursor.next()).some(Boolean);
    while (isLeft) {
      const group = this.#smallest();
      const { labels, labelCount } = group[0]!;
      arena.reset();
      for (const cursor of group) cursor.read(arena);
      merger.merge(
        group.map(({ chunks }) => chunks),
        seeds.of(labels, labelCount),
      );
      if (merger.chunks.length > 0) {
        if (merger.stillDeleted.length > 0)
          stillDeleted.push({ series: writer.seriesCount, intervals: merger.stillDeleted });
        await writer.add(labels.subarray(0, 2 * labelCount), merger.chunks, merger.hash);
      }
      for (const cursor of group) cursor.next();
      onSeries((readCount += group.length));
      isLeft = this.#cursors.some((cursor) => !cursor.isAtEnd);
      await pause();
    }
    return { stillDeleted, leftOutCount: merger.leftOutCount };
  }

  /** The cursors that are at the smallest label set, in their order. */
  #smallest(): Cursor[] {
    let group: Cursor[] = [];
    for (const cursor of this.#cursors) {
      if (cursor.isAtEnd) continue;
      const order = group.length === 0 ? -1 : compareLabels(cursor, group[0]!);
      if (order < 0) group = [cursor];
      else if (order === 0) group.push(cursor);
    }
    assert(group.length > 0, "all sources are at their end");
    return group;
  }
}

/** A source at one of its series, whose labels are in numbers of the merged symbols. */
class Cursor implements NumberedLabels {
  readonly source: SeriesSource;
  readonly chunks: ChunkList;
  /** Valid until the next series but one. */
  labels = new Uint32Array(0);
  labelCount = 0;
  isAtEnd = false;
  readonly #numbers: Uint32Array;
  #spare = new Uint32Array(0);

  constructor(source: SeriesSource, numbers: Uint32Array) {
    this.source = source;
    this.chunks = new ChunkList(source.name);
    this.#numbers = numbers;
  }

  next(): boolean {
    const { source } = this;
    const before = { labels: this.labels, labelCount: this.labelCount };
    if (!source.next()) {
      this.isAtEnd = true;
      return false;
    }
    const { labels, labelCount } = source;
    // Two arrays by turns: those before are compared with.
    this.labels = this.#spare.length < 2 * labelCount ? new Uint32Array(4 * labelCount) : this.#spare;
    this.#spare = before.labels;
    this.labelCount = labelCount;
    for (let i = 0; i < 2 * labelCount; i++) this.labels[i] = this.#numbers[labels[i]!]!;
    if (before.labelCount > 0 && compareLabels(before, this) >= 0)
      throw new TsdbError("BLOCK_CORRUPT", `The series of ${source.name} are not in order`);
    return true;
  }

  read(arena: Arena): void {
    this.chunks.clear();
    this.source.read(this.chunks, arena);
  }
}
