/** Damage done to files: a bit turned over, an end cut off, two files exchanged. */
import { join } from "node:path/posix";
import type { Vfs } from "../../src/base/vfs.ts";
import { readAll } from "./block-twin.ts";

/** Turns one bit over; doing it again undoes it. */
export async function flipBit(vfs: Vfs, path: string, bit: number): Promise<void> {
  const file = await vfs.open(path, "write");
  const byte = new Uint8Array(1);
  await file.read(byte, bit >>> 3);
  byte[0]! ^= 1 << (bit & 7);
  await file.write(byte, bit >>> 3);
  await file.close();
}

export async function overwriteFile(vfs: Vfs, path: string, bytes: Uint8Array): Promise<void> {
  const file = await vfs.open(path, "write");
  await file.truncate(0);
  await file.write(bytes, 0);
  await file.close();
}

export async function exchangeFiles(vfs: Vfs, a: string, b: string): Promise<void> {
  const [first, second] = [readAll(vfs, a), readAll(vfs, b)];
  await overwriteFile(vfs, a, second);
  await overwriteFile(vfs, b, first);
}

/** Paths of all files of a directory and those in it, under it. */
export async function filesUnder(vfs: Vfs, dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await vfs.list(dir)) {
    const path = join(dir, name);
    if ((await vfs.stat(path))?.kind === "directory")
      found.push(...(await filesUnder(vfs, path)).map((under) => join(name, under)));
    else found.push(name);
  }
  return found;
}
