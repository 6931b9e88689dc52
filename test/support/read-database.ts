/**
 * All that a database holds, by series: read as a query worker reads it, in this thread. What the reader warns of is thrown:
 * a test that reads everything wants everything.
 */
import type { DatabaseApi } from "../../src/tsdb/db.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import { assert } from "../../src/base/assert.ts";
import { HeadStorage } from "../../src/tsdb/head/head-storage.ts";
import { MergedStorage } from "../../src/tsdb/query/merged-storage.ts";
import { HEAD_ONLY } from "../../src/tsdb/storage.ts";
import { readStorage } from "./read-storage.ts";
import type { StoredSeries } from "./read-storage.ts";

export type { StoredSeries } from "./read-storage.ts";

/** @returns series by their labels, written name="value",... in order of names */
export function readDatabase(database: DatabaseApi, vfs: Vfs): Map<string, StoredSeries> {
  const attachment = database.attach();
  assert(attachment !== undefined, "no reader slot is free");
  const head = new HeadStorage(attachment, vfs);
  try {
    const { series, warnings } = readStorage(new MergedStorage([head.source(HEAD_ONLY.headFloorMs)]));
    if (warnings.length > 0) throw new Error(`Reading warns: ${warnings.join("; ")}`);
    return series;
  } finally {
    head.close();
    database.detach(attachment.slot);
  }
}
