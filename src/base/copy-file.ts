/**
 * Replacing a file as a whole: a copy is written aside, synced, and renamed over the target, so that at every moment one
 * of the two is there, and whole.
 */
import { dirname, join } from "node:path/posix";
import type { Vfs } from "./vfs.ts";

/** What copies are called until they are finished. */
const TEMPORARY_SUFFIX = ".tmp";
const PIECE_BYTES = 1024 * 1024;

/**
 * Puts the first bytes of one file, then `tail`, in place of another (or the same), durably.
 * @returns the size of the copy
 */
export async function copyFile(
  vfs: Vfs,
  from: string,
  to: string,
  keepBytes = Number.POSITIVE_INFINITY,
  tail: Uint8Array = new Uint8Array(0),
): Promise<number> {
  const temporary = to + TEMPORARY_SUFFIX;
  if (await vfs.exists(temporary)) await vfs.remove(temporary);
  const source = await vfs.open(from, "read");
  let sizeBytes = 0;
  try {
    const copy = await vfs.open(temporary, "create");
    try {
      const piece = new Uint8Array(PIECE_BYTES);
      for (let left = keepBytes; left > 0;) {
        const count = await source.read(piece.subarray(0, Math.min(left, piece.byteLength)), sizeBytes);
        if (count === 0) break;
        await copy.write(piece.subarray(0, count), sizeBytes);
        sizeBytes += count;
        left -= count;
      }
      await copy.write(tail, sizeBytes);
      await copy.sync();
    } finally {
      await copy.close();
    }
  } finally {
    await source.close();
  }
  await vfs.rename(temporary, to);
  await vfs.syncDir(dirname(to));
  return sizeBytes + tail.byteLength;
}

/** Removes copies that were never finished, of files whose names `isOurs` knows. */
export async function removeTemporaries(vfs: Vfs, dir: string, isOurs: (name: string) => boolean): Promise<void> {
  const isCopy = (name: string): boolean =>
    name.endsWith(TEMPORARY_SUFFIX) && isOurs(name.slice(0, -TEMPORARY_SUFFIX.length));
  const left = (await vfs.list(dir)).filter(isCopy);
  for (const name of left) await vfs.remove(join(dir, name));
  if (left.length > 0) await vfs.syncDir(dir);
}
