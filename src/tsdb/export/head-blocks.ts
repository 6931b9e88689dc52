/**
 * What a head has as blocks, for whoever reads blocks: its samples are sorted by ranges of 2 h and written to a directory,
 * one block each. The head itself stays as it is.
 */
import { publishBlocks } from "../import/publish-blocks.ts";
import { RangeSpill } from "../import/range-spill.ts";
import { SeriesTable } from "../import/series-table.ts";
import { writeRanges, type RangeBlock, type WriteRangesOptions } from "../import/write-ranges.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { LabelTable } from "../promql/label-table.ts";
import { KernelReader } from "../promql/kernel-reader.ts";
import type { Budget, Storage } from "../storage.ts";

export interface HeadBlocksOptions extends WriteRangesOptions {
  readonly spillDir: string;
  readonly onProgress: (doneSeries: number, totalSeries: number) => void;
}

const RANGE_MS = 2 * 3_600_000;
const MEMORY_BYTES_MAX = 128 * 1024 * 1024;

/** @throws TsdbError CHUNK_CORRUPT when not all of it can be read */
export async function blocksOfHead(head: Storage, options: HeadBlocksOptions): Promise<readonly RangeBlock[]> {
  const { vfs, blocksDir, spillDir } = options;
  const spill = new RangeSpill(vfs, spillDir, RANGE_MS, MEMORY_BYTES_MAX);
  const series = new SeriesTable();
  await spillSamples(head, spill, series, options);
  const { blocks } = await writeRanges(spill, series, options);
  const ulids = blocks.map(({ meta }) => meta.ulid);
  await publishBlocks(vfs, blocksDir, ulids);
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
