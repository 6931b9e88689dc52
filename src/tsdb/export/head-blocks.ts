/**
 * What a head has as blocks, for whoever reads blocks: its samples are sorted by ranges of 2 h and written to a directory,
 * one block each. The head itself stays as it is.
 */
import type { Vfs } from "../../base/vfs.ts";
import type { ImportedBlock } from "../import/import-exposition.ts";
import { RangeSpill } from "../import/range-spill.ts";
import { SeriesTable } from "../import/series-table.ts";
import { writeRange } from "../import/write-range.ts";
import { PageCache } from "../index/page-cache.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { LabelTable } from "../promql/label-table.ts";
import { KernelReader } from "../promql/kernel-reader.ts";
import type { Budget, Storage } from "../storage.ts";

export interface HeadBlocksOptions {
  readonly vfs: Vfs;
  readonly module: WebAssembly.Module;
  /** Exists. */
  readonly blocksDir: string;
  readonly spillDir: string;
  readonly nextUlid: () => string;
  /** Called often. @throws to stop */
  readonly check: () => void;
  readonly onProgress: (doneSeries: number, totalSeries: number) => void;
}

const RANGE_MS = 2 * 3_600_000;
const MEMORY_BYTES_MAX = 128 * 1024 * 1024;
const CACHE_BYTES = 16 * 1024 * 1024;

/** @throws TsdbError CHUNK_CORRUPT when not all of it can be read */
export async function blocksOfHead(head: Storage, options: HeadBlocksOptions): Promise<readonly ImportedBlock[]> {
  const { vfs, module, blocksDir, spillDir, nextUlid, check } = options;
  const spill = new RangeSpill(vfs, spillDir, RANGE_MS, MEMORY_BYTES_MAX);
  const series = new SeriesTable();
  await spillSamples(head, spill, series, options);
  const order = series.ordered();
  const memory = new PrivateMemory(module);
  const cache = new PageCache(CACHE_BYTES);
  const blocks: ImportedBlock[] = [];
  for (const { range, summary } of spill.ranges()) {
    const ulid = nextUlid();
    const { block } = await writeRange({
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
    blocks.push({ meta: block.meta, sizeBytes: block.sizeBytes });
  }
  return blocks;
}

/** No limits: nobody else needs the memory. */
const budgetOf = (check: () => void): Budget => ({ addSeries: check, addSamples: check, addBytes: check, check });

async function spillSamples(
  head: Storage,
  spill: RangeSpill,
  series: SeriesTable,
  { module, check, onProgress }: HeadBlocksOptions,
): Promise<void> {
  const budget = budgetOf(check);
  const memory = new PrivateMemory(module);
  const samples = new PrivateMemory(module);
  const reader = new KernelReader(memory, budget);
  const { batch } = reader;
  const labels = new LabelTable();
  const querier = head.querier({ labels, budget });
  try {
    const selection = querier.select([], Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    for (reader.clearBatch(); selection.next(batch); reader.clearBatch()) {
      for (let i = 0; i < batch.seriesCount; i++) {
        check();
        const pairs = Array.from(selection.labels(batch.firstSeries + i), (id) => labels.pair(id));
        const number = series.number(pairs);
        for (let chunk = batch.chunkStart[i]!; chunk < batch.chunkStart[i + 1]!; chunk++) {
          const [encoding, bytes] = [batch.encoding[chunk]!, batch.chunkBytes[chunk]!];
          addChunk(samples, encoding, batch.view(batch.chunkAddress[chunk]!, bytes), number, spill);
        }
        onProgress(batch.firstSeries + i + 1, selection.seriesCount);
      }
      if (spill.isFull) await spill.spill();
    }
    // A warning says that samples are missing.
    const [warning] = querier.warnings;
    if (warning !== undefined) throw new Error(warning);
  } finally {
    querier.close();
  }
}

function addChunk(memory: PrivateMemory, encoding: number, data: Uint8Array, number: number, spill: RangeSpill): void {
  const { kernel } = memory;
  memory.clear();
  const chunk = memory.reserve(data.byteLength + 16);
  memory.bytes.set(data, chunk);
  const countMax = kernel.chunkSampleCount(encoding, chunk, data.byteLength);
  const [times, values] = [memory.reserve(8 * countMax), memory.reserve(8 * countMax)];
  const count = kernel.decodeChunk(encoding, chunk, data.byteLength, times, values, countMax);
  if (count < 0) throw new Error(`a chunk of encoding ${encoding} cannot be decoded`);
  const timeColumn = memory.column(times, count);
  const words = new Uint32Array(memory.bytes.buffer, values, 2 * count);
  for (let i = 0; i < count; i++) spill.addWords(number, timeColumn[i]!, words[2 * i]!, words[2 * i + 1]!);
}
