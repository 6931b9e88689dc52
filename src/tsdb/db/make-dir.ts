/** Creating a directory so that a power cut does not take it away again. */
import { dirname } from "node:path/posix";
import { errnoOf } from "../../base/errors.ts";
import type { Vfs } from "../../base/vfs.ts";

/** Creates the directory and its missing parents, and makes their names durable. */
export async function makeDir(vfs: Vfs, dir: string): Promise<void> {
  const made = [dir];
  for (let parent = dirname(dir); parent !== dirname(parent) && !(await vfs.exists(parent)); parent = dirname(parent)) {
    made.push(parent);
  }
  await vfs.mkdir(dir);
  for (const name of made.toReversed()) {
    try {
      // Even if it was there: whoever made it may not have come as far as this.
      await vfs.syncDir(dirname(name));
    } catch (thrown) {
      // A parent that is not ours may not even be opened.
      if (errnoOf(thrown) !== "EACCES" && errnoOf(thrown) !== "EPERM") throw thrown;
    }
  }
}
