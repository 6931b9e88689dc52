/**
 * Does to the log what reading it has found necessary (log.ts). Each step may be repeated, and a crash between any two
 * leaves a log that reads the same: a segment is replaced by renaming a finished, synced copy over it, never changed in
 * place. What could still be of use to somebody goes to `<wal>/quarantine/`.
 */
import { join } from "node:path/posix";
import { copyFile } from "../../base/copy-file.ts";
import type { Vfs } from "../../base/vfs.ts";
import { encodeMark, encodeSegmentHeader, segmentName } from "./format.ts";
import type { Repair } from "./log.ts";

export const QUARANTINE_DIR = "quarantine";

/** @returns the segment's size from now on; undefined when it is gone */
export async function repairSegment(vfs: Vfs, dir: string, repair: Repair): Promise<number | undefined> {
  const name = segmentName(repair.index);
  const path = join(dir, name);
  switch (repair.kind) {
    case "remove":
      if (await vfs.exists(path)) await vfs.remove(path);
      await vfs.syncDir(dir);
      return undefined;
    case "set-aside":
      if (await vfs.exists(path)) await vfs.rename(path, await quarantinePath(vfs, dir, name));
      await vfs.syncDir(join(dir, QUARANTINE_DIR));
      await vfs.syncDir(dir);
      return undefined;
    case "copy-aside":
      return copyFile(vfs, path, await quarantinePath(vfs, dir, name));
    case "renew": {
      const mark = encodeMark(repair.mark.sequence, repair.mark.firstLost);
      const tail = repair.keepBytes > 0 ? mark : Buffer.concat([encodeSegmentHeader(repair.index), mark]);
      return copyFile(vfs, path, path, repair.keepBytes, tail);
    }
  }
}

/** A free name in the quarantine. */
async function quarantinePath(vfs: Vfs, dir: string, name: string): Promise<string> {
  const quarantine = join(dir, QUARANTINE_DIR);
  await vfs.mkdir(quarantine);
  await vfs.syncDir(dir);
  for (let copy = 1; ; copy++) {
    const path = join(quarantine, copy === 1 ? name : `${name}-${copy}`);
    if (!(await vfs.exists(path))) return path;
  }
}
