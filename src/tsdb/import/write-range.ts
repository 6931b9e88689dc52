/**
 * One block of the samples of one range: its rows are sorted by series and time, a part of the series after the other where
 * all of them are too many for memory, and written as chunks.
 */
import type { PageCache } from "../index/page-cache.ts";
import { SymbolTable } from "../index/symbol-table.ts";
import { BlockWriter, type ChunkToWrite, type FinishedBlock } from "../block/block-writer.ts";
import { checkBlock } from "../block/check-block.ts";
import { SeriesSeeds } from "../block/series-seed.ts";
import type { Vfs } from "../../base/vfs.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNK_XOR } from "../storage.ts";
import type { RangeSpill, RangeSummary } from "./range-spill.ts";
import { SampleRows } from "./sample-rows.ts";
import type { SeriesTable } from "./series-table.ts";

/** As Prometheus cuts its chunks. */
const SAMPLES_PER_CHUNK = 120;
/** A sample takes 16 bytes in a chunk at most, and a chunk has a header. */
const CHUNK_BYTES_MAX = 20 * SAMPLES_PER_CHUNK + 64;
const ENCODER_STATE_BYTES = 64;
/** Rows that are sorted at once: they take 24 bytes, twice. */
const PART_ROWS_MAX = 4 * 1024 * 1024;

export interface WriteRangeOptions {
  readonly vfs: Vfs;
  readonly blocksDir: string;
  readonly ulid: string;
  readonly spill: RangeSpill;
  readonly range: number;
  readonly summary: RangeSummary;
  readonly series: SeriesTable;
  /** Numbers of all series in the order of their label sets. */
  readonly order: Uint32Array;
  readonly memory: PrivateMemory;
  readonly cache: PageCache;
  /** Called often. @throws to stop */
  readonly check: () => void;
}

export interface WrittenRange {
  readonly block: FinishedBlock;
  /** Rows that were left out: their series had a sample at that time. */
  readonly repeated: number;
}

/** Writes and verifies a block, which is then complete under its temporary name. On failure nothing is left of it. */
export async function writeRange(options: WriteRangeOptions): Promise<WrittenRange> {
  const { vfs, blocksDir, ulid, summary, memory, cache, check, spill, range, series, order } = options;
  const rankOf = new Uint32Array(order.length);
  for (const [rank, number] of order.entries()) rankOf[number] = rank;
  /** By rank: rows in this range. */
  const counts = new Uint32Array(order.length);
  await spill.read(range, (rows, count) => {
    check();
    for (let i = 0; i < count; i++) counts[rankOf[rows.series(i)]!]!++;
  });
  const texts = new Set<string>();
  for (const [rank, count] of counts.entries())
    if (count > 0) for (const pair of series.labelsOf(order[rank]!)) for (const text of pair) texts.add(text);
  const symbols = SymbolTable.of(texts);
  const { mint: minTime, maxt } = summary;
  const compaction = { level: 1, sources: [ulid] };
  const writer = await BlockWriter.create({
    vfs,
    blocksDir,
    ulid,
    symbols,
    minTime,
    maxTime: maxt + 1,
    compaction,
  });
  try {
    const out = new SeriesOut(writer, symbols, memory);
    for (const part of partsOf(counts)) {
      const sorted = await sortedPart(options, part, rankOf, counts);
      for (let rank = part.first, row = 0; rank < part.end; rank++) {
        const count = counts[rank]!;
        if (count === 0) continue;
        check();
        await out.add(series.labelsOf(order[rank]!), sorted, row, count);
        row += count;
      }
    }
    const block = await writer.finish();
    checkBlock({ vfs, dir: writer.dir, cache, memory, check }, block.samples);
    return { block, repeated: summary.rowCount - block.samples.count };
  } catch (thrown) {
    await writer.abandon();
    throw thrown;
  }
}

interface Part {
  /** Ranks. */
  readonly first: number;
  readonly end: number;
  readonly rowCount: number;
}

/** As many neighbouring series as fit, one at least. */
function partsOf(counts: Uint32Array): Part[] {
  const parts: Part[] = [];
  let first = 0;
  let rowCount = 0;
  for (let rank = 0; rank < counts.length; rank++) {
    if (rowCount > 0 && rowCount + counts[rank]! > PART_ROWS_MAX) {
      parts.push({ first, end: rank, rowCount });
      first = rank;
      rowCount = 0;
    }
    rowCount += counts[rank]!;
  }
  if (rowCount > 0) parts.push({ first, end: counts.length, rowCount });
  return parts;
}

/** The rows of a part, by series; those of one series in the order in which they came. */
async function sortedPart(
  { spill, range, check }: WriteRangeOptions,
  { first, end, rowCount }: Part,
  rankOf: Uint32Array,
  counts: Uint32Array,
): Promise<SampleRows> {
  const sorted = new SampleRows(rowCount);
  const next = new Float64Array(end - first);
  for (let rank = first, row = 0; rank < end; row += counts[rank++]!) next[rank - first] = row;
  await spill.read(range, (rows, count) => {
    check();
    for (let i = 0; i < count; i++) {
      const rank = rankOf[rows.series(i)]!;
      if (rank >= first && rank < end) sorted.copyRow(next[rank - first]!++, rows, i);
    }
  });
  return sorted;
}

/** Encodes series and hands them to the writer of a block. */
class SeriesOut {
  readonly #writer: BlockWriter;
  readonly #numbers = new Map<string, number>();
  readonly #seeds: SeriesSeeds;
  readonly #memory: PrivateMemory;

  constructor(writer: BlockWriter, symbols: SymbolTable, memory: PrivateMemory) {
    this.#writer = writer;
    this.#seeds = new SeriesSeeds(symbols);
    this.#memory = memory;
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    for (let i = 0; i < symbols.count; i++) this.#numbers.set(decoder.decode(symbols.bytesOf(i)), i);
  }

  async add(
    labels: readonly (readonly [string, string])[],
    rows: SampleRows,
    first: number,
    count: number,
  ): Promise<void> {
    const numbers = Uint32Array.from(labels.flat(), (text) => this.#numbers.get(text)!);
    const memory = this.#memory;
    const { kernel } = memory;
    memory.clear();
    const times = memory.reserve(8 * count);
    const values = memory.reserve(8 * count);
    const scratch = memory.reserve(16 * count);
    const chunk = memory.reserve(CHUNK_BYTES_MAX);
    const state = memory.reserve(ENCODER_STATE_BYTES);
    const words = new Uint32Array(memory.bytes.buffer, values, 2 * count);
    rows.copyColumns(first, count, memory.column(times, count), words);
    const kept = rows.isAscending(first, count) ? count : kernel.sortSamples(times, values, count, scratch);
    const seed = this.#seeds.of(numbers, labels.length);
    const column = memory.column(times, kept);
    const chunks: ChunkToWrite[] = [];
    for (let from = 0; from < kept; from += SAMPLES_PER_CHUNK) {
      const sampleCount = Math.min(SAMPLES_PER_CHUNK, kept - from);
      const bytes = kernel.xorEncode(times + 8 * from, values + 8 * from, sampleCount, chunk, state);
      const data = memory.bytes.slice(chunk, chunk + bytes);
      const [mint, maxt] = [column[from]!, column[from + sampleCount - 1]!];
      chunks.push({ encoding: CHUNK_XOR, data, mint, maxt, sampleCount });
    }
    await this.#writer.add(numbers, chunks, kernel.hashSamples(times, values, kept, seed));
  }
}
