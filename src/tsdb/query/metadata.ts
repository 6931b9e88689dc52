/**
 * Series, label names and label values that match selectors, as the JSON of Prometheus' API in pieces. Answers are ordered
 * and free of repeats, however many selectors there are, so equal questions have equal answers.
 */
import type { Matcher } from "../model/matcher.ts";
import { compareBytes } from "../model/labels.ts";
import type { LabelSet } from "../model/labels.ts";
import { LabelSets } from "../promql/label-sets.ts";
import { LabelTable } from "../promql/label-table.ts";
import type { Budget, Querier, Storage } from "../storage.ts";

export interface MetadataQuery {
  /** Of each selector its matchers; none: all series. */
  readonly selectors: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
  /** Items in the answer; 0: all. */
  readonly limit: number;
}

type Pieces = Generator<Uint8Array<ArrayBuffer>>;

/** Texts about this long make a piece. */
const PIECE_CHARS = 64 * 1024;

/** Items between two looks at the budget. */
const CHECK_EVERY = 4096;

export function* series(storage: Storage, budget: Budget, query: MetadataQuery): Pieces {
  const table = new LabelTable();
  const querier = storage.querier({ labels: table, budget });
  try {
    const sets = new LabelSets(table);
    const found = new Set<number>();
    for (const matchers of query.selectors) {
      const selection = querier.select(matchers, query.startMs, query.endMs);
      for (let i = 0; i < selection.seriesCount; i++) {
        if (i % CHECK_EVERY === 0) budget.check();
        found.add(sets.intern(selection.labels(i)));
      }
    }
    const ids = Uint32Array.from(found);
    const inOrder = Array.from(sets.sorted(ids), (position) => ids[position]!);
    yield* envelope(inOrder, (id) => labelSetText(sets.labels(id)), querier, budget, query.limit);
  } finally {
    querier.close();
  }
}

export const labelNames = (storage: Storage, budget: Budget, query: MetadataQuery): Pieces =>
  texts(storage, budget, query, (querier, matchers) => querier.labelNames(matchers, query.startMs, query.endMs));

export const labelValues = (storage: Storage, budget: Budget, name: string, query: MetadataQuery): Pieces =>
  texts(storage, budget, query, (querier, matchers) => querier.labelValues(name, matchers, query.startMs, query.endMs));

/** The union of what `read` gives for each selector. */
function* texts(
  storage: Storage,
  budget: Budget,
  { selectors, limit }: MetadataQuery,
  read: (querier: Querier, matchers: readonly Matcher[]) => string[],
): Pieces {
  const querier = storage.querier({ labels: new LabelTable(), budget });
  try {
    const lists = (selectors.length === 0 ? [[]] : selectors).map((matchers) => read(querier, matchers));
    const inOrder = lists.length === 1 ? lists[0]! : [...new Set(lists.flat())].sort(compareBytes);
    yield* envelope(inOrder, (text) => JSON.stringify(text), querier, budget, limit);
  } finally {
    querier.close();
  }
}

function* envelope<Item>(
  items: readonly Item[],
  print: (item: Item) => string,
  { warnings }: Querier,
  budget: Budget,
  limit: number,
): Pieces {
  const count = limit === 0 ? items.length : Math.min(limit, items.length);
  let text = '{"status":"success","data":[';
  for (let i = 0; i < count; i++) {
    text += (i === 0 ? "" : ",") + print(items[i]!);
    if (i % CHECK_EVERY === 0) budget.check();
    if (text.length < PIECE_CHARS) continue;
    yield Buffer.from(text);
    text = "";
  }
  const notes = count < items.length ? [...warnings, "results truncated due to limit"] : warnings;
  yield Buffer.from(`${text}]${notes.length > 0 ? `,"warnings":${JSON.stringify(notes)}` : ""}}`);
}

/** Printed by hand: an object would lose "__proto__" and put names that look like integers first. */
const labelSetText = (labels: LabelSet): string =>
  `{${labels.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
