/**
 * A block, opened for reading: meta, index, chunks, tombstones. Synchronous, through pread; what is kept in memory of the
 * index is bounded by the page cache that all blocks of a thread share.
 *
 * Opening verifies meta.json against the manifest (in blocks of ours), the sizes of files, and the parts of the index that
 * are read then; all else is verified when it is read. @see verify-block.ts for everything at once
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path/posix";
import { errnoOf, messageOf } from "../../base/errors.ts";
import type { Vfs } from "../../base/vfs.ts";
import { readWholeBlockFile } from "../index/block-file.ts";
import { CorruptBlockError } from "../index/corrupt.ts";
import { IndexReader } from "../index/index-reader.ts";
import type { PageCache } from "../index/page-cache.ts";
import { CHUNKS_DIR, CREATION_SUFFIX, INDEX_FILE, MANIFEST_FILE, META_FILE } from "./block-files.ts";
import { chunkFileName, isChunkFileName } from "./chunk-file-format.ts";
import { ChunkFilesReader } from "./chunk-files-reader.ts";
import { decodeManifest, type Manifest } from "./manifest.ts";
import { type BlockMeta, decodeMeta } from "./meta.ts";
import { readTombstones, type Tombstones } from "./tombstones.ts";

export class BlockReader {
  readonly dir: string;
  readonly meta: BlockMeta;
  /** Absent in blocks that others have written. */
  readonly manifest: Manifest | undefined;
  readonly index: IndexReader;
  readonly chunks: ChunkFilesReader;
  readonly #vfs: Vfs;

  private constructor(vfs: Vfs, dir: string, cache: PageCache) {
    this.#vfs = vfs;
    this.dir = dir;
    const { meta, manifest } = readBlockMeta(vfs, dir);
    this.meta = meta;
    this.manifest = manifest;
    const chunksDir = join(dir, CHUNKS_DIR);
    this.chunks = new ChunkFilesReader(vfs, chunksDir, chunkFileSizes(vfs, chunksDir, manifest));
    this.index = IndexReader.open(vfs, join(dir, INDEX_FILE), cache);
    const expected = manifest?.files.find(({ path }) => path === INDEX_FILE)?.sizeBytes;
    const { path, sizeBytes } = this.index;
    if (expected !== undefined && sizeBytes !== expected) {
      this.index.close();
      throw new CorruptBlockError(path, sizeBytes, `it has ${sizeBytes} bytes instead of ${expected}`);
    }
  }

  /** @throws CorruptBlockError */
  static open(vfs: Vfs, dir: string, cache: PageCache): BlockReader {
    return new BlockReader(vfs, dir, cache);
  }

  /** Reads what is deleted of the block, as of now. @throws CorruptBlockError */
  readTombstones(): Tombstones {
    return readTombstones(this.#vfs, this.dir, this.manifest !== undefined);
  }

  close(): void {
    try {
      this.index.close();
    } finally {
      this.chunks.close();
    }
  }
}

/** Reads a block's meta.json, checked against its manifest when it has one. @throws CorruptBlockError */
export function readBlockMeta(
  vfs: Vfs,
  dir: string,
): { readonly meta: BlockMeta; readonly manifest: Manifest | undefined } {
  const bytes = readWholeBlockFile(vfs, join(dir, META_FILE));
  if (bytes === undefined) throw new CorruptBlockError(join(dir, META_FILE), 0, "it is missing");
  const meta = decode(join(dir, META_FILE), bytes, decodeMeta);
  const ulid = basename(dir, CREATION_SUFFIX);
  if (meta.ulid !== ulid) throw new CorruptBlockError(join(dir, META_FILE), 0, `it is of another block, ${meta.ulid}`);

  const manifestBytes = readWholeBlockFile(vfs, join(dir, MANIFEST_FILE));
  if (manifestBytes === undefined) return { meta, manifest: undefined };
  const manifest = decode(join(dir, MANIFEST_FILE), manifestBytes, decodeManifest);
  if (manifest.ulid !== ulid)
    throw new CorruptBlockError(join(dir, MANIFEST_FILE), 0, `it is of another block, ${manifest.ulid}`);
  const expected = manifest.files.find(({ path }) => path === META_FILE);
  if (expected?.sha256 !== createHash("sha256").update(bytes).digest("hex"))
    throw new CorruptBlockError(join(dir, META_FILE), 0, "it is not what the manifest says");
  return { meta, manifest };
}

function decode<T>(path: string, bytes: Uint8Array, from: (text: string) => T): T {
  try {
    return from(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CorruptBlockError(path, 0, messageOf(cause), cause);
  }
}

function chunkFileSizes(vfs: Vfs, chunksDir: string, manifest: Manifest | undefined): (number | undefined)[] {
  if (manifest !== undefined) {
    const files = manifest.files.filter(({ path }) => path.startsWith(`${CHUNKS_DIR}/`));
    return files.map(({ sizeBytes }) => sizeBytes);
  }
  let names: string[];
  try {
    names = vfs.listSync(chunksDir).filter(isChunkFileName);
  } catch (cause) {
    if (errnoOf(cause) !== "ENOENT") throw cause;
    throw new CorruptBlockError(chunksDir, 0, "it is missing", cause);
  }
  for (const [i, name] of names.entries())
    if (name !== chunkFileName(i)) throw new CorruptBlockError(join(chunksDir, chunkFileName(i)), 0, "it is missing");
  return names.map(() => undefined);
}
