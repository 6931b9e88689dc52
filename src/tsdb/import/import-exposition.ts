/**
 * Brings samples of any age from text to blocks: one block for each range of 2 h (or what is asked for) that has samples, as
 * `promtool tsdb create-blocks-from openmetrics` makes them. The text is read once, in whatever order its samples are.
 *
 *   text ──lines──▶ parser ──▶ rows by range, in memory or in files ──▶ a block for each range ──▶ all of them published
 *
 * Blocks get their names when all are complete and verified: before that nothing counts, and a failure leaves nothing. A
 * crash while they are being named leaves whole blocks, and importing the same text again then does no harm: samples that
 * are there twice count once.
 */
import { TsdbError } from "../../base/errors.ts";
import { removeTree } from "../../base/remove-tree.ts";
import { ExpositionParser, type ExpositionFormat } from "./exposition.ts";
import { linesOf } from "./lines.ts";
import { publishBlocks } from "./publish-blocks.ts";
import { RangeSpill } from "./range-spill.ts";
import { SeriesTable } from "./series-table.ts";
import { writeRanges, type WrittenRanges, type WriteRangesOptions } from "./write-ranges.ts";

export interface ImportOptions extends WriteRangesOptions {
  /** For samples that are too many for memory; removed at the end. */
  readonly spillDir: string;
  readonly format: ExpositionFormat;
  readonly rangeMs: number;
  /** Samples from later than this are refused. */
  readonly latestMs: number;
  readonly onProgress: (what: "reading" | "writing", done: number, total: number) => void;
  /** Samples that may wait in memory; for tests. */
  readonly memoryBytesMax?: number;
}

export interface ImportResult extends WrittenRanges {
  readonly series: number;
  readonly samples: number;
  readonly exemplars: number;
}

const MEMORY_BYTES_MAX = 128 * 1024 * 1024;
const RANGES_MAX = 50_000;

/** @throws TsdbError BAD_REQUEST with the number of a line that is wrong */
export async function importExposition(
  pieces: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportResult> {
  const { vfs, blocksDir, spillDir, rangeMs, onProgress, memoryBytesMax = MEMORY_BYTES_MAX } = options;
  // An import that was killed has left it.
  if (await vfs.exists(spillDir)) await removeTree(vfs, spillDir);
  const spill = new RangeSpill(vfs, spillDir, rangeMs, memoryBytesMax);
  try {
    const { series, exemplars } = await readSamples(pieces, spill, options);
    const { blocks, repeated } = await writeRanges(spill, series, options, (done, total) =>
      onProgress("writing", done, total),
    );
    const ulids = blocks.map(({ meta }) => meta.ulid);
    await publishBlocks(vfs, blocksDir, ulids);
    const samples = blocks.reduce((sum, { meta }) => sum + meta.stats.numSamples, 0);
    return { blocks, series: series.count, samples, repeated, exemplars };
  } finally {
    if (await vfs.exists(spillDir)) await removeTree(vfs, spillDir);
  }
}

async function readSamples(
  pieces: AsyncIterable<Uint8Array>,
  spill: RangeSpill,
  { format, latestMs, check, onProgress }: ImportOptions,
): Promise<{ readonly series: SeriesTable; readonly exemplars: number }> {
  const series = new SeriesTable();
  let lineNumber = 0;
  const parser = new ExpositionParser(format, {
    series: (labels) => series.number(labels),
    sample(number, timeMs, value) {
      if (timeMs > latestMs) throw inTheFuture(lineNumber, timeMs, format);
      spill.add(number, timeMs, value);
    },
  });
  for await (const lines of linesOf(pieces)) {
    check();
    for (const { text, number } of lines) {
      lineNumber = number;
      parser.line(text, number);
    }
    if (spill.rangeCount > RANGES_MAX) throw tooManyRanges(spill.rangeCount);
    if (spill.isFull) await spill.spill();
    onProgress("reading", parser.samples, 0);
  }
  parser.end();
  return { series, exemplars: parser.exemplars };
}

function inTheFuture(line: number, timeMs: number, format: ExpositionFormat): TsdbError {
  const time = timeMs <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`;
  const remedy =
    format === "openmetrics"
      ? "Times are seconds in OpenMetrics; files with milliseconds need --format text"
      : "Times are milliseconds in the text format; files with seconds need --format openmetrics";
  return new TsdbError("BAD_REQUEST", `line ${line}: the time ${time} is in the future`, { remedy });
}

const tooManyRanges = (count: number): TsdbError =>
  new TsdbError("BAD_REQUEST", `The samples are spread over more than ${count} blocks`, {
    remedy: "Are all times right? Else import in several pieces, or give a longer --block-range",
  });
