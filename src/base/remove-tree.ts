/** Removing a directory with all that lies in it. */
import { join } from "node:path/posix";
import type { Vfs } from "./vfs.ts";

/** Nothing is synced: a crash may leave any part. Whoever needs it gone for good renames it first, and syncs the parent. */
export async function removeTree(vfs: Vfs, dir: string): Promise<void> {
  for (const name of await vfs.list(dir)) {
    const path = join(dir, name);
    const found = await vfs.stat(path);
    if (found?.kind === "directory") await removeTree(vfs, path);
    else if (found !== undefined) await vfs.remove(path);
  }
  await vfs.removeDir(dir);
}
