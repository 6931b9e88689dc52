/**
 * The hand-over from the head to blocks: `<data>/handover`, a small file that is replaced atomically once the blocks of a
 * flush are on disk. It says that all samples of WAL records up to `sequence`, before `beforeMs`, are in blocks; replay
 * skips exactly those. Only the newest hand-over matters.
 *
 *   magic "TSDBHND\0" | version u32 | crc32c u32 of all other bytes | sequence u64 | beforeMs i64        32 B, little-endian
 *
 * Without the file the log is replayed whole, and the next flush writes samples that are in blocks once more: equal samples
 * count once everywhere. So a damaged file costs nothing but that.
 */
import { join } from "node:path/posix";
import { crc32c } from "../../base/crc32c.ts";
import { TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { readWholeFile, replaceFile } from "../../base/replace-file.ts";
import type { Vfs } from "../../base/vfs.ts";

export interface HandOver {
  readonly sequence: number;
  /** Exclusive, ms. */
  readonly beforeMs: number;
}

export const HANDOVER_FILE = "handover";
const MAGIC = Uint8Array.from(Buffer.from("TSDBHND\0", "latin1"));
const VERSION = 1;
const BYTES = 32;

/** Resolves when it is durable. */
export function writeHandOver(vfs: Vfs, dataDir: string, handOver: HandOver): Promise<void> {
  return replaceFile(vfs, join(dataDir, HANDOVER_FILE), encode(handOver));
}

/**
 * @returns undefined when there was none, or when it is damaged, which the log then tells
 * @throws TsdbError FORMAT_TOO_NEW; what the file system throws
 */
export async function readHandOver(vfs: Vfs, dataDir: string, log: Logger): Promise<HandOver | undefined> {
  const path = join(dataDir, HANDOVER_FILE);
  const bytes = await readWholeFile(vfs, path);
  if (bytes === undefined) return undefined;
  const handOver = decode(bytes, path);
  if (handOver === undefined) {
    log.warn({ operation: "replay", file: path }, "the hand-over file is damaged: the whole log is replayed");
  }
  return handOver;
}

function encode({ sequence, beforeMs }: HandOver): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setBigUint64(16, BigInt(sequence), true);
  view.setBigInt64(24, BigInt(beforeMs), true);
  view.setUint32(12, crcOf(bytes), true);
  return bytes;
}

function decode(bytes: Uint8Array, path: string): HandOver | undefined {
  if (bytes.byteLength !== BYTES || !MAGIC.every((byte, i) => bytes[i] === byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, BYTES);
  if (view.getUint32(12, true) !== crcOf(bytes)) return undefined;
  const version = view.getUint32(8, true);
  if (version > VERSION) {
    throw new TsdbError("FORMAT_TOO_NEW", `${path} has version ${version}; this version reads ${VERSION}`, {
      remedy: "Start a version of tsdb that is at least as new as the one that wrote it",
    });
  }
  return { sequence: Number(view.getBigUint64(16, true)), beforeMs: Number(view.getBigInt64(24, true)) };
}

const crcOf = (bytes: Uint8Array): number => crc32c(bytes.subarray(16, BYTES), crc32c(bytes.subarray(0, 12)));
