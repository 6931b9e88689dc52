/** Replacing a file by a copy of another, or of its own beginning. */
import { replaceFileBy } from "./replace-file.ts";
import type { Vfs } from "./vfs.ts";

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
  const source = await vfs.open(from, "read");
  let sizeBytes = 0;
  try {
    await replaceFileBy(vfs, to, async (copy) => {
      const piece = new Uint8Array(PIECE_BYTES);
      for (let left = keepBytes; left > 0;) {
        const count = await source.read(piece.subarray(0, Math.min(left, piece.byteLength)), sizeBytes);
        if (count === 0) break;
        await copy.write(piece.subarray(0, count), sizeBytes);
        sizeBytes += count;
        left -= count;
      }
      await copy.write(tail, sizeBytes);
    });
  } finally {
    await source.close();
  }
  return sizeBytes + tail.byteLength;
}
