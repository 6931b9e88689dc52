/**
 * All that a database holds, by series: read as a query worker reads it, in this thread. What the reader warns of is thrown:
 * a test that reads everything wants everything.
 */
import type { DatabaseApi } from "../../src/tsdb/db.ts";
import type { HeldView } from "../../src/tsdb/db/views.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import { assert } from "../../src/base/assert.ts";
import { systemClock } from "../../src/base/clock.ts";
import { BlockStorage } from "../../src/tsdb/block/block-storage.ts";
import { HeadStorage } from "../../src/tsdb/head/head-storage.ts";
import { PrivateMemory } from "../../src/tsdb/kernel/private-memory.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../src/tsdb/promql/budget.ts";
import { executeRange } from "../../src/tsdb/promql/engine.ts";
import { KernelReader } from "../../src/tsdb/promql/kernel-reader.ts";
import { renderJson } from "../../src/tsdb/promql/result-json.ts";
import { MergedStorage } from "../../src/tsdb/query/merged-storage.ts";
import type { Storage } from "../../src/tsdb/storage.ts";
import { kernel } from "./database.ts";
import { readStorage } from "./read-storage.ts";
import type { StoredSeries } from "./read-storage.ts";

export type { StoredSeries } from "./read-storage.ts";

/**
 * @param held the view to read; the newest when absent. It is left to whoever holds it
 * @returns series by their labels, written name="value",... in order of names
 */
export function readDatabase(database: DatabaseApi, vfs: Vfs, held?: HeldView): Map<string, StoredSeries> {
  return withStorage(database, vfs, held, (storage) => {
    const { series, warnings } = readStorage(storage);
    if (warnings.length > 0) throw new Error(`Reading warns: ${warnings.join("; ")}`);
    return series;
  });
}

/** What a database answers to range queries, as the text of its JSON. */
export function queryDatabase(
  database: DatabaseApi,
  vfs: Vfs,
  queries: readonly string[],
  range: { readonly startMs: number; readonly endMs: number; readonly stepMs: number },
): string[] {
  return withStorage(database, vfs, undefined, (storage) =>
    queries.map((query) => {
      const budget = new QueryBudget({ ...DEFAULT_LIMITS, timeoutMs: 600_000 }, systemClock);
      const samples = new KernelReader(new PrivateMemory(kernel), budget);
      const result = executeRange({ query, ...range, lookbackMs: 300_000, limit: 0 }, { storage, samples, budget });
      return Buffer.concat([...renderJson(result)]).toString();
    }),
  );
}

function withStorage<T>(database: DatabaseApi, vfs: Vfs, held: HeldView | undefined, use: (storage: Storage) => T): T {
  const attachment = database.attach();
  assert(attachment !== undefined, "no reader slot is free");
  const head = new HeadStorage(attachment, vfs);
  const blocks = new BlockStorage({ vfs, blocksDir: "/data/blocks", cacheBytesMax: 1 << 20 });
  const { view, release } = held ?? database.acquireView();
  try {
    return use(new MergedStorage([...blocks.sources(view.blocks), head.source(view.headFloorMs)], view.missing));
  } finally {
    if (held === undefined) release();
    blocks.close();
    head.close();
    database.detach(attachment.slot);
  }
}
