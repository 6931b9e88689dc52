/** Data directories on the real disk, for the commands that work on them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realVfs } from "../../src/base/vfs.ts";
import { openDatabase, write } from "./database.ts";
import type { TwinSeries } from "./remote-write-twin.ts";

/** A directory of one test's own under /tmp, with a way to get rid of it. */
export function temporaryDir(name: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `tsdb-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

type OpenOptions = Parameters<typeof openDatabase>[1];

/** Writes requests as a server would, and stops as it does. */
export async function writeDataDir(
  dataDir: string,
  requests: readonly (readonly TwinSeries[])[],
  options: OpenOptions = {},
): Promise<void> {
  const database = await openDatabase(realVfs, { dataDir, walDir: join(dataDir, "wal"), ...options });
  try {
    for (const request of requests) {
      const { rejections } = await write(database, request);
      if (rejections.length > 0) throw new Error(rejections[0]!.examples[0]);
    }
  } finally {
    await database.close();
  }
}
