/**
 * Files of blocks as their readers come to them, in pieces, blocking: what is missing, cut off, or not readable by the disk
 * is damage of the block.
 */
import { errnoOf } from "../../base/errors.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import { CorruptBlockError } from "./corrupt.ts";

/** @throws CorruptBlockError when there is no such file */
export function openBlockFile(vfs: Vfs, path: string): VfsFile {
  try {
    return vfs.openSync(path);
  } catch (cause) {
    if (errnoOf(cause) !== "ENOENT") throw cause;
    throw new CorruptBlockError(path, 0, "it is missing", cause);
  }
}

/** @returns how many bytes were read, fewer than asked for only at the end of the file; @throws CorruptBlockError */
export function readBlockFile(file: VfsFile, into: Uint8Array, offset: number): number {
  try {
    return file.readSync(into, offset);
  } catch (cause) {
    if (errnoOf(cause) !== "EIO") throw cause;
    throw new CorruptBlockError(file.path, offset, "the disk cannot read it", cause);
  }
}

/** The whole of a small file; undefined when there is none. @throws CorruptBlockError */
export function readWholeBlockFile(vfs: Vfs, path: string): Uint8Array | undefined {
  let file;
  try {
    file = vfs.openSync(path);
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
  try {
    const bytes = new Uint8Array(file.sizeBytesSync());
    return bytes.subarray(0, readBlockFile(file, bytes, 0));
  } finally {
    file.closeSync();
  }
}
