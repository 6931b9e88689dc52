/**
 * The race: this thread ingests (some of it late), deletes, seals, drops and recycles without pause, while reader threads
 * (reader.ts) look at everything and are killed and replaced at any time.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { chunkFileName } from "../../../src/tsdb/head/chunk-file-format.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import type { Matcher } from "../../../src/tsdb/model/matcher.ts";
import { type TwinLimits, WIDE_LIMITS } from "../head-twin.ts";
import { KernelHead } from "../kernel-head.ts";
import { Random } from "../random.ts";
import { writeRequest } from "../remote-write-twin.ts";
import {
  BLOCK_SERIES,
  BLOCKS_MAX,
  COUNTS,
  DELETE_LAG_MAX,
  deleteLagOf,
  echoOf,
  firstSampleOf,
  GROUP_COUNT,
  LATE_ORDER,
  LATE_SERIES,
  PROGRESS,
  PROGRESS_WORDS,
  REQUESTS_PER_BLOCK,
  type ReaderData,
  SAMPLES_PER_REQUEST,
  SERIES_COUNT,
  STEP_MS,
  timeOf,
  valueHigh,
  valueLow,
} from "./world.ts";

export interface RaceOptions {
  readonly seed: number;
  /** At least; then until all of the following is reached. */
  readonly seconds: number;
  readonly cells: number;
  readonly samplesRead: number;
  readonly readersKilled: number;
  readonly readers: number;
  readonly debug: boolean;
  /** Frees what readers may still follow, in the debug build; ends with the first torn read. */
  readonly withoutEpochs?: boolean;
  /** The same with what views may still see. */
  readonly withoutViews?: boolean;
}

export interface RaceResult {
  readonly seconds: number;
  readonly samplesWritten: number;
  readonly cellsRecycled: number;
  readonly seriesCollected: number;
  readonly samplesRead: number;
  readonly seriesSelected: number;
  readonly torn: number;
  readonly readersKilled: number;
  /** The first few. */
  readonly findings: readonly string[];
}

const LIMITS: TwinLimits = { ...WIDE_LIMITS, outOfOrderWindowMs: SAMPLES_PER_REQUEST * STEP_MS };
const CHUNK_FILE_BYTES = 2 ** 20;
/** Samples of each series that are kept, and files that outlive what is in them by far. */
const SAMPLES_KEPT = 2000;
const FILES_KEPT = 24;
/** A pass over the series there are takes a few steps. */
const COLLECT_WORK = 8192;
const FINDINGS_MAX = 5;
const SLICE_MS = 10;
const KILL_EVERY_MS = 100;
/** Some die young, some live long enough to be held up. */
const SAMPLES_BEFORE_DEATH_MAX = 200_000;
/** Long after all that the race writes. */
const ALL_DURABLE = Number.MAX_SAFE_INTEGER;

export async function race(options: RaceOptions): Promise<RaceResult> {
  const writer = new RaceWriter(options);
  const readers = new Readers(options, writer);
  const startMs = performance.now();
  let nextKillMs = startMs + KILL_EVERY_MS;
  const isBroken = options.withoutEpochs === true || options.withoutViews === true;
  const isDone = (): boolean =>
    (isBroken && readers.torn > 0) ||
    (performance.now() - startMs >= options.seconds * 1000 &&
      writer.cellsRecycled >= options.cells &&
      readers.killed >= options.readersKilled &&
      readers.count(COUNTS.reads) >= options.samplesRead);
  try {
    while (!isDone()) {
      for (const endMs = performance.now() + SLICE_MS; performance.now() < endMs;) writer.step();
      await setImmediate();
      if (isBroken || performance.now() < nextKillMs) continue;
      await readers.replaceOne();
      nextKillMs = performance.now() + KILL_EVERY_MS;
    }
  } finally {
    await readers.stop();
    writer.close();
  }
  return {
    seconds: (performance.now() - startMs) / 1000,
    samplesWritten: writer.samplesWritten,
    cellsRecycled: writer.cellsRecycled,
    seriesCollected: writer.seriesCollected,
    samplesRead: readers.count(COUNTS.reads),
    seriesSelected: readers.count(COUNTS.series),
    torn: readers.torn,
    readersKilled: readers.killed,
    findings: readers.findings,
  };
}

class Readers {
  readonly #options: RaceOptions;
  readonly #writer: RaceWriter;
  readonly #random: Random;
  readonly #workers: Worker[] = [];
  /** Of every reader there ever was, and which of them is that of a slot now. */
  readonly #counts: Int32Array[] = [];
  readonly #current: number[] = [];
  readonly findings: string[] = [];
  killed = 0;

  constructor(options: RaceOptions, writer: RaceWriter) {
    this.#options = options;
    this.#writer = writer;
    this.#random = new Random(options.seed);
    for (let slot = 0; slot < options.readers; slot++) this.#start(slot);
  }

  #start(slot: number): void {
    const { head, chunkDir, progress } = this.#writer;
    const counts = new Int32Array(new SharedArrayBuffer(16));
    this.#current[slot] = this.#counts.push(counts) - 1;
    const worker = new Worker(new URL("./reader.ts", import.meta.url), {
      workerData: {
        attachment: { module: head.memory.module, memory: head.memory.memory, slot, chunkDir },
        progress,
        counts,
        seed: this.#random.below(2 ** 32),
        // Views are about series that go away, and these never do: without views nothing is to be seen of them.
        readsLate: this.#options.withoutViews !== true,
      } satisfies ReaderData,
    });
    worker.on("message", (finding: string) => {
      if (this.findings.length < FINDINGS_MAX) this.findings.push(finding);
    });
    worker.on("error", (error: unknown) => this.findings.push(`a reader failed: ${String(error)}`));
    this.#workers[slot] = worker;
  }

  /** Kills a reader wherever it is, once it has begun to read, and starts another one in its slot. */
  async replaceOne(): Promise<void> {
    const slot = this.#random.below(this.#options.readers);
    const counts = this.#counts[this.#current[slot]!]!;
    if (Atomics.load(counts, COUNTS.reads) < this.#random.below(SAMPLES_BEFORE_DEATH_MAX)) return;
    await this.#workers[slot]!.terminate();
    this.killed++;
    // It may have died pinned: nothing would ever be freed again.
    this.#writer.head.kernel.unpin(slot);
    this.#writer.head.kernel.unpinView(slot);
    this.#start(slot);
  }

  async stop(): Promise<void> {
    await setImmediate();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  count = (which: number): number => this.#counts.reduce((sum, counts) => sum + (Atomics.load(counts, which) >>> 0), 0);

  get torn(): number {
    return this.count(COUNTS.torn) + this.findings.filter((finding) => finding.startsWith("a reader failed")).length;
  }
}

interface TemplateOptions {
  readonly name: string;
  readonly seriesCount: number;
  /** Of the samples of a request. */
  readonly order: readonly number[];
}

/** A request for all series whose samples are filled in again and again: times and values stand at known places. */
class RequestTemplate {
  readonly message: Uint8Array;
  readonly #view: DataView;
  /** Where the value of a sample begins; its time follows. */
  readonly #valueAt: number[] = [];
  readonly #order: readonly number[];

  constructor({ name, seriesCount, order }: TemplateOptions) {
    this.#order = order;
    const samples = order.map((i) => ({ timestampMs: BigInt(timeOf(i)), value: MARK }));
    const series = Array.from({ length: seriesCount }, (_, i) => ({
      labels: labelsOf(name, i, { group: String(i % GROUP_COUNT) }),
      samples,
    }));
    this.message = writeRequest(series);
    this.#view = new DataView(this.message.buffer, this.message.byteOffset, this.message.byteLength);
    for (let at = 0; at + 8 <= this.message.length; at++) {
      if (this.#view.getBigUint64(at, true) === MARK) this.#valueAt.push(at);
    }
  }

  fill(firstSample: number): void {
    this.#valueAt.forEach((at, i) => {
      const sample = firstSample + this.#order[i % this.#order.length]!;
      const series = Math.floor(i / this.#order.length);
      this.#view.setUint32(at, valueLow(series, sample), true);
      this.#view.setUint32(at + 4, valueHigh(series, sample), true);
      // The tag of the time, then a varint of six bytes: that holds until the year 2109.
      let rest = timeOf(sample);
      for (let byte = at + 9; byte < at + 14; byte++, rest = Math.floor(rest / 128))
        this.message[byte] = (rest % 128) | 128;
      this.message[at + 14] = rest;
    });
  }
}
const MARK = 0x1234_5678_9abc_def0n;

const labelsOf = (name: string, series: number, more: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries({ __name__: name, ...more, series: String(series), echo: echoOf(String(series)) }).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );

class RaceWriter {
  readonly head: KernelHead;
  readonly chunkDir = mkdtempSync(join(tmpdir(), "tsdb-race-"));
  readonly progress = new Int32Array(new SharedArrayBuffer(PROGRESS_WORDS * 4));
  readonly #template = new RequestTemplate({
    name: "race",
    seriesCount: SERIES_COUNT,
    order: Array.from({ length: SAMPLES_PER_REQUEST }, (_, i) => i),
  });
  readonly #late = new RequestTemplate({ name: "late", seriesCount: LATE_SERIES, order: LATE_ORDER });
  /** Of the late series; none before the first request. */
  #lateRefs: readonly number[] = [];
  /** Beyond those of the readers. */
  readonly #slot: number;
  #file: { readonly index: number; readonly fd: number } | undefined;
  #samples = 0;
  #blocks = 0;
  #steps = 0;

  constructor({ debug, readers, withoutEpochs, withoutViews }: RaceOptions) {
    this.#slot = readers;
    this.head = new KernelHead({
      module: loadKernelModule({ debug }),
      limits: LIMITS,
      chunkFileBytesMax: CHUNK_FILE_BYTES,
      memoryBytesMax: 2 ** 32,
      walEnabled: false,
    });
    const { memory } = this.head;
    memory.setU32(memory.at.H_IGNORE_READERS, withoutEpochs === true ? 1 : 0);
    memory.setU32(memory.at.H_IGNORE_VIEWS, withoutViews === true ? 1 : 0);
  }

  get cellsRecycled(): number {
    return this.head.memory.i64(this.head.memory.at.H_CELLS_RECLAIMED);
  }

  get seriesCollected(): number {
    return this.head.memory.i64(this.head.memory.at.H_SERIES_COLLECTED);
  }

  get samplesWritten(): number {
    return this.head.memory.i64(this.head.memory.at.H_SAMPLES_TOTAL);
  }

  step(): void {
    this.#steps++;
    this.#send(this.#template);
    this.#send(this.#late);
    this.#samples += SAMPLES_PER_REQUEST;
    Atomics.store(this.progress, PROGRESS.samples, this.#samples);
    this.#delete();
    this.#flush();
    if (this.#steps % 8 === 0) this.#drop();
    this.head.kernel.collectBegin();
    this.head.kernel.collectSome(COLLECT_WORK);
    if (this.#steps % REQUESTS_PER_BLOCK === 0 && this.#blocks < BLOCKS_MAX) this.#addBlock();
  }

  #send(template: RequestTemplate): void {
    template.fill(this.#samples);
    const answer = this.head.ingest(template.message, timeOf(this.#samples + SAMPLES_PER_REQUEST));
    if (typeof answer === "number") throw new Error(`The kernel answered ${answer} to a write`);
    if (answer.rejected.size > 0) throw new Error(`Refused: ${JSON.stringify([...answer.rejected])}`);
  }

  /** Of the late series what some requests have brought. */
  #delete(): void {
    const { head } = this;
    const { kernel, memory } = head;
    const isLate: Matcher = { type: "=", name: "__name__", value: "late" };
    if (this.#lateRefs.length === 0) this.#lateRefs = head.select(this.#slot, [isLate], 0, Number.MAX_SAFE_INTEGER);
    const newest = this.#samples / SAMPLES_PER_REQUEST - 1;
    for (let request = Math.max(0, newest - DELETE_LAG_MAX); request <= newest; request++) {
      if (request + (deleteLagOf(request) ?? Number.NaN) !== newest) continue;
      memory.words.set(this.#lateRefs, memory.u32(memory.at.H_SERIES_ROWS) >>> 2);
      const first = request * SAMPLES_PER_REQUEST;
      const last = first + SAMPLES_PER_REQUEST - 1;
      const deleted = kernel.deleteSamples(this.#lateRefs.length, timeOf(first), timeOf(last));
      if (deleted !== LATE_SERIES) throw new Error(`The kernel deleted of ${deleted} series`);
    }
    Atomics.store(this.progress, PROGRESS.late, newest + 1);
  }

  /** New series of three samples, one request for the even and one for the odd, so that a block is half there for a while. */
  #addBlock(): void {
    const block = String(this.#blocks);
    for (const odd of [0, 1]) {
      const series = Array.from({ length: BLOCK_SERIES / 2 }, (_, i) => ({
        labels: labelsOf("block", this.#blocks * BLOCK_SERIES + 2 * i + odd, { block, parity: odd ? "odd" : "even" }),
        samples: [0, 1, 2].map((n) => ({
          timestampMs: BigInt(timeOf(firstSampleOf(this.#blocks) + n)),
          value: BigInt(n),
        })),
      }));
      const answer = this.head.ingest(writeRequest(series), timeOf(this.#samples));
      if (typeof answer === "number" || answer.accepted !== series.length * 3)
        throw new Error("A new series was refused");
    }
    this.#blocks++;
    Atomics.store(this.progress, PROGRESS.blocks, this.#blocks);
  }

  #drop(): void {
    const dropped = Math.max(0, this.#samples - SAMPLES_KEPT);
    Atomics.store(this.progress, PROGRESS.dropped, dropped);
    this.head.kernel.dropChunks(0, 2 ** 28, timeOf(dropped), Number.POSITIVE_INFINITY);
  }

  #flush(): void {
    for (;;) {
      const block = this.head.takeBlock(ALL_DURABLE, this.#steps % 64 === 0);
      if (block === undefined) return;
      if (this.#file?.index !== block.fileIndex) this.#openFile(block.fileIndex);
      writeSync(this.#file!.fd, block.bytes, 0, block.bytes.length, block.startOffset);
      this.head.kernel.sealRelease();
    }
  }

  #openFile(index: number): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = { index, fd: openSync(join(this.chunkDir, chunkFileName(index)), "w") };
    rmSync(join(this.chunkDir, chunkFileName(index - FILES_KEPT)), { force: true });
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    rmSync(this.chunkDir, { recursive: true, force: true });
  }
}
