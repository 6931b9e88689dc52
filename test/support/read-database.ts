/**
 * All that a database holds, by series: read as a query worker reads it, in this thread. What the reader warns of is thrown:
 * a test that reads everything wants everything.
 */
import type { DatabaseApi } from "../../src/tsdb/db.ts";
import type { HeldView } from "../../src/tsdb/db/views.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import { assert } from "../../src/base/assert.ts";
import { BlockStorage } from "../../src/tsdb/block/block-storage.ts";
import { HeadStorage } from "../../src/tsdb/head/head-storage.ts";
import { MergedStorage } from "../../src/tsdb/query/merged-storage.ts";
import { readStorage } from "./read-storage.ts";
import type { StoredSeries } from "./read-storage.ts";

export type { StoredSeries } from "./read-storage.ts";

/**
 * @param held the view to read; the newest when absent. It is left to whoever holds it
 * @returns series by their labels, written name="value",... in order of names
 */
export function readDatabase(database: DatabaseApi, vfs: Vfs, held?: HeldView): Map<string, StoredSeries> {
  const attachment = database.attach();
  assert(attachment !== undefined, "no reader slot is free");
  const head = new HeadStorage(attachment, vfs);
  const blocks = new BlockStorage({ vfs, blocksDir: "/data/blocks", cacheBytesMax: 1 << 20 });
  const { view, release } = held ?? database.acquireView();
  try {
    const sources = [...blocks.sources(view.blocks), head.source(view.headFloorMs)];
    const { series, warnings } = readStorage(new MergedStorage(sources, view.missing));
    if (warnings.length > 0) throw new Error(`Reading warns: ${warnings.join("; ")}`);
    return series;
  } finally {
    if (held === undefined) release();
    blocks.close();
    head.close();
    database.detach(attachment.slot);
  }
}
