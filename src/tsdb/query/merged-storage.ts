/**
 * Head, late samples and blocks as one storage. Series of different sources are one when their labels are equal, which is
 * decided on the query's label ids; their chunks are joined by chunk-merger.ts. With a single source nothing is joined.
 *
 *   sources, in the order in which their samples count ──select──▶ SourceSelection each ──┐
 *   label pair ids ──LabelSets──▶ series of the query ── MergedSelection ◀────────────────┘
 */
import { missingSamples } from "../chunk-source.ts";
import type { ChunkSource, SourceQuerier, SourceSelection } from "../chunk-source.ts";
import { compareBytes } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import { LabelSets } from "../promql/label-sets.ts";
import type { MissingRange, Querier, QueryContext, SeriesSelection, Storage } from "../storage.ts";
import { MergedSelection } from "./merged-selection.ts";
import type { JoinedSeries } from "./merged-selection.ts";

export class MergedStorage implements Storage {
  readonly #sources: readonly ChunkSource[];
  readonly #missing: readonly MissingRange[];

  /**
   * @param sources of two samples with one time the earlier source's counts
   * @param missing what no source has any more: a query that asks for it is warned
   */
  constructor(sources: readonly ChunkSource[], missing: readonly MissingRange[] = []) {
    this.#sources = sources;
    this.#missing = missing;
  }

  querier(context: QueryContext): Querier {
    return new MergedQuerier(this.#sources, this.#missing, context);
  }
}

/** Series between two looks at the budget. */
const CHECK_EVERY = 16_384;

class MergedQuerier implements Querier {
  readonly #sources: readonly ChunkSource[];
  readonly #missing: readonly MissingRange[];
  readonly #context: QueryContext;
  /** By source, as far as they were asked. */
  readonly #queriers: (SourceQuerier | undefined)[] = [];
  readonly #warnings = new Set<string>();

  constructor(sources: readonly ChunkSource[], missing: readonly MissingRange[], context: QueryContext) {
    this.#sources = sources;
    this.#missing = missing;
    this.#context = context;
  }

  select(matchers: readonly Matcher[], mint: number, maxt: number): SeriesSelection {
    const parts = this.#within(mint, maxt)
      .map((querier) => querier.select(matchers, mint, maxt))
      .filter(({ seriesCount }) => seriesCount > 0);
    const { budget, labels } = this.#context;
    const joined = parts.length < 2 ? undefined : join(parts, new LabelSets(labels), () => budget.check());
    const selection = new MergedSelection(parts, joined, budget);
    budget.addSeries(selection.seriesCount);
    return selection;
  }

  labelNames(matchers: readonly Matcher[], mint: number, maxt: number): string[] {
    return union(this.#within(mint, maxt).map((querier) => querier.labelNames(matchers, mint, maxt)));
  }

  labelValues(name: string, matchers: readonly Matcher[], mint: number, maxt: number): string[] {
    return union(this.#within(mint, maxt).map((querier) => querier.labelValues(name, matchers, mint, maxt)));
  }

  get warnings(): readonly string[] {
    return [...new Set([...this.#warnings, ...this.#queriers.flatMap((querier) => querier?.warnings ?? [])])];
  }

  close(): void {
    for (const querier of this.#queriers) querier?.close();
  }

  /** Queriers of the sources that may have samples in a range of time. */
  #within(mint: number, maxt: number): SourceQuerier[] {
    for (const { ulid, minTime, maxTime, reason } of this.#missing) {
      if (minTime > maxt || maxTime <= mint) continue;
      this.#warnings.add(missingSamples(minTime, maxTime - 1, `block ${ulid} was set aside: ${reason}`));
    }
    return this.#sources.flatMap((source, i) =>
      source.mint > maxt || source.maxt < mint ? [] : [(this.#queriers[i] ??= source.querier(this.#context))],
    );
  }
}

/** Numbers the series of all parts, equal ones as one: first those of the first part, in its order, then what others add. */
function join(parts: readonly SourceSelection[], sets: LabelSets, check: () => void): JoinedSeries {
  const total = parts.reduce((sum, { seriesCount }) => sum + seriesCount, 0);
  sets.expect(total);
  const numberOfSet = new Int32Array(total + 1).fill(-1);
  const inPart = parts.map(() => new Int32Array(total).fill(-1));
  const firstPart = new Uint32Array(total);
  let count = 0;
  for (const [p, part] of parts.entries()) {
    for (let i = 0; i < part.seriesCount; i++) {
      if (i % CHECK_EVERY === 0) check();
      const set = sets.intern(part.labels(i));
      let number = numberOfSet[set]!;
      if (number < 0) {
        number = count++;
        numberOfSet[set] = number;
        firstPart[number] = p;
      }
      inPart[p]![number] = i;
    }
  }
  return { count, inPart, firstPart };
}

function union(lists: readonly string[][]): string[] {
  return lists.length === 1 ? lists[0]! : [...new Set(lists.flat())].sort(compareBytes);
}
