/** Blocks that are complete under their temporary names get the names under which they count, all of them or none. */
import { join } from "node:path/posix";
import { removeTree } from "../../base/remove-tree.ts";
import type { Vfs } from "../../base/vfs.ts";
import { CREATION_SUFFIX } from "../block/block-files.ts";

export async function publishBlocks(vfs: Vfs, blocksDir: string, ulids: readonly string[]): Promise<void> {
  for (const ulid of ulids) await vfs.rename(join(blocksDir, ulid + CREATION_SUFFIX), join(blocksDir, ulid));
  await vfs.syncDir(blocksDir);
}

/** Removes what is there of blocks that have not got their names. */
export async function abandonBlocks(vfs: Vfs, blocksDir: string, ulids: readonly string[]): Promise<void> {
  for (const ulid of ulids) {
    const dir = join(blocksDir, ulid + CREATION_SUFFIX);
    if (await vfs.exists(dir)) await removeTree(vfs, dir);
  }
}
