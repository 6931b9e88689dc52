/**
 * One query's look at one block. What is damaged is left out of the answer, with a warning that names it and the times that
 * are missing: a chunk, a series, or all of the block where its index cannot be followed.
 */
import type { TsdbError } from "../../base/errors.ts";
import { missingSamples } from "../chunk-source.ts";
import type { SourceQuerier, SourceSelection } from "../chunk-source.ts";
import { damageOf } from "../index/corrupt.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import { compareBytes } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import type { BlockRef, QueryContext } from "../storage.ts";
import { matchingSeries, PairIds } from "./block-labels.ts";
import type { BlockReader } from "./block-reader.ts";
import { BlockSelection, hasSamples, KeptChunks } from "./block-selection.ts";
import type { SelectedSeries } from "./block-selection.ts";
import type { Tombstones } from "./tombstones.ts";

/** Told of damage that a query came upon, once for each query and block. */
export type DamageListener = (ulid: string, message: string) => void;

export interface BlockAccess {
  /** Opens the block, when it is not open. @throws TsdbError BLOCK_CORRUPT */
  readonly open: () => OpenedBlock;
  readonly onDamage: DamageListener;
  /** How many more chunks the selections of a query, over all blocks, may keep; 24 bytes each. */
  readonly keptChunks: { left: number };
}

export interface OpenedBlock {
  readonly reader: BlockReader;
  readonly tombstones: Tombstones;
}

/** Series between two looks at the budget. */
const CHECK_EVERY = 4096;

/** What a block lost is told part by part up to this many, then as one. */
const WARNINGS_MAX = 10;

const NOTHING: SourceSelection = {
  seriesCount: 0,
  labels: () => new Uint32Array(0),
  read: () => 0,
};

export class BlockQuerier implements SourceQuerier {
  readonly #ref: BlockRef;
  readonly #access: BlockAccess;
  readonly #context: QueryContext;
  readonly #warnings = new Set<string>();
  /** Losses beyond WARNINGS_MAX. */
  readonly #untold = { count: 0, mint: Number.POSITIVE_INFINITY, maxt: Number.NEGATIVE_INFINITY };
  #pairIds: PairIds | undefined;

  constructor(ref: BlockRef, access: BlockAccess, context: QueryContext) {
    this.#ref = ref;
    this.#access = access;
    this.#context = context;
  }

  get warnings(): readonly string[] {
    const { count, mint, maxt } = this.#untold;
    if (count === 0) return [...this.#warnings];
    const rest = missingSamples(mint, maxt, `${count} more parts of block ${this.#ref.ulid} are damaged`);
    return [...this.#warnings, rest];
  }

  select(matchers: readonly Matcher[], mint: number, maxt: number): SourceSelection {
    return this.#guarded(NOTHING, (block) => {
      const selected = this.#selectedSeries(block, matchers, mint, maxt);
      const onDamage = (from: number, to: number, error: TsdbError) => this.#lose(from, to, error);
      return new BlockSelection(block.reader, block.tombstones, selected, { mint, maxt, onDamage });
    });
  }

  labelNames(matchers: readonly Matcher[], mint: number, maxt: number): string[] {
    return this.#guarded([], (block) => {
      const { index } = block.reader;
      // All series, deleted ones too, are what the index is about.
      if (matchers.length === 0 && block.tombstones.seriesCount === 0) return [...index.labelNames];
      const names = new Set<number>();
      this.#forEachSeries(block, matchers, mint, maxt, ({ labels, labelCount }) => {
        for (let i = 0; i < labelCount; i++) names.add(labels[2 * i]!);
      });
      return Array.from(names, (symbol) => index.symbols.textOf(symbol)).sort(compareBytes);
    });
  }

  labelValues(name: string, matchers: readonly Matcher[], mint: number, maxt: number): string[] {
    return this.#guarded([], (block) => {
      const { index } = block.reader;
      if (index.valueCount(name) === 0) return [];
      const values: string[] = [];
      if (matchers.length === 0 && block.tombstones.seriesCount === 0) {
        index.forEachValue(name, (value) => void values.push(value));
        return values;
      }
      const nameSymbol = index.symbols.find(Buffer.from(name));
      const found = new Set<number>();
      this.#forEachSeries(block, matchers, mint, maxt, ({ labels, labelCount }) => {
        for (let i = 0; i < labelCount; i++) if (labels[2 * i] === nameSymbol) found.add(labels[2 * i + 1]!);
      });
      return Array.from(found, (symbol) => index.symbols.textOf(symbol)).sort(compareBytes);
    });
  }

  close(): void {
    this.#pairIds = undefined;
  }

  /** What `read` answers, or `otherwise` and a warning when the block is damaged where it looks. */
  #guarded<T>(otherwise: T, read: (block: OpenedBlock) => T): T {
    try {
      return read(this.#access.open());
    } catch (error) {
      this.#loseBlock(damageOf(error));
      return otherwise;
    }
  }

  /** Nothing tells which times what is lost was about. */
  #loseBlock(error: TsdbError): void {
    this.#lose(this.#ref.minTime, this.#ref.maxTime - 1, error);
  }

  #lose(mint: number, maxt: number, error: TsdbError): void {
    if (this.#warnings.size === 0) this.#access.onDamage(this.#ref.ulid, error.message);
    const warning = missingSamples(mint, maxt, error.message);
    if (this.#warnings.size < WARNINGS_MAX) this.#warnings.add(warning);
    else if (!this.#warnings.has(warning)) {
      this.#untold.count++;
      this.#untold.mint = Math.min(this.#untold.mint, mint);
      this.#untold.maxt = Math.max(this.#untold.maxt, maxt);
    }
  }

  #selectedSeries(block: OpenedBlock, matchers: readonly Matcher[], mint: number, maxt: number): SelectedSeries {
    const { budget, labels: table } = this.#context;
    const pairIds = (this.#pairIds ??= new PairIds(block.reader.index, table));
    const ids: number[] = [];
    const labelStart: number[] = [0];
    let labels = new Uint32Array(1024);
    let labelCount = 0;
    const { keptChunks } = this.#access;
    let chunks: KeptChunks | undefined = new KeptChunks();
    this.#forEachSeries(block, matchers, mint, maxt, (entry, id) => {
      if (labelCount + entry.labelCount > labels.length) {
        const larger = new Uint32Array(2 * (labelCount + entry.labelCount));
        // Now, and not when all are there: a selection of everything must not outgrow the worker first.
        budget.addBytes(larger.byteLength);
        larger.set(labels);
        labels = larger;
      }
      pairIds.translate(entry, labels, labelCount);
      labelCount += entry.labelCount;
      ids.push(id);
      labelStart.push(labelCount);
      chunks?.add(entry, { mint, maxt });
      if (chunks !== undefined && chunks.count > keptChunks.left) chunks = undefined;
    });
    keptChunks.left -= chunks?.count ?? 0;
    budget.addBytes(8 * ids.length + 24 * (chunks?.count ?? 0));
    return { ids: Uint32Array.from(ids), labels, labelStart: Uint32Array.from(labelStart), chunks };
  }

  /** Visits the series that match and have samples in the range. */
  #forEachSeries(
    { reader, tombstones }: OpenedBlock,
    matchers: readonly Matcher[],
    mint: number,
    maxt: number,
    visit: (entry: SeriesEntry, id: number) => void,
  ): void {
    const { budget } = this.#context;
    const check = () => budget.check();
    const entry = new SeriesEntry();
    const range = { mint, maxt };
    const ids = matchingSeries(reader.index, matchers, check);
    for (let i = 0; i < ids.length; i++) {
      if (i % CHECK_EVERY === 0) check();
      const id = ids[i]!;
      try {
        reader.index.series(id, entry);
      } catch (error) {
        this.#loseBlock(damageOf(error));
        continue;
      }
      if (hasSamples(entry, range, tombstones.of(id))) visit(entry, id);
    }
  }
}
