/** A second name for a file, where there can be one: else its bytes are copied. */
import { copyFile } from "./copy-file.ts";
import { errnoOf } from "./errors.ts";
import type { Vfs } from "./vfs.ts";

/** Another volume, or one that has no links, or no more for this file, or a file of another user. */
const NO_LINK = new Set(["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "EACCES"]);

/** @returns whether `to` is a link now; otherwise it is not there */
export async function linkIfPossible(vfs: Vfs, from: string, to: string): Promise<boolean> {
  try {
    await vfs.link(from, to);
    return true;
  } catch (thrown) {
    if (!NO_LINK.has(errnoOf(thrown) ?? "")) throw thrown;
    return false;
  }
}

export async function linkOrCopy(vfs: Vfs, from: string, to: string): Promise<void> {
  if (!(await linkIfPossible(vfs, from, to))) await copyFile(vfs, from, to);
}
