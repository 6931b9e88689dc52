/** Files that are replaced as a whole: at every moment, a power cut included, either the old content or the new is there. */
import { dirname, join } from "node:path/posix";
import { errnoOf } from "./errors.ts";
import type { Vfs, VfsFile } from "./vfs.ts";

/** What a file is called until it takes its place; one that is left over means nothing. */
const TEMPORARY_SUFFIX = ".tmp";

/** Puts `bytes` in the place of a file, or makes it, durably. When it rejects, the old content may or may not be there. */
export function replaceFile(vfs: Vfs, path: string, bytes: Uint8Array): Promise<void> {
  return replaceFileBy(vfs, path, (file) => file.write(bytes, 0));
}

/** As `replaceFile`, with what `fill` writes to a new file. */
export async function replaceFileBy(vfs: Vfs, path: string, fill: (file: VfsFile) => Promise<unknown>): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  if (await vfs.exists(temporary)) await vfs.remove(temporary);
  await makeFile(vfs, temporary, fill);
  await vfs.rename(temporary, path);
  await vfs.syncDir(dirname(path));
}

/** Removes what was never finished of replacing files whose names `isOurs` knows. */
export async function removeTemporaries(vfs: Vfs, dir: string, isOurs: (name: string) => boolean): Promise<void> {
  const isTemporary = (name: string): boolean =>
    name.endsWith(TEMPORARY_SUFFIX) && isOurs(name.slice(0, -TEMPORARY_SUFFIX.length));
  const left = (await vfs.list(dir)).filter(isTemporary);
  for (const name of left) await vfs.remove(join(dir, name));
  if (left.length > 0) await vfs.syncDir(dir);
}

/** Writes and syncs a new file, but not its name: that is for whoever syncs the directory. */
export function writeNewFile(vfs: Vfs, path: string, bytes: Uint8Array): Promise<void> {
  return makeFile(vfs, path, (file) => file.write(bytes, 0));
}

async function makeFile(vfs: Vfs, path: string, fill: (file: VfsFile) => Promise<unknown>): Promise<void> {
  const file = await vfs.open(path, "create");
  try {
    await fill(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The whole of a small file; undefined when there is none. */
export async function readWholeFile(vfs: Vfs, path: string): Promise<Uint8Array | undefined> {
  let file;
  try {
    file = await vfs.open(path, "read");
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
  try {
    const bytes = new Uint8Array(await file.sizeBytes());
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}
