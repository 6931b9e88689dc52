/**
 * All samples of a data directory as blocks, without changing it: the blocks that are there, and blocks made of what is only
 * in the log and the head chunk files. For these a database is opened on an overlay (base/overlay-vfs.ts): what a start puts
 * in order, it puts in order in a scratch directory.
 */
import { join } from "node:path/posix";
import type { Clock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import { OverlayVfs } from "../../base/overlay-vfs.ts";
import { realVfs } from "../../base/vfs.ts";
import { compareBlocks } from "../compact/plan.ts";
import { supersededBlocks } from "../compact/superseded.ts";
import type { Config } from "../config.ts";
import { Database } from "../db.ts";
import { blocksOfHead } from "../export/head-blocks.ts";
import type { StoredBlock } from "../export/export-blocks.ts";
import { HeadStorage } from "../head/head-storage.ts";
import { listBlocks } from "../inspect/list-blocks.ts";
import { blocksDirOf } from "../maintenance/block-dirs.ts";
import { jobs } from "../maintenance/jobs.ts";
import { InlineRunner } from "../maintenance/runner-inline.ts";
import { MergedStorage } from "../query/merged-storage.ts";
import { jobEnvironment } from "./job-environment.ts";
import type { Progress } from "./progress.ts";

export interface OfflineOptions {
  readonly config: Config;
  readonly module: WebAssembly.Module;
  /** Exists, and is empty. */
  readonly scratchDir: string;
  readonly nextUlid: () => string;
  readonly check: () => void;
  readonly progress: Progress;
}

/**
 * The blocks that are there, in the order in which their samples count.
 * @throws TsdbError BLOCK_CORRUPT when one cannot be read
 */
export async function storedBlocks(dataDir: string): Promise<StoredBlock[]> {
  const blocksDir = blocksDirOf({ dataDir });
  const { blocks, unreadable } = await listBlocks(realVfs, blocksDir);
  const [damaged] = unreadable;
  if (damaged !== undefined)
    throw new TsdbError("BLOCK_CORRUPT", `Block ${damaged.ulid} is damaged: ${damaged.reason}`, {
      remedy: `Move it away from ${blocksDir} to export without it; \`tsdb verify\` tells more`,
    });
  const metas = blocks.map(({ meta }) => meta);
  const superseded = supersededBlocks(metas);
  return metas
    .filter(({ ulid }) => !superseded.has(ulid))
    .sort(compareBlocks)
    .map((meta) => ({ dir: join(blocksDir, meta.ulid), meta }));
}

/** Blocks of what no block has yet; they lie in the scratch directory. They count after all others. */
export async function headBlocks(options: OfflineOptions): Promise<StoredBlock[]> {
  const { config, module, scratchDir, nextUlid, check, progress } = options;
  const overlayDir = join(scratchDir, "overlay");
  const blocksDir = join(scratchDir, "blocks");
  for (const dir of [overlayDir, blocksDir]) await realVfs.mkdir(dir);
  const vfs = new OverlayVfs(realVfs, overlayDir);
  const database = openForReading(config, vfs, module);
  try {
    progress.update("replaying the log", { done: 0, total: 0, unit: "samples" });
    await database.start();
    // Held, so that the head keeps what it has now.
    const { view, release } = database.acquireView();
    const attachment = database.attach();
    if (attachment === undefined) throw new TsdbError("INTERNAL", "A fresh database has no reader slot");
    const head = new HeadStorage(attachment, vfs);
    try {
      const made = await blocksOfHead(new MergedStorage([head.source(view.headFloorMs)]), {
        vfs: realVfs,
        module,
        blocksDir,
        spillDir: join(scratchDir, "spill"),
        nextUlid,
        check,
        onProgress: (done, total) => progress.update("reading the log", { done, total, unit: "series" }),
      });
      return made.map(({ meta }) => ({ dir: join(blocksDir, meta.ulid), meta }));
    } finally {
      head.close();
      database.detach(attachment.slot);
      release();
    }
  } finally {
    await database.close();
  }
}

/** Nothing is old, no memory is too much, and nothing is done in the background: no timer ever fires. */
function openForReading({ storage, wal, limits }: Config, vfs: OverlayVfs, kernel: WebAssembly.Module): Database {
  const { dataDir } = storage;
  const real = jobEnvironment(dataDir, kernel);
  const clock: Clock = { ...real.clock, after: () => ({ cancel: () => undefined }) };
  const { log, random } = real;
  return new Database({
    dataDir,
    walDir: wal.dir,
    vfs,
    clock,
    log,
    kernel,
    hashKeys: random(16),
    random,
    runner: new InlineRunner(jobs, { ...real, vfs, clock }),
    maintenance: {
      compaction: { enabled: false, intervalMs: FOREVER_MS, concurrency: 1 },
      packed: false,
      scrubIntervalMs: 0,
    },
    wal,
    retention: { ageMs: FOREVER_MS, sizeBytesMax: 0, volumePercentMax: 0 },
    diskReserveBytes: 0,
    outOfOrderWindowMs: storage.outOfOrderWindowMs,
    memtableBytesMax: HEAD_BYTES_MAX,
    limits,
  });
}

const FOREVER_MS = 200 * 365 * 24 * 3_600_000;
const HEAD_BYTES_MAX = 3.5 * 1024 ** 3;
