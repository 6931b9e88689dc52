/** Where blocks lie under the data directory, what they weigh, and how they go. */
import { join } from "node:path/posix";
import { removeTree } from "../../base/remove-tree.ts";
import type { Vfs } from "../../base/vfs.ts";
import { CREATION_SUFFIX, DELETION_SUFFIX } from "../block/block-files.ts";
import { isUlid, ulidMaker, ulidTimeMs } from "../model/ulid.ts";
import type { JobEnvironment } from "./job-context.ts";

export const BLOCKS_DIR = "blocks";
export const QUARANTINE_DIR = "quarantine";
export const SNAPSHOTS_DIR = "snapshots";

/** What packed chunks take as XOR chunks, at most about. */
export const UNPACKED_FACTOR = 4;

export const blocksDirOf = ({ dataDir }: Pick<JobEnvironment, "dataDir">): string => join(dataDir, BLOCKS_DIR);

/** Whether a directory is half made or half removed: nothing of it counts. */
export const isTemporary = (name: string): boolean => name.endsWith(CREATION_SUFFIX) || name.endsWith(DELETION_SUFFIX);

/** Whether a path names something. Unlike `exists` it does not take a disk that fails for one that has nothing there. */
export const isThere = async (vfs: Vfs, path: string): Promise<boolean> => (await vfs.stat(path)) !== undefined;

/** Names in a directory; none when there is no such directory. */
export const listIfThere = async (vfs: Vfs, dir: string): Promise<string[]> =>
  (await isThere(vfs, dir)) ? vfs.list(dir) : [];

/** Creates a directory that stays: its own entry is durable, too. */
export async function makeDurableDir(vfs: Vfs, parent: string, name: string): Promise<string> {
  const dir = join(parent, name);
  if (await isThere(vfs, dir)) return dir;
  await vfs.mkdir(dir);
  await vfs.syncDir(parent);
  return dir;
}

/** Bytes of all files in a directory and those below. */
export async function sizeOfTree(vfs: Vfs, dir: string): Promise<number> {
  let bytes = 0;
  for (const name of await vfs.list(dir)) {
    const path = join(dir, name);
    const found = await vfs.stat(path);
    if (found?.kind === "directory") bytes += await sizeOfTree(vfs, path);
    else bytes += found?.sizeBytes ?? 0;
  }
  return bytes;
}

/**
 * Removes blocks, so that a crash leaves each either whole or under a name that says it is to go.
 * @param ulids those that are not there are gone already
 */
export async function removeBlocks(vfs: Vfs, blocksDir: string, ulids: Iterable<string>): Promise<void> {
  const doomed: string[] = [];
  for (const ulid of ulids) {
    const dir = join(blocksDir, ulid);
    const away = dir + DELETION_SUFFIX;
    if (await isThere(vfs, dir)) {
      if (await isThere(vfs, away)) await removeTree(vfs, away);
      await vfs.rename(dir, away);
    }
    if (await isThere(vfs, away)) doomed.push(away);
  }
  if (doomed.length === 0) return;
  await vfs.syncDir(blocksDir);
  for (const dir of doomed) await removeTree(vfs, dir);
  await vfs.syncDir(blocksDir);
}

/**
 * Names for new blocks, each after all blocks that are there: the order of names is that in which samples count, whatever the
 * clock says.
 */
export async function newUlids(
  { vfs, clock, random }: Pick<JobEnvironment, "vfs" | "clock" | "random">,
  blocksDir: string,
): Promise<() => string> {
  let newestMs = 0;
  for (const name of await listIfThere(vfs, blocksDir)) {
    const ulid = name.slice(0, 26);
    if (isUlid(ulid)) newestMs = Math.max(newestMs, ulidTimeMs(ulid));
  }
  const make = ulidMaker((into) => into.set(random(into.byteLength)));
  return () => make(Math.max(clock.nowMs(), newestMs + 1));
}
