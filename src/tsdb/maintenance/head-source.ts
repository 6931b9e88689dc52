/**
 * The series of the head with samples in a range of time, in the order of their label sets, for merging. They come as two
 * sources: what came in order, and the late samples, which count only where the others have none. Both go through the same
 * series side by side, and share what is read.
 *
 *   head ──select──▶ series, by ref ──labels──▶ sorted ──read, some hundred at a time──▶ in order │ late
 */
import { TsdbError } from "../../base/errors.ts";
import type { ChunkSource, SourceQuerier, SourceSelection } from "../chunk-source.ts";
import { SourceChunks } from "../chunk-source.ts";
import { Arena } from "../compact/arena.ts";
import type { ChunkList } from "../compact/chunk-list.ts";
import type { SeriesSource } from "../compact/series-source.ts";
import { SymbolTable } from "../index/symbol-table.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { LabelTable } from "../promql/label-table.ts";
import { CHUNK_RAW, type Budget } from "../storage.ts";

export interface HeadRange {
  /** Inclusive, ms. */
  readonly mint: number;
  readonly maxt: number;
}

const SERIES_AT_ONCE = 512;
const BATCH_BYTES = 1024 * 1024;

/** @returns the sources, and how many series they have each; none when the head has nothing in the range */
export function openHead(
  source: ChunkSource,
  range: HeadRange,
  memory: PrivateMemory,
  check: () => void,
): readonly SeriesSource[] {
  const series = new HeadSeries(source, range, memory, check);
  if (series.count > 0) return [new HeadPart(series, false), new HeadPart(series, true)];
  series.close();
  return [];
}

class HeadSeries {
  readonly symbols: SymbolTable;
  readonly range: HeadRange;
  readonly #querier: SourceQuerier;
  readonly #selection: SourceSelection;
  /** Numbers of the series in the selection, by label sets. */
  readonly #order: Uint32Array;
  readonly #labels: SeriesLabels;
  readonly #arena: Arena;
  readonly #batch: SourceChunks;
  /** Which series, in order, the batch has. */
  #batchFrom = 0;
  #batchTo = 0;
  #isClosed = false;

  constructor(source: ChunkSource, range: HeadRange, memory: PrivateMemory, check: () => void) {
    const table = new LabelTable();
    this.range = range;
    this.#querier = source.querier({ labels: table, budget: unlimited(check) });
    this.#selection = this.#querier.select([], range.mint, range.maxt);
    this.#labels = readLabels(this.#selection, table, check);
    this.symbols = this.#labels.symbols;
    this.#order = this.#labels.sorted(check);
    this.#arena = new Arena(memory);
    this.#batch = SourceChunks.in(this.#arena);
  }

  get count(): number {
    return this.#order.length;
  }

  /** @param i in the order of label sets */
  labelsOf(i: number): Uint32Array {
    return this.#labels.of(this.#order[i]!);
  }

  /** Adds the series' chunks, those of late samples or the others. */
  read(i: number, isLate: boolean, into: ChunkList): void {
    this.#load(i);
    const { start, address, bytes, encoding, mint, maxt, deletions } = this.#batch;
    const place = i - this.#batchFrom;
    const { range } = this;
    into.deleted.push(Number.NEGATIVE_INFINITY, range.mint - 1, range.maxt + 1, Number.POSITIVE_INFINITY);
    // Late samples come without what is deleted of them.
    if (!isLate)
      for (const deletion of deletions) if (deletion.series === place) into.deleted.push(deletion.mint, deletion.maxt);
    for (let chunk = start[place]!; chunk < start[place + 1]!; chunk++)
      if ((encoding[chunk] === CHUNK_RAW) === isLate)
        into.add(address[chunk]!, bytes[chunk]!, encoding[chunk]!, mint[chunk]!, maxt[chunk]!);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#querier.close();
  }

  #load(i: number): void {
    if (i >= this.#batchFrom && i < this.#batchTo) return;
    this.#arena.reset();
    const wanted = this.#order.subarray(i, i + SERIES_AT_ONCE);
    this.#batchFrom = i;
    this.#batchTo = i + this.#selection.read(wanted, this.#batch, BATCH_BYTES);
    const [warning] = this.#querier.warnings;
    if (warning !== undefined)
      throw new TsdbError("CHUNK_CORRUPT", `Cannot bring the head to blocks: ${warning}`, {
        remedy: "Restart the database: damaged chunk files of the head are rebuilt from the log",
      });
  }
}

/** What a query of one source sees as one of two: in order, or late. */
class HeadPart implements SeriesSource {
  readonly name: string;
  readonly #series: HeadSeries;
  readonly #isLate: boolean;
  #at = -1;

  constructor(series: HeadSeries, isLate: boolean) {
    this.#series = series;
    this.#isLate = isLate;
    this.name = isLate ? "the late samples of the head" : "the head";
  }

  get symbols(): SymbolTable {
    return this.#series.symbols;
  }

  get seriesCount(): number {
    return this.#series.count;
  }

  get labels(): Uint32Array {
    return this.#series.labelsOf(this.#at);
  }

  get labelCount(): number {
    return this.labels.length / 2;
  }

  next(): boolean {
    return ++this.#at < this.#series.count;
  }

  read(into: ChunkList): void {
    this.#series.read(this.#at, this.#isLate, into);
  }

  close(): void {
    this.#series.close();
  }
}

/** Labels of all selected series, as numbers of symbols, one behind the other. */
class SeriesLabels {
  readonly symbols: SymbolTable;
  readonly #labels: Uint32Array;
  /** Where each series' begin. */
  readonly #start: Uint32Array;

  constructor(symbols: SymbolTable, labels: Uint32Array, start: Uint32Array) {
    this.symbols = symbols;
    this.#labels = labels;
    this.#start = start;
  }

  of(series: number): Uint32Array {
    return this.#labels.subarray(this.#start[series], this.#start[series + 1]);
  }

  /** Numbers of the series in the order of their label sets. */
  sorted(check: () => void): Uint32Array {
    const [labels, start] = [this.#labels, this.#start];
    let compared = 0;
    return Uint32Array.from({ length: start.length - 1 }, (_, i) => i).sort((a, b) => {
      if (++compared % CHECK_EVERY === 0) check();
      const [atA, atB] = [start[a]!, start[b]!];
      const length = Math.min(start[a + 1]! - atA, start[b + 1]! - atB);
      for (let i = 0; i < length; i++) {
        const order = labels[atA + i]! - labels[atB + i]!;
        if (order !== 0) return order;
      }
      return start[a + 1]! - atA - (start[b + 1]! - atB);
    });
  }
}

const CHECK_EVERY = 65_536;

function readLabels(selection: SourceSelection, table: LabelTable, check: () => void): SeriesLabels {
  const { seriesCount } = selection;
  const start = new Uint32Array(seriesCount + 1);
  let pairs = new Uint32Array(16 * seriesCount);
  let used = 0;
  for (let i = 0; i < seriesCount; i++) {
    if (i % 1024 === 0) check();
    const ids = selection.labels(i);
    if (used + ids.length > pairs.length) {
      const larger = new Uint32Array(2 * (used + ids.length));
      larger.set(pairs);
      pairs = larger;
    }
    pairs.set(ids, used);
    used += ids.length;
    start[i + 1] = used;
  }
  const symbols = SymbolTable.of(textsOf(table));
  const encoder = new TextEncoder();
  const numberOf = (text: string): number => symbols.find(encoder.encode(text))!;
  const names = Uint32Array.from({ length: table.nameCount }, (_, name) => numberOf(table.name(name)));
  const values = Uint32Array.from({ length: table.pairCount }, (_, pair) => numberOf(table.valueOf(pair)));
  const labels = new Uint32Array(2 * used);
  for (let i = 0; i < used; i++) {
    const pair = pairs[i]!;
    labels[2 * i] = names[table.nameIdOf(pair)]!;
    labels[2 * i + 1] = values[pair]!;
  }
  for (let i = 0; i <= seriesCount; i++) start[i] = 2 * start[i]!;
  return new SeriesLabels(symbols, labels, start);
}

function* textsOf(table: LabelTable): Generator<string> {
  for (let name = 0; name < table.nameCount; name++) yield table.name(name);
  for (let pair = 0; pair < table.pairCount; pair++) yield table.valueOf(pair);
}

const unlimited = (check: () => void): Budget => ({ addSeries() {}, addSamples() {}, addBytes() {}, check });
