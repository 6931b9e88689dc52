/**
 * One reader of the race, a worker thread: selects, gathers and decodes as a query does, through HeadStorage, and counts
 * what it finds torn. It goes on until it is killed, at whatever point that may be.
 */
import { parentPort, workerData } from "node:worker_threads";
import { HeadStorage } from "../../../src/tsdb/head/head-storage.ts";
import { MergedStorage } from "../../../src/tsdb/query/merged-storage.ts";
import { createMemory, instantiateKernel } from "../../../src/tsdb/kernel/load.ts";
import type { Matcher } from "../../../src/tsdb/model/matcher.ts";
import { LabelTable } from "../../../src/tsdb/promql/label-table.ts";
import { CHUNK_RAW } from "../../../src/tsdb/storage.ts";
import type { ChunkBatch, Querier, QueryContext, SeriesSelection } from "../../../src/tsdb/storage.ts";
import { Random } from "../random.ts";
import {
  BLOCK_SERIES,
  blockAt,
  COUNTS,
  deleteLagOf,
  echoOf,
  firstSampleOf,
  GROUP_COUNT,
  LATE_SERIES,
  PROGRESS,
  type ReaderData,
  SAMPLES_PER_REQUEST,
  SERIES_COUNT,
  START_MS,
  STEP_MS,
  timeOf,
  valueHigh,
  valueLow,
} from "./world.ts";

/** How far the writer goes on while a reader is held up: far enough to fill what it has let go of with something else. */
const HELD_UP_SAMPLES = 400;
const HELD_UP_MS_MAX = 5000;
const CHUNK_SAMPLES_MAX = 128;
const BATCH_AT = 128 * 1024;
const BATCH_BYTES = 8 * 2 ** 20;

class Reader {
  readonly #data: ReaderData;
  readonly #random: Random;
  readonly #storage: MergedStorage;
  /** Decoding has a memory of its own, as in a query worker. */
  readonly #memory = createMemory((BATCH_AT + BATCH_BYTES) / 65_536 + 1);
  readonly #kernel;
  readonly #words = new Uint32Array(this.#memory.buffer);
  readonly #floats = new Float64Array(this.#memory.buffer);
  readonly #batch: ChunkBatch;
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  #used = BATCH_AT;
  #querier: Querier | undefined;

  constructor(data: ReaderData) {
    this.#data = data;
    this.#random = new Random(data.seed);
    this.#storage = new MergedStorage([new HeadStorage(data.attachment).source(Number.NEGATIVE_INFINITY)]);
    this.#kernel = instantiateKernel(data.attachment.module, this.#memory);
    const bytes = new Uint8Array(this.#memory.buffer);
    this.#batch = {
      kernel: this.#kernel,
      firstSeries: 0,
      seriesCount: 0,
      chunkStart: [],
      chunkAddress: [],
      chunkBytes: [],
      encoding: [],
      reserve: (byteCount) => {
        const address = this.#used;
        if (address === BATCH_AT && this.#random.chance(0.1)) this.#holdUp();
        if (address + byteCount + 16 > BATCH_AT + BATCH_BYTES) return undefined;
        this.#used = (address + byteCount + 16 + 7) & ~7;
        return address;
      },
      store: (address, chunk) => bytes.set(chunk, address),
      view: (address, byteCount) => bytes.subarray(address, address + byteCount),
    };
  }

  /** Between gathering and copying: a page fault or another process could hold a reader up as well. */
  #holdUp(): void {
    const { progress } = this.#data;
    const until = Atomics.load(progress, PROGRESS.samples) + HELD_UP_SAMPLES;
    for (let waits = 0; waits < HELD_UP_MS_MAX && Atomics.load(progress, PROGRESS.samples) < until; waits++) {
      Atomics.wait(this.#pause, 0, 0, 1);
    }
  }

  step(): void {
    try {
      const choice = this.#random.next();
      if (choice < 0.2) this.#readBlock();
      else if (choice < 0.3) this.#readLeaving();
      else if (choice < 0.45 && this.#data.readsLate) this.#readLate();
      else this.#readGroup();
    } finally {
      this.#querier?.close();
      this.#querier = undefined;
    }
  }

  /** Samples of a group over some range: all there, each as it was written. */
  #readGroup(): void {
    const { progress } = this.#data;
    const random = this.#random;
    const stored = Atomics.load(progress, PROGRESS.samples);
    if (stored === 0) return;
    const dropped = Atomics.load(progress, PROGRESS.dropped);
    const from = random.chance(0.3) ? stored - 1 : random.between(dropped, stored - 1);
    const to = random.chance(0.5) ? stored + 1000 : random.between(from, stored - 1);
    const group = random.below(GROUP_COUNT);
    const matchers: Matcher[] = [
      { type: "=", name: "__name__", value: "race" },
      random.chance(0.5)
        ? { type: "=", name: "group", value: String(group) }
        : { type: "=~", name: "group", value: `${group}|nothing` },
    ];
    const { labels, selection, warnings } = this.#select(matchers, timeOf(from), timeOf(to));
    // What was asked for may have been dropped meanwhile, and series without samples in the range are not found.
    const isLeft = Atomics.load(progress, PROGRESS.dropped) <= to;
    const isRight = selection.seriesCount === SERIES_COUNT / GROUP_COUNT;
    this.#expect(isRight || !isLeft, `${selection.seriesCount} series in a group`);
    let series = 0;
    for (this.#used = BATCH_AT; selection.next(this.#batch); this.#used = BATCH_AT) {
      for (let i = 0; i < this.#batch.seriesCount; i++, series++) {
        const index = Number(this.#label(selection, series, labels, "series"));
        this.#readSeries(i, index, from, Math.min(to, stored - 1));
      }
    }
    for (const warning of warnings()) this.#expect(false, warning);
  }

  /** Samples `from` to `to` of a series of the batch; `dropped` may have moved on meanwhile. */
  #readSeries(i: number, series: number, from: number, to: number): void {
    const { chunkStart, chunkAddress, chunkBytes } = this.#batch;
    const times = 0;
    const values = CHUNK_SAMPLES_MAX * 8;
    let next = -1;
    let first = -1;
    for (let chunk = chunkStart[i]!; chunk < chunkStart[i + 1]!; chunk++) {
      const count = this.#kernel.xorDecode(chunkAddress[chunk]!, chunkBytes[chunk]!, times, values, CHUNK_SAMPLES_MAX);
      if (!this.#expect(count > 0, `a chunk that does not decode (${count})`)) return;
      for (let s = 0; s < count; s++) {
        const sample = (this.#floats[s]! - START_MS) / STEP_MS;
        const at = (values >>> 2) + s * 2;
        const isRight =
          (sample === next || next < 0) &&
          this.#words[at] === valueLow(series, sample) &&
          this.#words[at + 1] === valueHigh(series, sample);
        if (!this.#expect(isRight, `sample ${sample} of series ${series} where ${next} should be`)) return;
        if (first < 0) first = sample;
        next = sample + 1;
      }
      Atomics.add(this.#data.counts, COUNTS.reads, count);
    }
    const start = Math.max(from, Atomics.load(this.#data.progress, PROGRESS.dropped));
    if (start > to) return;
    this.#expect(first >= 0 && first <= start, `series ${series} begins at ${first}, not at ${start}`);
    this.#expect(next > to, `series ${series} ends before ${next}, not behind ${to}`);
  }

  /** Series with late samples and deletes: what is deleted for sure is away, the rest is there, each as it was written. */
  #readLate(): void {
    const { progress } = this.#data;
    const random = this.#random;
    const requests = Atomics.load(progress, PROGRESS.late);
    if (requests === 0) return;
    const newest = requests * SAMPLES_PER_REQUEST - 1;
    const from = random.between(Atomics.load(progress, PROGRESS.dropped), newest);
    const to = random.chance(0.5) ? newest : random.between(from, newest);
    const { labels, selection, warnings } = this.#select(
      [{ type: "=", name: "__name__", value: "late" }],
      timeOf(from),
      timeOf(to),
    );
    const isThere = Array.from({ length: LATE_SERIES }, () => new Uint8Array(to - from + 1));
    let series = 0;
    for (this.#used = BATCH_AT; selection.next(this.#batch); this.#used = BATCH_AT) {
      for (let i = 0; i < this.#batch.seriesCount; i++, series++) {
        const index = Number(this.#label(selection, series, labels, "series"));
        if (!this.#noteLate(i, index, from, isThere[index]!)) return;
      }
    }
    for (const warning of warnings()) this.#expect(false, warning);
    const dropped = Atomics.load(progress, PROGRESS.dropped);
    const requestsNow = Atomics.load(progress, PROGRESS.late);
    for (let sample = Math.max(from, dropped); sample <= to; sample++) {
      const request = Math.floor(sample / SAMPLES_PER_REQUEST);
      const goneWith = request + (deleteLagOf(request) ?? Number.POSITIVE_INFINITY);
      // In between it may be either.
      if (goneWith >= requests && goneWith <= requestsNow) continue;
      const expected = goneWith < requests ? 0 : 1;
      const odd = isThere.findIndex((flags) => flags[sample - from] !== expected);
      if (!this.#expect(odd < 0, `sample ${sample} of late series ${odd} is ${expected ? "missing" : "back"}`)) return;
    }
  }

  /** Notes the samples of a series of the batch that are in the range. @returns false after what is wrong */
  #noteLate(i: number, series: number, from: number, isThere: Uint8Array): boolean {
    const { chunkStart, chunkAddress, chunkBytes, encoding } = this.#batch;
    let before = -1;
    for (let chunk = chunkStart[i]!; chunk < chunkStart[i + 1]!; chunk++) {
      const address = chunkAddress[chunk]!;
      const isRaw = encoding[chunk] === CHUNK_RAW;
      const count = isRaw
        ? this.#words[address >>> 2]!
        : this.#kernel.xorDecode(address, chunkBytes[chunk]!, 0, CHUNK_SAMPLES_MAX * 8, CHUNK_SAMPLES_MAX);
      const isSound = isRaw ? chunkBytes[chunk] === 8 + 16 * count : count > 0;
      if (!this.#expect(isSound, `a chunk of ${count} samples that does not decode`)) return false;
      const times = isRaw ? (address + 8) >>> 3 : 0;
      const values = isRaw ? times + count : CHUNK_SAMPLES_MAX;
      for (let s = 0; s < count; s++) {
        const sample = (this.#floats[times + s]! - START_MS) / STEP_MS;
        const at = (values + s) * 2;
        const isRight =
          sample > before &&
          this.#words[at] === valueLow(series, sample) &&
          this.#words[at + 1] === valueHigh(series, sample);
        if (!this.#expect(isRight, `sample ${sample} of late series ${series} behind ${before}`)) return false;
        before = sample;
        if (sample >= from && sample - from < isThere.length) isThere[sample - from] = 1;
      }
      Atomics.add(this.#data.counts, COUNTS.reads, count);
    }
    return true;
  }

  /** Series of a block that are not odd: all of them when the block is complete, and never an odd one. */
  #readBlock(): void {
    const complete = Atomics.load(this.#data.progress, PROGRESS.blocks);
    const block = Math.max(0, complete - this.#random.below(20) + 2);
    const parity: Matcher = this.#random.chance(0.5)
      ? { type: "!=", name: "parity", value: "odd" }
      : { type: "!~", name: "parity", value: "o.*" };
    const others: Matcher[] = [
      { type: "=", name: "block", value: String(block) },
      { type: "=", name: "__name__", value: "block" },
    ];
    const matchers = this.#random.chance(0.5) ? [parity, ...others] : [...others, parity];
    const { labels, selection } = this.#select(matchers, 0, Number.MAX_SAFE_INTEGER);
    const dropped = Atomics.load(this.#data.progress, PROGRESS.dropped);
    if (block < complete && dropped <= firstSampleOf(block))
      this.#expect(selection.seriesCount === BLOCK_SERIES / 2, `${selection.seriesCount} series in a block`);
    for (let i = 0; i < selection.seriesCount; i++) {
      this.#expect(this.#label(selection, i, labels, "parity") === "even", "a series that the matcher excludes");
      this.#expect(this.#label(selection, i, labels, "block") === String(block), "a series of another block");
    }
  }

  /** Series that are about to go away: once selected, they keep their labels, however long the query takes. */
  #readLeaving(): void {
    const block = blockAt(Atomics.load(this.#data.progress, PROGRESS.dropped)) + this.#random.below(4);
    const { labels, selection } = this.#select(
      [{ type: "=", name: "block", value: String(block) }],
      0,
      Number.MAX_SAFE_INTEGER,
    );
    if (selection.seriesCount === 0) return;
    this.#holdUp();
    for (let i = 0; i < selection.seriesCount; i++)
      this.#expect(this.#label(selection, i, labels, "block") === String(block), "a series that changed its block");
  }

  #select(matchers: readonly Matcher[], mint: number, maxt: number) {
    const labels = new LabelTable();
    const nothing = (): void => undefined;
    const budget = { addSeries: nothing, addSamples: nothing, addBytes: nothing, check: nothing };
    const context: QueryContext = { labels, budget };
    const querier = this.#storage.querier(context);
    this.#querier = querier;
    const selection = querier.select(matchers, mint, maxt);
    Atomics.add(this.#data.counts, COUNTS.series, selection.seriesCount);
    return { labels, selection, warnings: () => querier.warnings };
  }

  /** A label of a series, after a look at all of them. */
  #label(selection: SeriesSelection, i: number, labels: LabelTable, wanted: string): string | undefined {
    const pairs = new Map(Array.from(selection.labels(i), (pair) => labels.pair(pair)));
    this.#expect(pairs.get("echo") === echoOf(pairs.get("series") ?? ""), `labels ${JSON.stringify([...pairs])}`);
    return pairs.get(wanted);
  }

  #expect(holds: boolean, what: string): boolean {
    if (holds) return true;
    Atomics.add(this.#data.counts, COUNTS.torn, 1);
    parentPort!.postMessage(what);
    return false;
  }
}

const reader = new Reader(workerData as ReaderData);
for (;;) {
  try {
    reader.step();
  } catch (thrown) {
    // What is torn may lead anywhere.
    Atomics.add((workerData as ReaderData).counts, COUNTS.torn, 1);
    parentPort!.postMessage(String(thrown));
  }
}
