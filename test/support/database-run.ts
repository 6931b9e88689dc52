/**
 * A database on a disk in memory beside the model of what it promises (database-model.ts): every step is taken by both, and
 * `check` compares all that is stored. Crashes, restarts and reopening with other options are steps like the others.
 */
import type { Vfs } from "../../src/base/vfs.ts";
import { BlockStorage } from "../../src/tsdb/block/block-storage.ts";
import { readBlockMeta } from "../../src/tsdb/block/block-reader.ts";
import { compareBlocks } from "../../src/tsdb/compact/plan.ts";
import type { CompactReport, Database, DatabaseOptions } from "../../src/tsdb/db.ts";
import type { HeldView } from "../../src/tsdb/db/views.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { jobs } from "../../src/tsdb/maintenance/jobs.ts";
import { InlineRunner } from "../../src/tsdb/maintenance/runner-inline.ts";
import { MergedStorage } from "../../src/tsdb/query/merged-storage.ts";
import { ManualClock } from "./clock.ts";
import { DATA_DIR, kernel, openDatabase, rest } from "./database.ts";
import { DatabaseModel, type ModelDelete, type ModelSample } from "./database-model.ts";
import { Random } from "./random.ts";
import { readDatabase, type StoredSeries } from "./read-database.ts";
import { readStorage } from "./read-storage.ts";
import type { ByteLabel } from "./remote-write-twin.ts";
import type { WriteResult } from "../../src/tsdb/storage.ts";
import { writeRequest } from "./remote-write-twin.ts";
import { MemoryVfs } from "./vfs/memory.ts";
import { snappyCompress } from "./write-request.ts";

export interface RunOptions {
  readonly sync: DatabaseOptions["wal"]["sync"];
  readonly segmentBytesMax: number;
  readonly chunkFileBytesMax: number;
  readonly retentionMs: number;
  readonly outOfOrderWindowMs: number;
  readonly packed: boolean;
  readonly compactionEnabled: boolean;
  readonly compactionIntervalMs: number;
  readonly memtableBytesMax: number;
}

export const RUN_OPTIONS: RunOptions = {
  sync: "always",
  segmentBytesMax: 16 * 1024,
  chunkFileBytesMax: 16 * 1024,
  retentionMs: 30 * 86_400_000,
  outOfOrderWindowMs: 24 * 3_600_000,
  packed: false,
  compactionEnabled: true,
  compactionIntervalMs: 300_000,
  memtableBytesMax: 64 * 2 ** 20,
};

export const SYNC_INTERVAL_MS = 1_000;

/** Series by the key under which it is read back. */
export const keyOf = (labels: readonly ByteLabel[]): string =>
  labels.map(([name, value]) => `${name}="${value}"`).join();

export interface RunSeries {
  /** In order of names, as text. */
  readonly labels: readonly ByteLabel[];
  readonly key: string;
}

export const runSeries = (labels: readonly ByteLabel[]): RunSeries => ({ labels, key: keyOf(labels) });

const bytesOf = (text: string): string => Buffer.from(text).toString("latin1");

/** A request with these samples, in their order; those of a series that follow each other together. */
export function bodyOf(series: readonly RunSeries[], samples: readonly ModelSample[]): Uint8Array {
  const parts: { series: RunSeries; samples: ModelSample[] }[] = [];
  for (const sample of samples) {
    const last = parts.at(-1);
    if (last?.series.key === sample.key) last.samples.push(sample);
    else parts.push({ series: series.find(({ key }) => key === sample.key)!, samples: [sample] });
  }
  return snappyCompress(
    writeRequest(
      parts.map(({ series: { labels }, samples: those }) => ({
        labels: labels.map(([name, value]) => [bytesOf(name), bytesOf(value)] as const),
        samples: those.map(({ timeMs, bits }) => ({ timestampMs: BigInt(timeMs), value: bits })),
      })),
    ),
  );
}

/** Waits until no job runs and none begins. */
export async function settle(database: Database): Promise<void> {
  for (let quiet = 0; quiet < 3;) {
    await rest(20);
    quiet = database.admin.jobs.length === 0 ? quiet + 1 : 0;
  }
}

/** All samples of the blocks in a directory, however they overlap. */
export async function readBlocks(vfs: Vfs, blocksDir: string): Promise<Map<string, StoredSeries>> {
  const names = await vfs.list(blocksDir);
  const metas = names.map((name) => readBlockMeta(vfs, `${blocksDir}/${name}`).meta).sort(compareBlocks);
  const blocks = new BlockStorage({ vfs, blocksDir, cacheBytesMax: 1 << 20 });
  try {
    const refs = metas.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime, tombstonesVersion: 0 }));
    const { series, warnings } = readStorage(new MergedStorage(blocks.sources(refs), []));
    if (warnings.length > 0) throw new Error(`Reading warns: ${warnings.join("; ")}`);
    return series;
  } finally {
    blocks.close();
  }
}

/** What was begun and not answered yet. */
export interface UnderWay {
  readonly samples?: readonly ModelSample[];
  readonly deleting?: ModelDelete & { readonly selector: string };
}

/** What is known at one moment of what a start may find; does not change any more. */
export interface Known {
  /** One of these is there, the likeliest first. */
  readonly models: readonly DatabaseModel[];
  readonly deleting: UnderWay["deleting"];
  readonly nowMs: number;
  readonly options: RunOptions;
}

export class DatabaseRun {
  readonly clock: ManualClock;
  readonly #series: readonly RunSeries[];
  readonly #random: Random;
  #options: RunOptions;
  #disk: MemoryVfs;
  /** What the database sees of the disk. */
  readonly #through: (disk: MemoryVfs) => Vfs;
  #database: Database | undefined;
  #model: DatabaseModel;
  /** Earlier states that a power cut may leave, oldest first: what is written and not synced is lost from its end on. */
  #mayRemain: DatabaseModel[] = [];
  #held: HeldView | undefined;
  #underWay: UnderWay = {};
  /** Jobs that were done in all its lives, by kind, and blocks past the retention. */
  readonly done: Record<string, number> = {};

  constructor(options: {
    readonly series: readonly RunSeries[];
    readonly random: Random;
    readonly startMs: number;
    readonly options?: Partial<RunOptions>;
    readonly disk?: MemoryVfs;
    readonly model?: DatabaseModel;
    readonly through?: (disk: MemoryVfs) => Vfs;
  }) {
    this.#series = options.series;
    this.#random = options.random;
    this.clock = new ManualClock(options.startMs);
    this.#options = { ...RUN_OPTIONS, ...options.options };
    this.#disk = options.disk ?? new MemoryVfs();
    this.#model = options.model ?? new DatabaseModel();
    this.#through = options.through ?? ((disk) => disk);
  }

  get database(): Database {
    if (this.#database === undefined) throw new Error("The database is not open");
    return this.#database;
  }

  get isOpen(): boolean {
    return this.#database !== undefined;
  }

  get disk(): MemoryVfs {
    return this.#disk;
  }

  get model(): DatabaseModel {
    return this.#model;
  }

  get options(): RunOptions {
    return this.#options;
  }

  async open(options: Partial<RunOptions> = {}): Promise<void> {
    this.#options = { ...this.#options, ...options };
    this.#database = await this.#openOn(this.#disk);
    this.#expire();
  }

  #openOn(disk: MemoryVfs): Promise<Database> {
    const { sync, segmentBytesMax, chunkFileBytesMax, retentionMs, outOfOrderWindowMs, memtableBytesMax } =
      this.#options;
    const { packed, compactionEnabled, compactionIntervalMs } = this.#options;
    const vfs = this.#through(disk);
    const chance = this.#random.fork();
    const random = (count: number): Uint8Array => chance.bytes(count);
    const { clock } = this;
    return openDatabase(vfs, {
      clock,
      random,
      runner: new InlineRunner(jobs, { vfs, dataDir: DATA_DIR, module: kernel, clock, random, log: silentLogger }),
      wal: { sync, syncIntervalMs: SYNC_INTERVAL_MS, segmentBytesMax },
      chunkFileBytesMax,
      retention: { ageMs: retentionMs, sizeBytesMax: 0, volumePercentMax: 0 },
      outOfOrderWindowMs,
      maintenance: {
        compaction: { enabled: compactionEnabled, intervalMs: compactionIntervalMs, concurrency: 1 },
        packed,
        scrubIntervalMs: 0,
      },
      memtableBytesMax,
    });
  }

  /** Writes one request. @returns how many of its samples were accepted */
  async write(samples: readonly ModelSample[]): Promise<number> {
    this.#underWay = { samples };
    const { accepted, rejections } = await this.#send(samples);
    this.#underWay = {};
    if (accepted !== 0 && accepted !== samples.length)
      throw new Error(`${accepted} of ${samples.length} samples: ${JSON.stringify(rejections)}`);
    if (accepted > 0) this.#take(samples);
    return accepted;
  }

  #send(samples: readonly ModelSample[]): Promise<WriteResult> {
    return this.database.write({ format: "remote-write", body: bodyOf(this.#series, samples) });
  }

  #take(samples: readonly ModelSample[]): void {
    if (this.#options.sync === "interval") this.#mayRemain.push(this.#model.copy());
    this.#model.take(samples);
  }

  /** Lets time go by: timers run, and what they begin may still be under way. */
  async pass(durationMs: number, turns = 10): Promise<void> {
    this.clock.advance(durationMs);
    await rest(turns);
    this.#expire();
  }

  async settle(): Promise<void> {
    await settle(this.database);
    this.#expire();
  }

  #expire(): void {
    const { newestMs } = this.#model;
    const { ageMs } = this.database.admin.retention.settings;
    if (newestMs !== undefined && ageMs > 0) this.#model.expire(Math.min(this.clock.nowMs(), newestMs) - ageMs);
  }

  /** All that was written is durable. */
  async sync(): Promise<void> {
    await this.pass(SYNC_INTERVAL_MS, 20);
    this.#mayRemain = [];
  }

  async delete(selector: string, request: ModelDelete): Promise<void> {
    // What is deleted of blocks is so at once: that it outlives samples that were never synced breaks no promise.
    await this.sync();
    this.#underWay = { deleting: { selector, ...request } };
    await this.#delete(selector, request);
    await this.sync();
    this.#model.delete(request);
    this.#underWay = {};
  }

  async #delete(selector: string, { mint, maxt }: ModelDelete): Promise<void> {
    await this.#ask(({ admin }) => admin.deleteSeries({ selectors: [selector], mint, maxt, isDryRun: false }));
  }

  compact(): Promise<CompactReport> {
    return this.#ask(({ admin }) => admin.compact());
  }

  cleanTombstones(): Promise<CompactReport> {
    return this.#ask(({ admin }) => admin.cleanTombstones());
  }

  /** Time goes on meanwhile: what is asked for may have to wait for a flush, which waits for the log. */
  async #ask<T>(make: (database: Database) => Promise<T>): Promise<T> {
    this.release();
    const answer = await this.#advanceUntil(make(this.database));
    this.#expire();
    return answer;
  }

  async #advanceUntil<T>(asked: Promise<T>): Promise<T> {
    const progress = { isOver: false };
    const end = (): void => void (progress.isOver = true);
    asked.then(end, end);
    for (await rest(); !progress.isOver; await rest()) this.clock.advance(SYNC_INTERVAL_MS);
    return asked;
  }

  /** Looks at the database as a query that began now, until it is released. */
  hold(): void {
    this.#held ??= this.database.acquireView();
  }

  release(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  /** @throws when anything that is stored differs from the model */
  check(): void {
    this.#compare("what is stored", readDatabase(this.database, this.#disk));
    if (this.#held !== undefined)
      this.#compare("what an older view shows", readDatabase(this.database, this.#disk, this.#held));
  }

  #compare(what: string, stored: ReadonlyMap<string, StoredSeries>): void {
    const difference = this.#model.difference(stored);
    if (difference !== undefined) throw new Error(`In ${what}, ${difference}`);
  }

  async snapshot(): Promise<void> {
    await this.sync();
    const { name } = await this.#ask(({ admin }) => admin.snapshot(false));
    const dir = `${DATA_DIR}/snapshots/${name}`;
    this.#compare(`snapshot ${name}`, await readBlocks(this.#disk, dir));
  }

  #count(): void {
    const { jobs: counts, retentionDeletionsTotal } = this.database.stats().maintenance;
    for (const [kind, { doneTotal }] of Object.entries(counts)) this.done[kind] = (this.done[kind] ?? 0) + doneTotal;
    this.done["expired"] = (this.done["expired"] ?? 0) + retentionDeletionsTotal.age;
  }

  async close(): Promise<void> {
    this.release();
    this.#count();
    const { database } = this;
    this.#database = undefined;
    this.#mayRemain = [];
    await database.close();
    if (this.#disk.openPaths.length > 0) throw new Error(`Left open: ${this.#disk.openPaths.join(" ")}`);
  }

  async restart(options: Partial<RunOptions> = {}): Promise<void> {
    await this.close();
    await this.open(options);
  }

  /** What may be found after a crash at this moment. @param isPowerCut a killed process loses nothing */
  known(isPowerCut = true): Known {
    const { samples, deleting } = this.#underWay;
    const models = [this.#model.copy()];
    if (samples) models.unshift(this.#model.copy());
    if (samples) models[0]!.take(samples);
    if (isPowerCut) models.push(...this.#mayRemain.map((model) => model.copy()).reverse());
    return { models, deleting, nowMs: this.clock.nowMs(), options: this.#options };
  }

  /** Goes on with a disk as it was found after a crash. @throws when what was promised is not there */
  async find(disk: MemoryVfs, known: Known, options: Partial<RunOptions> = {}): Promise<void> {
    const { deleting } = known;
    const models = known.models.map((model) => model.copy());
    this.#disk = disk;
    this.#mayRemain = [];
    this.#underWay = {};
    this.#model = models[0]!;
    await this.open(options);
    if (this.database.damage.length > 0) throw new Error(`Damaged: ${JSON.stringify(this.database.damage)}`);
    const stored = readDatabase(this.database, this.#disk);
    const cutoffMs = Math.max(...models.map((model) => model.cutoffMs));
    for (const model of models) model.expire(cutoffMs);
    const differences = models.map((model) => model.difference(stored, deleting));
    const fitting = differences.indexOf(undefined);
    if (fitting < 0) throw new Error(`In what is found, ${differences.join("; or ")}`);
    this.#model = models[fitting]!;
    // Whoever was not told that it is done asks again.
    if (deleting) await this.delete(deleting.selector, deleting);
  }

  /**
   * The power fails, or the process is killed, while something is under way; then the database starts again.
   * @param keep the share of what was not synced that survives; undefined: the process is killed
   */
  async crash(keep: number | undefined, options: Partial<RunOptions> = {}, underWay: UnderWay = {}): Promise<void> {
    const { samples, deleting } = underWay;
    this.release();
    this.#underWay = underWay;
    const known = this.known(keep !== undefined);
    const writing = samples && this.#send(samples);
    const working = deleting && this.#delete(deleting.selector, deleting);
    await rest(this.#random.below(deleting ? 30 : 4));
    const found = keep === undefined ? this.#disk.kill() : this.#disk.crash({ keep, random: this.#random.fork() });
    this.#count();
    // The old process goes on for itself, so that what waits for time ends.
    await this.#advanceUntil(Promise.allSettled([writing, working]));
    await this.database.close();
    await this.find(found, known, options);
  }
}
