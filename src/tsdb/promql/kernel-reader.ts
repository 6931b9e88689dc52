/**
 * The SampleReader of real queries: chunks are decoded and windows computed by the kernel, in the query's own memory.
 *
 *   batch        encoded chunks of the next few series, as storage puts them there
 *   times        the samples of one series: ms since the epoch,
 *   values       and their values
 *   scratch      8 bytes a sample, for the function at hand
 *   bounds       8 bytes a step: where each window begins and ends
 *   alike        4 bytes a step: how many windows from this one on lie alike
 *   parameter    8 bytes a step
 *   groups       4 bytes a row that is added up
 *
 * Regions grow when a series or a query needs more. Everything reserved counts against the query's memory.
 */
import { assert } from "../../base/assert.ts";
import { TsdbError } from "../../base/errors.ts";
import { type CodecExports, UNKNOWN_ENCODING } from "../kernel/codec-exports.ts";
import type { Budget, ChunkBatch } from "../storage.ts";
import type { Cells, SampleReader, Window } from "./operators/sample-reader.ts";
import type { StepGrid } from "./plan/node.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { WINDOW_KERNELS } from "./window-kernels.ts";

/** Room for samples of one series at first: a day of them, 10 s apart. */
const SAMPLES_AT_FIRST = 9 * 1024;

/** Samples that the windows of one call may have in all: some 20 ms of work. */
const SAMPLES_PER_CALL = 4_000_000;

export class KernelReader implements SampleReader {
  readonly batch: KernelBatch;
  readonly #memory: PrivateMemory;
  readonly #budget: Budget;
  #sampleCount = 0;
  #sampleCountMax = 0;
  #hasStale = false;
  #times = 0;
  #values = 0;
  #scratch = 0;
  #stepCountMax = 0;
  #bounds = 0;
  #alike = 0;
  #parameter = 0;
  #groupCountMax = 0;
  #groups = 0;

  /** @param memory what is in it is forgotten: one reader at a time */
  constructor(memory: PrivateMemory, budget: Budget) {
    memory.clear();
    this.#memory = memory;
    this.#budget = budget;
    this.batch = new KernelBatch(memory, budget);
  }

  clearBatch(): void {
    this.batch.clear();
  }

  decode(i: number): void {
    const { chunkStart, chunkAddress, chunkBytes, encoding } = this.batch;
    const { kernel } = this.#memory;
    const [first, end] = [chunkStart[i]!, chunkStart[i + 1]!];
    this.#makeRoom(first, end);
    let count = 0;
    for (let chunk = first; chunk < end; chunk++) {
      const decoded = kernel.decodeChunk(
        encoding[chunk]!,
        chunkAddress[chunk]!,
        chunkBytes[chunk]!,
        this.#times + 8 * count,
        this.#values + 8 * count,
        this.#sampleCountMax - count,
      );
      if (decoded < 0) throw unreadable(decoded === UNKNOWN_ENCODING ? `encoding ${encoding[chunk]}` : "damaged bytes");
      count += decoded;
    }
    this.#sampleCount = count;
    this.#hasStale = true;
  }

  allocate(cellCount: number): Cells {
    return this.#memory.column(this.#reserve(8 * cellCount), cellCount);
  }

  lookback(grid: StepGrid, lookbackMs: number, yields: "value" | "timestamp", rows: Cells, row: number): void {
    assert(this.#hasStale, "a series is looked back on before stale markers are taken out of it");
    const { startMs, stepMs, count } = grid;
    this.#memory.kernel.lookback(
      this.#times,
      this.#values,
      this.#sampleCount,
      startMs,
      stepMs,
      count,
      lookbackMs,
      yields === "timestamp" ? 1 : 0,
      rows.byteOffset + 8 * count * row,
    );
  }

  window({ function: name, rangeMs, parameter }: Window, grid: StepGrid, rows: Cells, row: number): number {
    const compute = WINDOW_KERNELS.get(name);
    assert(compute !== undefined, `no such window function: ${name}`);
    const largest = this.#findBounds(grid, rangeMs);
    if (parameter !== undefined) this.#memory.column(this.#parameter, grid.count).set(parameter);
    const input = {
      rangeMs,
      times: this.#times,
      values: this.#values,
      sampleCount: this.#sampleCount,
      scratch: this.#scratch,
    };
    // The kernel cannot be interrupted, so a long computation is many calls.
    const stepsPerCall = Math.max(1, Math.floor(SAMPLES_PER_CALL / Math.max(1, largest)));
    for (let first = 0; first < grid.count; first += stepsPerCall) {
      if (first > 0) this.#budget.check();
      const count = Math.min(stepsPerCall, grid.count - first);
      compute(this.#memory.kernel, {
        ...input,
        grid: { startMs: grid.startMs + first * grid.stepMs, stepMs: grid.stepMs, count },
        bounds: this.#bounds + 8 * first,
        alike: this.#alike + 4 * first,
        parameter: this.#parameter + 8 * first,
        row: rows.byteOffset + 8 * (row * grid.count + first),
      });
    }
    return largest;
  }

  samples(endMs: number, rangeMs: number): { readonly times: Float64Array; readonly values: Float64Array } {
    this.#findBounds({ startMs: endMs, stepMs: 0, count: 1 }, rangeMs);
    const [first, end] = new Uint32Array(this.#memory.bytes.buffer, this.#bounds, 2);
    // Copied array to array: the results outlive this memory, and values keep their bits.
    const copy = (column: number) => new Float64Array(this.#memory.column(column + 8 * first!, end! - first!));
    return { times: copy(this.#times), values: copy(this.#values) };
  }

  addRows(rows: Cells, groupOf: Uint32Array, stepCount: number, sums: Cells, lost: Cells): void {
    if (groupOf.length > this.#groupCountMax) {
      this.#groupCountMax = groupOf.length;
      this.#groups = this.#reserve(4 * groupOf.length);
    }
    new Uint32Array(this.#memory.bytes.buffer, this.#groups, groupOf.length).set(groupOf);
    const { kernel } = this.#memory;
    kernel.addRows(rows.byteOffset, groupOf.length, stepCount, this.#groups, sums.byteOffset, lost.byteOffset);
  }

  /** @returns how many samples the largest window has */
  #findBounds({ startMs, stepMs, count }: StepGrid, rangeMs: number): number {
    const { kernel } = this.#memory;
    if (this.#hasStale) this.#sampleCount = kernel.dropStale(this.#times, this.#values, this.#sampleCount);
    this.#hasStale = false;
    if (count > this.#stepCountMax) {
      this.#stepCountMax = count;
      this.#bounds = this.#reserve(8 * count);
      this.#alike = this.#reserve(4 * count);
      this.#parameter = this.#reserve(8 * count);
    }
    return kernel.windowBounds(
      this.#times,
      this.#sampleCount,
      startMs,
      stepMs,
      count,
      rangeMs,
      this.#bounds,
      this.#alike,
    );
  }

  /** Makes the columns long enough for what the chunks say they hold. */
  #makeRoom(firstChunk: number, endChunk: number): void {
    const { chunkAddress, chunkBytes, encoding } = this.batch;
    const { kernel } = this.#memory;
    let count = 0;
    for (let chunk = firstChunk; chunk < endChunk; chunk++)
      count += kernel.chunkSampleCount(encoding[chunk]!, chunkAddress[chunk]!, chunkBytes[chunk]!);
    if (count <= this.#sampleCountMax) return;
    this.#sampleCountMax = Math.max(SAMPLES_AT_FIRST, count, 2 * this.#sampleCountMax);
    this.#times = this.#reserve(8 * this.#sampleCountMax);
    this.#values = this.#reserve(8 * this.#sampleCountMax);
    this.#scratch = this.#reserve(8 * this.#sampleCountMax);
  }

  #reserve(bytes: number): number {
    this.#budget.addBytes(bytes);
    return this.#memory.reserve(bytes);
  }
}

const unreadable = (what: string): TsdbError =>
  new TsdbError("CHUNK_CORRUPT", `Cannot decode a chunk: ${what}`, {
    remedy: "The server's log names damaged files: those of the head are rebuilt from the WAL by a restart, blocks not",
  });

/** Encoded bytes of a batch: enough that a call of storage is worth it, and that one rarely ends in mid-gather. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** Readable bytes behind each chunk. */
const CHUNK_SLACK = 16;

/** A batch takes what fits into its region; a first series that does not fit gets further regions, each twice as large. */
class KernelBatch implements ChunkBatch {
  firstSeries = 0;
  seriesCount = 0;
  readonly chunkStart: number[] = [];
  readonly chunkAddress: number[] = [];
  readonly chunkBytes: number[] = [];
  readonly encoding: number[] = [];
  readonly #memory: PrivateMemory;
  readonly #budget: Budget;
  #region = 0;
  #regionBytes = 0;
  #usedBytes = 0;

  constructor(memory: PrivateMemory, budget: Budget) {
    this.#memory = memory;
    this.#budget = budget;
  }

  get kernel(): CodecExports {
    return this.#memory.kernel;
  }

  clear(): void {
    this.seriesCount = 0;
    this.#usedBytes = 0;
  }

  reserve(bytes: number): number | undefined {
    const reserved = (bytes + CHUNK_SLACK + 7) & ~7;
    if (this.#usedBytes + reserved > this.#regionBytes) {
      if (this.seriesCount > 0 && this.#regionBytes > 0) return undefined;
      this.#extend(reserved);
    }
    const address = this.#region + this.#usedBytes;
    this.#usedBytes += reserved;
    return address;
  }

  store(address: number, chunk: Uint8Array): void {
    this.#memory.bytes.set(chunk, address);
  }

  view(address: number, bytes: number): Uint8Array {
    return this.#memory.bytes.subarray(address, address + bytes);
  }

  /** Chunks of this batch that lie in the region so far stay where they are. */
  #extend(bytes: number): void {
    this.#regionBytes = Math.max(BATCH_BYTES, 2 * this.#regionBytes, bytes);
    this.#budget.addBytes(this.#regionBytes);
    this.#region = this.#memory.reserve(this.#regionBytes);
    this.#usedBytes = 0;
  }
}
