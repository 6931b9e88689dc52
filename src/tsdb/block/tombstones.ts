/**
 * What of a block is deleted: intervals of time for series, in the file `tombstones`, as Prometheus writes it:
 *
 *   magic 0x0130BA30 u32 | version 1 u8 | (uvarint series id, varint mint, varint maxt)* | crc32c u32 of these
 *
 * The checksum leaves out the version. Times are inclusive, ms; series ids are those of the index.
 */
import { join } from "node:path/posix";
import { ByteReader, loadU32 } from "../../base/byte-reader.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { crc32c } from "../../base/crc32c.ts";
import { messageOf } from "../../base/errors.ts";
import { replaceFile } from "../../base/replace-file.ts";
import type { Vfs } from "../../base/vfs.ts";
import { readWholeBlockFile } from "../index/block-file.ts";
import { CorruptBlockError } from "../index/corrupt.ts";
import { TOMBSTONES_FILE } from "./block-files.ts";

const MAGIC = 0x0130ba30;
const VERSION = 1;
const HEADER_BYTES = 5;

export interface Interval {
  readonly mint: number;
  readonly maxt: number;
}

const NONE: readonly Interval[] = [];

export class Tombstones {
  readonly #bySeries = new Map<number, readonly Interval[]>();

  /** Of all series together. */
  get intervalCount(): number {
    let count = 0;
    for (const intervals of this.#bySeries.values()) count += intervals.length;
    return count;
  }

  get seriesCount(): number {
    return this.#bySeries.size;
  }

  /** Ascending, with a gap between any two. */
  of(series: number): readonly Interval[] {
    return this.#bySeries.get(series) ?? NONE;
  }

  /** Adds an interval to those of a series; what overlaps or touches becomes one. */
  add(series: number, mint: number, maxt: number): void {
    const known = this.of(series);
    let from = mint;
    let to = maxt;
    const before: Interval[] = [];
    const after: Interval[] = [];
    for (const interval of known)
      if (interval.maxt < mint - 1) before.push(interval);
      else if (interval.mint > maxt + 1) after.push(interval);
      else {
        from = Math.min(from, interval.mint);
        to = Math.max(to, interval.maxt);
      }
    this.#bySeries.set(series, [...before, { mint: from, maxt: to }, ...after]);
  }

  [Symbol.iterator](): IterableIterator<[series: number, intervals: readonly Interval[]]> {
    return this.#bySeries.entries();
  }
}

export function encodeTombstones(tombstones: Tombstones): Uint8Array {
  const out = new ByteWriter();
  out.u32(MAGIC);
  out.u8(VERSION);
  for (const [series, intervals] of [...tombstones].sort(([a], [b]) => a - b))
    for (const { mint, maxt } of intervals) {
      out.uvarint(series);
      out.varint(mint);
      out.varint(maxt);
    }
  out.u32(crc32c(out.written().subarray(HEADER_BYTES)));
  return out.written();
}

/** @throws Error whose message says what is wrong */
export function decodeTombstones(bytes: Uint8Array): Tombstones {
  const end = bytes.byteLength - 4;
  if (end < HEADER_BYTES) throw new Error("the file ends too soon");
  const from = new ByteReader(bytes.subarray(0, end));
  if (from.u32() !== MAGIC) throw new Error("it does not begin as tombstones do");
  const version = from.u8();
  if (version !== VERSION) throw new Error(`it has version ${version}; ${VERSION} can be read`);
  if (crc32c(bytes.subarray(HEADER_BYTES, end)) !== loadU32(bytes, end)) throw new Error("checksum mismatch");
  const tombstones = new Tombstones();
  while (from.left > 0) {
    const series = from.uvarint();
    const mint = from.varint();
    const maxt = from.varint();
    if (mint > maxt) throw new Error("an interval that ends before it begins");
    tombstones.add(series, mint, maxt);
  }
  return tombstones;
}

/**
 * Reads the tombstones of a block.
 * @param isRequired whether a block without the file is damaged: ours all have one, and what was deleted must not come back
 * @throws CorruptBlockError
 */
export function readTombstones(vfs: Vfs, blockDir: string, isRequired: boolean): Tombstones {
  const path = join(blockDir, TOMBSTONES_FILE);
  const bytes = readWholeBlockFile(vfs, path);
  if (bytes === undefined && isRequired) throw new CorruptBlockError(path, 0, "it is missing");
  if (bytes === undefined) return new Tombstones();
  try {
    return decodeTombstones(bytes);
  } catch (cause) {
    throw new CorruptBlockError(path, 0, messageOf(cause), cause);
  }
}

/** Puts tombstones in place of those that a block has, durably. */
export async function replaceTombstones(vfs: Vfs, blockDir: string, tombstones: Tombstones): Promise<void> {
  await replaceFile(vfs, join(blockDir, TOMBSTONES_FILE), encodeTombstones(tombstones));
}
