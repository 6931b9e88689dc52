/**
 * Reads the head chunk files at the start and tells a sink what chunks they hold. The log has every sample of theirs, so
 * nothing is lost with a file: from the first damage on, in this file and all later ones, chunks are not used and the
 * samples come back with the replay of the log. (Later chunks alone would not do: replay skips what is older than a
 * series' newest chunk.)
 */
import { join } from "node:path/posix";
import { copyFile } from "../../base/copy-file.ts";
import { TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import type { RecordBuffer } from "../wal/reader.ts";
import {
  CHUNK_ENTRY_HEADER_BYTES,
  CHUNK_FILE_HEADER_BYTES,
  CHUNK_FILE_VERSION,
  chunkFileIndexOf,
  chunkFileName,
  decodeChunkEntry,
  decodeChunkFileHeader,
  type ChunkEntry,
} from "./chunk-file-format.ts";
import type { ChunkFile } from "./chunk-files.ts";

export interface ChunkSink {
  /** Where files are read to. */
  readonly buffer: RecordBuffer;
  /** @returns false when the chunk does not follow what was loaded before */
  loadChunk(entry: ChunkEntry, fileIndex: number, offset: number): boolean;
}

export interface LoadOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  readonly sink: ChunkSink;
  readonly log: Logger;
  /** Called between pieces. @throws to stop */
  readonly check: () => void;
}

export interface LoadedChunkFiles {
  /** What stays, in order. */
  readonly files: readonly ChunkFile[];
  readonly chunks: number;
  /** Where the next chunk goes. */
  readonly nextIndex: number;
  readonly nextOffset: number;
}

const QUARANTINE_DIR = "quarantine";
const PIECE_BYTES = 512 * 1024;

/**
 * Loads what is whole, cuts off what is not, and moves files that are of no use any more to `quarantine/`.
 * @throws TsdbError FORMAT_TOO_NEW; and what the file system throws
 */
export async function loadChunkFiles(options: LoadOptions): Promise<LoadedChunkFiles> {
  const { vfs, dir, log } = options;
  const indexes = (await vfs.list(dir)).map(chunkFileIndexOf).filter((index) => index !== undefined);
  const files: ChunkFile[] = [];
  let chunks = 0;
  let next = 1;
  for (const [i, index] of indexes.entries()) {
    const isLast = i === indexes.length - 1;
    const found = await loadFile(options, index, next);
    if (found.isDropped) {
      next = index + 1;
      continue;
    }
    chunks += found.chunks;
    if (found.sizeBytes > CHUNK_FILE_HEADER_BYTES) {
      files.push({ index, sizeBytes: found.sizeBytes, maxTimeMs: found.maxTimeMs });
      next = index + 1;
    }
    if (found.damage === undefined) continue;
    log[isLast ? "info" : "warn"](
      { operation: "head", file: chunkFileName(index), offset_bytes: found.sizeBytes },
      `a head chunk file is made again from the log: ${found.damage}`,
    );
    await cut(vfs, dir, index, found.sizeBytes, isLast);
    for (const later of indexes.slice(i + 1)) await setAside(vfs, dir, later);
    break;
  }
  const newest = files.at(-1);
  return { files, chunks, nextIndex: newest?.index ?? next, nextOffset: newest?.sizeBytes ?? CHUNK_FILE_HEADER_BYTES };
}

interface FoundInFile {
  /** Up to the end of the last whole chunk. */
  readonly sizeBytes: number;
  readonly maxTimeMs: number;
  readonly chunks: number;
  readonly isDropped: boolean;
  readonly damage: string | undefined;
}

const nothing: FoundInFile = {
  sizeBytes: 0,
  maxTimeMs: Number.NEGATIVE_INFINITY,
  chunks: 0,
  isDropped: false,
  damage: undefined,
};

/** @param next the index that the next file with chunks must have */
async function loadFile({ vfs, dir, sink, check }: LoadOptions, index: number, next: number): Promise<FoundInFile> {
  const path = join(dir, chunkFileName(index));
  const file = await vfs.open(path, "read");
  try {
    const header = new Uint8Array(CHUNK_FILE_HEADER_BYTES);
    const decoded = decodeChunkFileHeader(header.subarray(0, await file.read(header, 0)));
    if (decoded.kind === "too-new") throw tooNew(path, decoded.version);
    if (decoded.kind === "damaged") return { ...nothing, damage: "its header is damaged" };
    if (decoded.index !== index) {
      return { ...nothing, damage: `its header says that it is file ${chunkFileName(decoded.index)}` };
    }
    if (decoded.kind === "dropped") return { ...nothing, isDropped: true };
    if (index !== next) return { ...nothing, damage: `file ${chunkFileName(next)} before it is missing` };
    return await loadEntries(file, index, sink, check);
  } finally {
    await file.close();
  }
}

async function loadEntries(file: VfsFile, index: number, sink: ChunkSink, check: () => void): Promise<FoundInFile> {
  const { buffer } = sink;
  const fileBytes = await file.sizeBytes();
  let sizeBytes = CHUNK_FILE_HEADER_BYTES;
  let maxTimeMs = Number.NEGATIVE_INFINITY;
  let chunks = 0;
  const endsHere = (damage: string | undefined): FoundInFile => ({ ...nothing, sizeBytes, maxTimeMs, chunks, damage });
  while (sizeBytes < fileBytes) {
    const filled = await file.read(buffer.bytes.subarray(0, PIECE_BYTES), sizeBytes);
    let at = 0;
    while (filled - at >= CHUNK_ENTRY_HEADER_BYTES) {
      const entry = decodeChunkEntry(buffer.bytes, at);
      const entryBytes = CHUNK_ENTRY_HEADER_BYTES + entry.dataBytes;
      if (entryBytes > filled - at) break;
      if (buffer.crc32c(at + 4, entryBytes - 4, 0) !== entry.crc) return endsHere("checksum mismatch");
      if (!sink.loadChunk(entry, index, sizeBytes)) return endsHere("a chunk does not follow the one before it");
      maxTimeMs = Math.max(maxTimeMs, entry.mint + entry.span);
      chunks++;
      at += entryBytes;
      sizeBytes += entryBytes;
    }
    // A chunk is much smaller than a piece: one that does not fit is none.
    if (at === 0) return endsHere("the file ends inside a chunk");
    check();
  }
  return endsHere(undefined);
}

/** Leaves the first bytes of a file; a file without chunks goes. What was there is kept unless a power cut explains it. */
async function cut(vfs: Vfs, dir: string, index: number, sizeBytes: number, isLast: boolean): Promise<void> {
  const path = join(dir, chunkFileName(index));
  if (sizeBytes <= CHUNK_FILE_HEADER_BYTES) {
    if (!isLast) return setAside(vfs, dir, index);
    await vfs.remove(path);
    return vfs.syncDir(dir);
  }
  if (!isLast) await copyFile(vfs, path, await quarantinePath(vfs, dir, index));
  const file = await vfs.open(path, "write");
  try {
    await file.truncate(sizeBytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function setAside(vfs: Vfs, dir: string, index: number): Promise<void> {
  await vfs.rename(join(dir, chunkFileName(index)), await quarantinePath(vfs, dir, index));
  await vfs.syncDir(dir);
}

/** A free name in the quarantine. */
async function quarantinePath(vfs: Vfs, dir: string, index: number): Promise<string> {
  const quarantine = join(dir, QUARANTINE_DIR);
  await vfs.mkdir(quarantine);
  for (let copy = 1; ; copy++) {
    const path = join(quarantine, copy === 1 ? chunkFileName(index) : `${chunkFileName(index)}-${copy}`);
    if (!(await vfs.exists(path))) return path;
  }
}

const tooNew = (path: string, version: number): TsdbError =>
  new TsdbError("FORMAT_TOO_NEW", `${path} has version ${version}; this version reads ${CHUNK_FILE_VERSION}`, {
    remedy: "Start a version of tsdb that is at least as new as the one that wrote it",
  });
