/**
 * Whether an index is at one with itself: series one behind the other and in order, and of each label value the postings
 * that its series make. The list of postings is made anew, the way the writer makes it, and compared.
 */
import { CorruptBlockError } from "../index/corrupt.ts";
import { SERIES_ALIGN } from "../index/format.ts";
import type { IndexReader } from "../index/index-reader.ts";
import { PostingsBuilder } from "../index/postings-builder.ts";
import { compareLabels, SeriesEntry } from "../index/series-entry.ts";
import type { Damages } from "./damages.ts";

export function verifyIndex(index: IndexReader, damages: Damages, check: () => void): void {
  const ids = damages.try(() => index.allPostings());
  if (ids === undefined) return;
  const builder = new PostingsBuilder();
  const isWhole = verifySeries(index, ids, builder, damages, check);
  // Without some series the postings would all seem wrong.
  if (isWhole) damages.try(() => verifyPostings(index, builder, check));
}

function verifySeries(
  index: IndexReader,
  ids: Uint32Array,
  builder: PostingsBuilder,
  damages: Damages,
  check: () => void,
): boolean {
  const corrupt = (offset: number, reason: string): CorruptBlockError =>
    new CorruptBlockError(index.path, offset, reason);
  let isWhole = true;
  let entry = new SeriesEntry();
  let before = new SeriesEntry();
  let end: number | undefined = index.toc.series;
  for (const [i, id] of ids.entries()) {
    if (i % 1000 === 0) check();
    const offset = id * SERIES_ALIGN;
    if (end !== undefined && Math.ceil(end / SERIES_ALIGN) !== id)
      damages.addError(corrupt(end, "a series that is not in the postings of all series"));
    end = damages.try(() => index.series(id, entry));
    if (end === undefined) {
      isWhole = false;
      continue;
    }
    if (before.labelCount > 0 && compareLabels(before, entry) >= 0)
      damages.addError(corrupt(offset, "series out of order"));
    for (let chunk = 1; chunk < entry.chunkCount; chunk++)
      if (entry.mint[chunk]! <= entry.maxt[chunk - 1]!) damages.addError(corrupt(offset, "chunks that overlap"));
    builder.add(id, entry);
    [before, entry] = [entry, before];
  }
  if (end !== undefined && end < index.seriesEnd && index.seriesEnd - end >= SERIES_ALIGN)
    damages.addError(corrupt(end, "something behind the last series"));
  return isWhole;
}

/** @throws CorruptBlockError at the first list that is not what the series make */
function verifyPostings(index: IndexReader, builder: PostingsBuilder, check: () => void): void {
  const made = builder.lists();
  const tableAt = index.toc.postingsTable;
  for (const name of index.labelNames)
    index.forEachValue(name, (value, postings) => {
      check();
      const next = made.next();
      const { symbols } = index;
      if (next.done || symbols.textOf(next.value.name) !== name || symbols.textOf(next.value.value) !== value)
        throw new CorruptBlockError(
          index.path,
          tableAt,
          `postings of ${name}=${value}, which no series has, or too few`,
        );
      const ids = index.postingsAt(postings);
      const expected = next.value.ids;
      if (ids.length !== expected.length || ids.some((id, i) => id !== expected[i]))
        throw new CorruptBlockError(index.path, postings, `postings of ${name}=${value} are not those of its series`);
    });
  if (!made.next().done) throw new CorruptBlockError(index.path, tableAt, "label values without postings");
}
