/**
 * A database on a disk in memory and a fixed sequence of write requests, with the knowledge of which were acknowledged:
 * what the fault tests run, and how they judge what is found afterwards.
 *
 * The requests are always the same, whatever the faults: request `i` has samples of some of eight series, values being a
 * function of series and time. Every third one seals chunks. The later half lies six hours after the first, longer than
 * the retention.
 */
import { dirname } from "node:path/posix";
import { Database, type DatabaseOptions } from "../../../../src/tsdb/db.ts";
import { silentLogger } from "../../../../src/base/logger.ts";
import { loadKernelModule } from "../../../../src/tsdb/kernel/load.ts";
import type { Vfs } from "../../../../src/base/vfs.ts";
import { ManualClock } from "../../../support/clock.ts";
import { inlineMaintenance } from "../../../support/database.ts";
import { readDatabase } from "../../../support/read-database.ts";
import { Random } from "../../../support/random.ts";
import { MemoryVfs } from "../../../support/vfs/memory.ts";
import { writeBody } from "../../../support/write-request.ts";

const kernel = loadKernelModule();

export const DATA_DIR = "/data";
export const WAL_DIR = "/data/wal";
export const START_MS = Date.UTC(2026, 0, 1, 1, 30);
export const RETENTION_MS = 4 * 3_600_000;
const LATER_MS = 6 * 3_600_000;
export const SYNC_INTERVAL_MS = 1_000;

export type SyncMode = DatabaseOptions["wal"]["sync"];

interface Sample {
  readonly series: number;
  readonly timeMs: number;
}

export interface Request {
  readonly samples: readonly Sample[];
  readonly maxTimeMs: number;
  readonly body: Uint8Array;
}

const SERIES = 8;
const seriesKey = (series: number): string => `__name__="m",n="${series}"`;

/** Doubles with all 52 bits in use, so that a record of few samples has many bytes. */
export const valueOf = (series: number, timeMs: number): number => Math.sin(series * 1e6 + (timeMs % 1e7)) * 1e3;

/** The first request of the later half. */
export const LATER = 24;
const REQUESTS = 36;
const SPACING_MS = 200_000;

/** Whether request `i` fills chunks, so that more than the log has its samples. */
export const fillsChunks = (i: number): boolean => i % 3 === 2;

export const requests: readonly Request[] = Array.from({ length: REQUESTS }, (_, i) => {
  const startMs = START_MS - LATER * SPACING_MS + i * SPACING_MS + (i < LATER ? 0 : LATER_MS);
  // A chunk is full at 120 samples.
  const [seriesCount, times] = fillsChunks(i) ? [2, 130] : i % 3 === 1 ? [SERIES, 1] : [3, 2];
  const series = Array.from({ length: seriesCount }, (__, n) => ({
    n: (n + i) % SERIES,
    timesMs: Array.from({ length: times }, (___, t) => startMs + t * 1_000),
  }));
  return {
    samples: series.flatMap(({ n, timesMs }) => timesMs.map((timeMs) => ({ series: n, timeMs }))),
    maxTimeMs: startMs + (times - 1) * 1_000,
    body: writeBody(
      series.map(({ n, timesMs }) => ({
        labels: { __name__: "m", n: String(n) },
        samples: timesMs.map((timestamp) => ({ timestamp, value: valueOf(n, timestamp) })),
      })),
    ),
  };
});

/** The last request there is. */
export const LAST = REQUESTS - 1;

/** What is known at one moment; does not change any more. */
export interface Known {
  readonly nowMs: number;
  /** Requests that were handed over, in that order: the order of commits. */
  readonly begun: readonly number[];
  readonly acked: ReadonlySet<number>;
  /** Those whose last attempt was refused: they may be there or not. */
  readonly refused: ReadonlySet<number>;
}

export interface TrialOptions {
  readonly sync: SyncMode;
  readonly segmentBytesMax?: number;
  readonly chunkFileBytesMax?: number;
}

export class Trial {
  readonly clock = new ManualClock(START_MS);
  readonly #options: TrialOptions;
  readonly #begun: number[] = [];
  readonly #acked = new Set<number>();
  readonly #refused = new Set<number>();

  constructor(options: TrialOptions, known?: Known) {
    this.#options = options;
    if (!known) return;
    this.clock.jumpWall(known.nowMs - START_MS);
    this.#begun.push(...known.begun);
    for (const request of known.acked) this.#acked.add(request);
    for (const request of known.refused) this.#refused.add(request);
  }

  known = (): Known => ({
    nowMs: this.clock.nowMs(),
    begun: [...this.#begun],
    acked: new Set(this.#acked),
    refused: new Set(this.#refused),
  });

  /** A database that has not been started. */
  database(vfs: Vfs): Database {
    const { sync, segmentBytesMax = 4096, chunkFileBytesMax = 4096 } = this.#options;
    return new Database({
      dataDir: DATA_DIR,
      walDir: WAL_DIR,
      vfs,
      clock: this.clock,
      log: silentLogger,
      kernel,
      hashKeys: new Uint8Array(16),
      wal: { enabled: true, sync, syncIntervalMs: SYNC_INTERVAL_MS, segmentBytesMax },
      chunkFileBytesMax,
      retention: { ageMs: RETENTION_MS, sizeBytesMax: 0, volumePercentMax: 0 },
      diskReserveBytes: 0,
      ...inlineMaintenance({ vfs, dataDir: DATA_DIR, module: kernel, clock: this.clock }),
      memtableBytesMax: 64 * 2 ** 20,
      limits: {
        bodyBytesMax: 2 ** 16,
        decodedBytesMax: 2 ** 18,
        seriesPerRequestMax: 1_000,
        labelsPerSeriesMax: 40,
        labelNameBytesMax: 256,
        labelValueBytesMax: 4_096,
      },
    });
  }

  async open(vfs: Vfs): Promise<Database> {
    const database = this.database(vfs);
    await database.start();
    return database;
  }

  /** Writes request `i`, perhaps once more. @throws what the database throws */
  async write(database: Database, i: number): Promise<void> {
    const isRepeated = this.#begun.includes(i);
    if (!isRepeated) this.#begun.push(i);
    this.#refused.delete(i);
    const { rejections } = await database
      .write({ format: "remote-write", body: requests[i]!.body })
      .catch((thrown: unknown) => {
        this.#refused.add(i);
        throw thrown;
      });
    // All but the newest sample of a series is out of order when it comes again: what is there is there.
    for (const { reason, examples } of rejections)
      if (!isRepeated || reason !== "out_of_order") throw new Error(`request ${i} is refused: ${examples.join("; ")}`);
    this.#acked.add(i);
  }

  async writeAll(database: Database, from: number, to: number): Promise<void> {
    for (let i = from; i < to; i++) await this.write(database, i);
  }

  /** Moves time in steps, letting what timers start come to rest after each. */
  async pass(durationMs: number, stepMs = SYNC_INTERVAL_MS): Promise<void> {
    for (let passed = 0; passed < durationMs; passed += stepMs) {
      this.clock.advance(stepMs);
      await rest();
    }
  }

  /** As `write`, of the last request there is, at its time: not the time passes but the clock is put there. */
  async writeLast(database: Database): Promise<void> {
    this.clock.jumpWall(Math.max(0, requests[LAST]!.maxTimeMs - this.clock.nowMs()));
    await this.write(database, LAST);
  }

  /** Moves time to where the later half of the requests lies: what there is has gone to blocks by then. */
  async passRetention(): Promise<void> {
    await this.pass(LATER_MS, LATER_MS / 12);
  }
}

/**
 * A disk after a power cut, and what is known of it: two segments and a torn one, chunk files, something to repair. Its
 * requests are those before DYING, which was under way.
 */
export async function diskAfterPowerCut(): Promise<{ readonly disk: MemoryVfs; readonly known: Known }> {
  const disk = new MemoryVfs();
  const trial = new Trial({ sync: "always" });
  const first = await trial.open(disk);
  await trial.writeAll(first, 0, 4);
  await first.close();
  const second = await trial.open(disk);
  await trial.writeAll(second, 4, DYING);
  const dying = trial.write(second, DYING);
  const left = { disk: disk.crash({ keep: 0.5, random: new Random(3) }), known: trial.known() };
  await dying;
  await second.close();
  return left;
}
export const DYING = 6;

/** Lets everything run that waits for nothing but the disk in memory. */
export async function rest(): Promise<void> {
  for (let i = 0; i < 8; i++) await new Promise((resume) => setImmediate(resume));
}

/** What a crash may have taken: nothing that was acknowledged, or all behind some point of the order of commits. */
export type Promised = "all acked" | "prefix";

/** What the database holds of each request that was begun. @throws when it holds anything wrong */
export function countStored(database: Database, vfs: Vfs, begun: readonly number[]): Map<number, number> {
  const stored = readDatabase(database, vfs);
  const requestAt = new Map<string, number>();
  for (const i of begun) for (const { series, timeMs } of requests[i]!.samples) requestAt.set(`${series}@${timeMs}`, i);
  const counts = new Map<number, number>();
  for (let series = 0; series < SERIES; series++) {
    const { times, values } = stored.get(seriesKey(series)) ?? { times: [], values: [] };
    stored.delete(seriesKey(series));
    for (const [index, timeMs] of times.entries()) {
      const where = `series ${series} at ${timeMs}`;
      if (index > 0 && timeMs <= times[index - 1]!) throw new Error(`${where}: twice, or out of order`);
      const request = requestAt.get(`${series}@${timeMs}`);
      if (request === undefined) throw new Error(`${where}: never written`);
      if (!Object.is(values[index], valueOf(series, timeMs))) throw new Error(`${where}: another value`);
      counts.set(request, (counts.get(request) ?? 0) + 1);
    }
  }
  if (stored.size > 0) throw new Error(`There are strange series: ${[...stored.keys()].join(" ")}`);
  return counts;
}

/**
 * Compares what the database holds with what is known and promised.
 * @returns the requests that are there, in part only when the retention may have taken the rest
 */
export function judge(database: Database, vfs: Vfs, known: Known, promised: Promised): Set<number> {
  const counts = countStored(database, vfs, known.begun);
  const present = new Set<number>();
  let firstMissing: number | undefined;
  for (const i of known.begun) {
    const [count, whole] = [counts.get(i) ?? 0, requests[i]!.samples.length];
    if (count > 0) present.add(i);
    // Retention may have taken any part of it.
    if (requests[i]!.samples.some(({ timeMs }) => timeMs < known.nowMs - RETENTION_MS)) continue;
    if (count === whole && firstMissing !== undefined)
      throw new Error(`request ${i} is there without request ${firstMissing}, which came before it`);
    if (count === whole) continue;
    if (count > 0) throw new Error(`request ${i} is there in part: ${count} of ${whole} samples`);
    if (known.acked.has(i) && promised === "all acked") throw new Error(`request ${i} was acknowledged and is lost`);
    if (!known.refused.has(i)) firstMissing ??= i;
  }
  return present;
}

/** Paths of all files with what is in them: equal when two disks are. */
export async function treeOf(disk: MemoryVfs, dir = DATA_DIR): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const name of await disk.list(dir)) {
    const path = `${dir}/${name}`;
    const isDirectory = await disk.list(path).then(
      () => true,
      () => false,
    );
    if (isDirectory) Object.assign(tree, await treeOf(disk, path));
    else tree[path] = Buffer.from(await contentOf(disk, path)).toString("latin1");
  }
  return tree;
}

export async function contentOf(disk: MemoryVfs, path: string): Promise<Uint8Array> {
  const file = await disk.open(path, "read");
  try {
    const content = new Uint8Array(await file.sizeBytes());
    await file.read(content, 0);
    return content;
  } finally {
    await file.close();
  }
}

/** Gives a file other content, durably; creates it when it is missing. */
export async function putFile(disk: MemoryVfs, path: string, content: Uint8Array): Promise<void> {
  if (await disk.exists(path)) await disk.remove(path);
  const file = await disk.open(path, "create");
  await file.write(content, 0);
  await file.sync();
  await file.close();
  await disk.syncDir(dirname(path));
}
