/**
 * All that a database holds, by series: read as a query worker reads it, in this thread, and decoded by the kernel's own
 * decoder on a memory of its own. What the reader warns of is thrown: a test that reads everything wants everything.
 */
import type { DatabaseApi } from "../../src/tsdb/db.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import { assert } from "../../src/base/assert.ts";
import { HeadStorage } from "../../src/tsdb/head/head-storage.ts";
import { createMemory, instantiateKernel, loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { LabelTable } from "../../src/tsdb/promql/label-table.ts";
import { MergedStorage } from "../../src/tsdb/query/merged-storage.ts";
import { HEAD_ONLY } from "../../src/tsdb/storage.ts";
import type { Budget, ChunkBatch } from "../../src/tsdb/storage.ts";

export interface StoredSeries {
  readonly times: number[];
  /** In the order of `times`; only for values whose NaN payload does not matter. */
  readonly values: number[];
  /** The same values, bit for bit. */
  readonly bits: bigint[];
}

const noBudget: Budget = { addSeries() {}, addSamples() {}, addBytes() {}, check() {} };

/** @returns series by their labels, written name="value",... in order of names */
export function readDatabase(database: DatabaseApi, vfs: Vfs): Map<string, StoredSeries> {
  const attachment = database.attach();
  assert(attachment !== undefined, "no reader slot is free");
  const head = new HeadStorage(attachment, vfs);
  try {
    const labels = new LabelTable();
    const storage = new MergedStorage([head.source(HEAD_ONLY.headFloorMs)]);
    const querier = storage.querier({ labels, budget: noBudget });
    const selection = querier.select([], Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const found = new Map<string, StoredSeries>();
    const batch = new Batch();
    while (selection.next(batch)) {
      for (let i = 0; i < batch.seriesCount; i++) {
        const pairs = [...selection.labels(batch.firstSeries + i)].map((id) => labels.pair(id));
        const series: StoredSeries = { times: [], values: [], bits: [] };
        for (let chunk = batch.chunkStart[i]!; chunk < batch.chunkStart[i + 1]!; chunk++) batch.decode(chunk, series);
        found.set(pairs.map(([name, value]) => `${name}="${value}"`).join(), series);
      }
      batch.clear();
    }
    const { warnings } = querier;
    querier.close();
    if (warnings.length > 0) throw new Error(`Reading warns: ${warnings.join("; ")}`);
    return found;
  } finally {
    head.close();
    database.detach(attachment.slot);
  }
}

const SAMPLES_MAX = 4096;
const TIMES = 65_536;
const VALUES = TIMES + SAMPLES_MAX * 8;
const CHUNKS = VALUES + SAMPLES_MAX * 8;
const MEMORY_PAGES = 64;

const memory = createMemory(MEMORY_PAGES);
const kernel = instantiateKernel(loadKernelModule(), memory);
const memoryBytes = new Uint8Array(memory.buffer);

/** One at a time: all lie in the same memory. */
class Batch implements ChunkBatch {
  readonly kernel = kernel;
  firstSeries = 0;
  seriesCount = 0;
  readonly chunkStart: number[] = [];
  readonly chunkAddress: number[] = [];
  readonly chunkBytes: number[] = [];
  readonly encoding: number[] = [];
  #next = CHUNKS;

  reserve(bytes: number): number | undefined {
    const address = this.#next;
    if (address + bytes + 16 > memoryBytes.byteLength) return undefined;
    this.#next += bytes + 16;
    return address;
  }

  store(address: number, chunk: Uint8Array): void {
    memoryBytes.set(chunk, address);
  }

  view(address: number, bytes: number): Uint8Array {
    return memoryBytes.subarray(address, address + bytes);
  }

  clear(): void {
    this.#next = CHUNKS;
  }

  decode(chunk: number, into: StoredSeries): void {
    const [encoding, address, bytes] = [this.encoding[chunk]!, this.chunkAddress[chunk]!, this.chunkBytes[chunk]!];
    const count = kernel.decodeChunk(encoding, address, bytes, TIMES, VALUES, SAMPLES_MAX);
    if (count < 0) throw new Error("A chunk does not decode");
    into.times.push(...new Float64Array(memory.buffer, TIMES, count));
    into.values.push(...new Float64Array(memory.buffer, VALUES, count));
    into.bits.push(...new BigUint64Array(memory.buffer, VALUES, count));
  }
}
