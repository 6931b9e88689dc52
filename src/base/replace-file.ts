/** Small files that are written whole: at every moment, a power cut included, either the old content or the new is there. */
import { dirname } from "node:path/posix";
import { errnoOf } from "./errors.ts";
import type { Vfs } from "./vfs.ts";

/** What a file is called until it takes its place; one that is left over means nothing. */
const TEMPORARY_SUFFIX = ".tmp";

/** Puts `bytes` in the place of a file, or makes it, durably. When it rejects, the old content may or may not be there. */
export async function replaceFile(vfs: Vfs, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  if (await vfs.exists(temporary)) await vfs.remove(temporary);
  const file = await vfs.open(temporary, "create");
  try {
    await file.write(bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await vfs.rename(temporary, path);
  await vfs.syncDir(dirname(path));
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
