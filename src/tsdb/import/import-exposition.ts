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
import { join } from "node:path/posix";
import { TsdbError } from "../../base/errors.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { Vfs } from "../../base/vfs.ts";
import { CREATION_SUFFIX } from "../block/block-files.ts";
import type { BlockMeta } from "../block/meta.ts";
import { PageCache } from "../index/page-cache.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { ExpositionParser, type ExpositionFormat } from "./exposition.ts";
import { linesOf } from "./lines.ts";
import { RangeSpill } from "./range-spill.ts";
import { SeriesTable } from "./series-table.ts";
import { writeRange } from "./write-range.ts";

export interface ImportOptions {
  readonly vfs: Vfs;
  readonly module: WebAssembly.Module;
  /** Exists. */
  readonly blocksDir: string;
  /** For samples that are too many for memory; removed at the end. */
  readonly spillDir: string;
  readonly format: ExpositionFormat;
  readonly rangeMs: number;
  /** Samples from later than this are refused. */
  readonly latestMs: number;
  /** A new one at each call, later than those before. */
  readonly nextUlid: () => string;
  /** Called between pieces. @throws to stop */
  readonly check: () => void;
  readonly onProgress: (what: "reading" | "writing", done: number, total: number) => void;
  /** Samples that may wait in memory; for tests. */
  readonly memoryBytesMax?: number;
}

export interface ImportedBlock {
  readonly meta: BlockMeta;
  readonly sizeBytes: number;
}

export interface ImportResult {
  readonly blocks: readonly ImportedBlock[];
  readonly series: number;
  readonly samples: number;
  /** Left out: their series had a sample at that time, which came before in the text. */
  readonly repeated: number;
  readonly exemplars: number;
}

const MEMORY_BYTES_MAX = 128 * 1024 * 1024;
const RANGES_MAX = 50_000;
const CACHE_BYTES = 16 * 1024 * 1024;

/** @throws TsdbError BAD_REQUEST with the number of a line that is wrong */
export async function importExposition(
  pieces: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportResult> {
  const { vfs, spillDir, rangeMs, memoryBytesMax = MEMORY_BYTES_MAX } = options;
  // An import that was killed has left it.
  if (await vfs.exists(spillDir)) await removeTree(vfs, spillDir);
  const spill = new RangeSpill(vfs, spillDir, rangeMs, memoryBytesMax);
  try {
    const { series, exemplars } = await readSamples(pieces, spill, options);
    const { blocks, repeated } = await writeBlocks(spill, series, options);
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

async function writeBlocks(
  spill: RangeSpill,
  series: SeriesTable,
  options: ImportOptions,
): Promise<{ readonly blocks: ImportedBlock[]; readonly repeated: number }> {
  const { vfs, module, blocksDir, nextUlid, check, onProgress } = options;
  const ranges = spill.ranges();
  const order = series.ordered();
  const memory = new PrivateMemory(module);
  const cache = new PageCache(CACHE_BYTES);
  const blocks: ImportedBlock[] = [];
  let repeated = 0;
  try {
    for (const { range, summary } of ranges) {
      check();
      const ulid = nextUlid();
      const written = await writeRange({
        vfs,
        blocksDir,
        ulid,
        spill,
        range,
        summary,
        series,
        order,
        memory,
        cache,
        check,
      });
      blocks.push({ meta: written.block.meta, sizeBytes: written.block.sizeBytes });
      repeated += written.repeated;
      onProgress("writing", blocks.length, ranges.length);
    }
  } catch (thrown) {
    for (const { meta } of blocks) await removeTree(vfs, join(blocksDir, meta.ulid + CREATION_SUFFIX));
    throw thrown;
  }
  for (const { meta } of blocks)
    await vfs.rename(join(blocksDir, meta.ulid + CREATION_SUFFIX), join(blocksDir, meta.ulid));
  await vfs.syncDir(blocksDir);
  return { blocks, repeated };
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
