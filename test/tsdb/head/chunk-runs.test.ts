/** Full chunks read from their files as a query reads them: run by run, each verified, damage left out and said. */
import { expect, test } from "vitest";
import { HeadStorage } from "../../../src/tsdb/head/head-storage.ts";
import { createMemory, instantiateKernel, loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { MergedStorage } from "../../../src/tsdb/query/merged-storage.ts";
import { LabelTable } from "../../../src/tsdb/promql/label-table.ts";
import type { ChunkBatch } from "../../../src/tsdb/storage.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import { ManualClock } from "../../support/clock.ts";
import { CHUNK_DIR, openDatabase, series, write } from "../../support/database.ts";
import { interceptVfs } from "../../support/vfs/intercept.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const SERIES = 40;
const SAMPLES = 400;
const T0 = new ManualClock().nowMs() - SAMPLES * 1000;
const FILE = `${CHUNK_DIR}/00000001`;

/** 40 series of three full chunks each, interleaved in one file, and an open one of 40 samples in memory. */
async function filledDatabase(disk: MemoryVfs) {
  let database = await openDatabase(disk);
  for (let sample = 0; sample < SAMPLES; sample += 20) {
    const samples = Array.from({ length: 20 }, (_, i) => [T0 + (sample + i) * 1000, Math.sin(sample + i)] as const);
    await write(
      database,
      Array.from({ length: SERIES }, (_, i) => series(`s${i}`, samples)),
    );
  }
  await database.close();
  database = await openDatabase(disk);
  return database;
}

/** Chunks by the address they were given; what is reserved is remembered as it was stored. */
class Batch implements ChunkBatch {
  firstSeries = 0;
  seriesCount = 0;
  readonly chunkStart: number[] = [];
  readonly chunkAddress: number[] = [];
  readonly chunkBytes: number[] = [];
  readonly encoding: number[] = [];
  readonly #memory = createMemory(16);
  readonly kernel = instantiateKernel(loadKernelModule(), this.#memory);
  readonly #bytes = new Uint8Array(this.#memory.buffer);
  #next = 65_536;

  reserve(bytes: number): number {
    this.#next += bytes + 16;
    return this.#next - bytes - 16;
  }

  store(address: number, chunk: Uint8Array): void {
    this.#bytes.set(chunk, address);
  }

  view(address: number, bytes: number): Uint8Array {
    return this.#bytes.subarray(address, address + bytes);
  }

  /** How many samples the chunks of series `i` say they have, one after the other. */
  counts(i: number): number[] {
    const addresses = this.chunkAddress.slice(this.chunkStart[i], this.chunkStart[i + 1]);
    return addresses.map((address) => (this.#bytes[address]! << 8) | this.#bytes[address + 1]!);
  }
}

async function readCounts(vfs: Vfs, disk: MemoryVfs) {
  const database = await filledDatabase(disk);
  const attachment = database.attach()!;
  const head = new HeadStorage(attachment, vfs);
  const budget = { addSeries() {}, addSamples() {}, addBytes() {}, check() {} };
  const querier = new MergedStorage([head.source(Number.NEGATIVE_INFINITY)]).querier({
    labels: new LabelTable(),
    budget,
  });
  const read = () => {
    const selection = querier.select([], T0, T0 + SAMPLES * 1000);
    const batch = new Batch();
    const counts: number[][] = [];
    while (selection.next(batch)) for (let i = 0; i < batch.seriesCount; i++) counts.push(batch.counts(i));
    return { counts, warnings: querier.warnings };
  };
  const close = async () => {
    querier.close();
    head.close();
    database.detach(attachment.slot);
    await database.close();
  };
  return { read, close, querier };
}

const whole = Array.from({ length: SERIES }, () => [120, 120, 120, 40]);

test("chunks that lie side by side are read in one go, whatever series they belong to", async () => {
  const disk = new MemoryVfs();
  let reads = 0;
  const counting = interceptVfs(disk, {
    async: (_call, run) => run(),
    sync(call, run) {
      if (call.operation === "read") reads++;
      return run();
    },
  });
  const { read, close } = await readCounts(counting, disk);
  expect(read()).toEqual({ counts: whole, warnings: [] });
  expect(reads).toBeGreaterThan(0);
  // One for each of the three times at which all series' chunks became full, not one for each of 120 chunks.
  expect(reads).toBeLessThanOrEqual(3);
  await close();
});

test("chunk files are open while a query reads, and no longer: what is deleted must not keep its place on the disk", async () => {
  const disk = new MemoryVfs();
  const openFiles = () => disk.openPaths.filter((path) => path === FILE).length;
  const { read, close, querier } = await readCounts(disk, disk);
  const before = openFiles();
  read();
  expect(openFiles()).toBe(before + 1);
  querier.close();
  expect(openFiles()).toBe(before);
  await close();
});

test("a damaged chunk is left out with a warning, and costs neither its neighbours nor its series' other chunks", async () => {
  const disk = new MemoryVfs();
  const { read, close } = await readCounts(disk, disk);
  const file = await disk.open(FILE, "write");
  const sizeBytes = await file.sizeBytes();
  for (const at of [40, 32 + 8, Math.floor(sizeBytes / 2), sizeBytes - 1]) {
    const byte = new Uint8Array(1);
    await file.read(byte, at);
    await file.write(Uint8Array.of(byte[0]! ^ 4), at);
    const { counts, warnings } = read();
    await file.write(byte, at);
    const lost = counts.filter((found) => found.length < 4);
    expect(lost, `byte ${at}`).toEqual([[120, 120, 40]]);
    expect(counts).toHaveLength(SERIES);
    expect(warnings.at(-1)).toMatch(
      /^Samples from 2025-\S+ to 2025-\S+ are missing from the result: Cannot read a chunk at byte \d+ of .*00000001/,
    );
  }
  await file.close();
  expect(read().counts).toEqual(whole);
  await close();
});
