/** A database on a disk in memory, with a clock that the test moves and the kernel's debug build. */
import { silentLogger } from "../../src/base/logger.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import type { JobEnvironment } from "../../src/tsdb/maintenance/job-context.ts";
import { jobs } from "../../src/tsdb/maintenance/jobs.ts";
import { InlineRunner } from "../../src/tsdb/maintenance/runner-inline.ts";
import { Database, type DatabaseOptions } from "../../src/tsdb/db.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import { ManualClock } from "./clock.ts";
import { bitsOf } from "./columns.ts";
import { Random } from "./random.ts";
import { type TwinSeries, writeRequest } from "./remote-write-twin.ts";
import { snappyCompress } from "./write-request.ts";

export { bitsOf } from "./columns.ts";

export const kernel = loadKernelModule({ debug: true });
const MiB = 2 ** 20;

export const DATA_DIR = "/data";
export const WAL_DIR = "/data/wal";
export const CHUNK_DIR = "/data/chunks_head";

type Overrides = Omit<Partial<DatabaseOptions>, "wal"> & { readonly wal?: Partial<DatabaseOptions["wal"]> };

/** Maintenance in the thread of the test, on its disk and clock, with the same ULIDs in every run; no scrubbing. */
export function inlineMaintenance(
  environment: Omit<JobEnvironment, "random" | "log">,
): Pick<DatabaseOptions, "maintenance" | "random" | "runner"> {
  const chance = new Random(1);
  const random = (count: number): Uint8Array => chance.bytes(count);
  return {
    maintenance: {
      compaction: { enabled: true, intervalMs: 300_000, concurrency: 1 },
      packed: false,
      scrubIntervalMs: 0,
    },
    random,
    runner: new InlineRunner(jobs, { ...environment, random, log: silentLogger }),
  };
}

/** A database that has not been started. */
export function makeDatabase(vfs: Vfs, { wal, clock = new ManualClock(), ...overrides }: Overrides = {}): Database {
  return new Database({
    dataDir: DATA_DIR,
    walDir: WAL_DIR,
    vfs,
    clock,
    log: silentLogger,
    kernel,
    hashKeys: new Uint8Array(16),
    wal: { enabled: true, sync: "always", syncIntervalMs: 1_000, segmentBytesMax: MiB, ...wal },
    retention: { ageMs: 30 * 86_400_000, sizeBytesMax: 0, volumePercentMax: 0 },
    diskReserveBytes: 0,
    ...inlineMaintenance({ vfs, dataDir: DATA_DIR, module: kernel, clock }),
    memtableBytesMax: 64 * MiB,
    limits: {
      bodyBytesMax: MiB,
      decodedBytesMax: 4 * MiB,
      seriesPerRequestMax: 10_000,
      labelsPerSeriesMax: 40,
      labelNameBytesMax: 256,
      labelValueBytesMax: 4_096,
    },
    ...overrides,
  });
}

export async function openDatabase(vfs: Vfs, overrides: Overrides = {}): Promise<Database> {
  const database = makeDatabase(vfs, overrides);
  await database.start();
  return database;
}

/** Values by the bits that they are. */
export const write = (database: Database, series: readonly TwinSeries[]) =>
  database.write({ format: "remote-write", body: snappyCompress(writeRequest(series)) });

/** One series named `name` with samples [time in ms, value]. */
export const series = (name: string, samples: readonly (readonly [timeMs: number, value: number])[]): TwinSeries => ({
  labels: [["__name__", name]],
  samples: samples.map(([timeMs, value]) => ({ timestampMs: BigInt(timeMs), value: bitsOf(value) })),
});

/** Lets everything run that waits for nothing but the disk in memory. */
export async function rest(turns = 10): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resume) => void setImmediate(resume));
}
