/**
 * Blocks that Prometheus (or promtool, Mimir, a Thanos sidecar) has written, as blocks of ours: verified, linked or copied
 * beside the others, with a manifest of what they are now. Their chunks stay as they are, native histograms too.
 *
 * As with every import, nothing counts before all is complete: blocks get their names last.
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path/posix";
import { TsdbError } from "../../base/errors.ts";
import { linkIfPossible } from "../../base/link-file.ts";
import { removeTree } from "../../base/remove-tree.ts";
import { writeNewFile } from "../../base/replace-file.ts";
import type { Vfs } from "../../base/vfs.ts";
import {
  CHUNKS_DIR,
  CREATION_SUFFIX,
  INDEX_FILE,
  MANIFEST_FILE,
  META_FILE,
  TOMBSTONES_FILE,
} from "../block/block-files.ts";
import { BlockReader, readBlockMeta } from "../block/block-reader.ts";
import { chunkFileName } from "../block/chunk-file-format.ts";
import type { BlockDamage } from "../block/damages.ts";
import { encodeManifest, type ManifestFile } from "../block/manifest.ts";
import type { BlockMeta } from "../block/meta.ts";
import { isOpaque } from "../block/sample-sum.ts";
import { verifyBlock } from "../block/verify-block.ts";
import { supersededBlocks } from "../compact/superseded.ts";
import { readWholeBlockFile } from "../index/block-file.ts";
import { PageCache } from "../index/page-cache.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { isUlid } from "../model/ulid.ts";
import { abandonBlocks, publishBlocks } from "./publish-blocks.ts";
import { encodingName, isReadable, scanChunks } from "../inspect/scan-chunks.ts";

export interface ForeignOptions {
  readonly vfs: Vfs;
  readonly module: WebAssembly.Module;
  /** With blocks in it, or a block itself. */
  readonly sourceDir: string;
  /** Ours; exists. */
  readonly blocksDir: string;
  /** Of files that could be linked, too. */
  readonly copies: boolean;
  /** Called often. @throws to stop */
  readonly check: () => void;
  readonly onProgress: (what: "verifying" | "copying", done: number, total: number) => void;
}

export interface ForeignBlock {
  readonly meta: BlockMeta;
  readonly sizeBytes: number;
  /** Chunks that are kept as they are and that no query reads yet. */
  readonly histogramChunks: number;
  /** Blocks that were there before and share some of its time. */
  readonly overlaps: readonly string[];
}

export interface ForeignResult {
  readonly blocks: readonly ForeignBlock[];
  /** What they hold is in other blocks of the same directory, which were imported. */
  readonly superseded: readonly string[];
}

const CACHE_BYTES = 16 * 1024 * 1024;
const DAMAGES_LISTED_MAX = 10;
const PIECE_BYTES = 1024 * 1024;

/** @throws TsdbError BAD_REQUEST for blocks that cannot be taken, BLOCK_CORRUPT for damaged ones */
export async function importForeignBlocks(options: ForeignOptions): Promise<ForeignResult> {
  const { vfs, module, blocksDir, check, onProgress } = options;
  const found = await findBlocks(options);
  const ours = await readMetas(vfs, blocksDir);
  const superseded = supersededBlocks([...found.values()]);
  const wanted = [...found].filter(([, { ulid }]) => !superseded.has(ulid));
  refuseClashes(
    wanted.map(([, meta]) => meta),
    ours,
  );
  const ulids = wanted.map(([, { ulid }]) => ulid);
  const memory = new PrivateMemory(module);
  const cache = new PageCache(CACHE_BYTES);
  const blocks: ForeignBlock[] = [];
  try {
    for (const [i, [dir, meta]] of wanted.entries()) {
      onProgress("verifying", i, wanted.length);
      check();
      const { sizeBytes, histogramChunks } = await takeBlock(options, dir, meta, memory, cache);
      const overlaps = ours.filter((other) => meta.minTime < other.maxTime && other.minTime < meta.maxTime);
      blocks.push({ meta, sizeBytes, histogramChunks, overlaps: overlaps.map(({ ulid }) => ulid) });
    }
  } catch (thrown) {
    await abandonBlocks(vfs, blocksDir, ulids);
    throw thrown;
  }
  await publishBlocks(vfs, blocksDir, ulids);
  return { blocks, superseded: [...superseded] };
}

/** By their directories, in order of time. */
async function findBlocks({ vfs, sourceDir }: ForeignOptions): Promise<Map<string, BlockMeta>> {
  const isBlock = await vfs.exists(join(sourceDir, META_FILE));
  const dirs = isBlock ? [sourceDir] : (await vfs.list(sourceDir)).filter(isUlid).map((name) => join(sourceDir, name));
  if (dirs.length === 0)
    throw new TsdbError("BAD_REQUEST", `${sourceDir} has no blocks`, {
      remedy:
        "Give the data directory of a Prometheus, a snapshot of one, or a single block (a directory named by a ULID)",
    });
  const metas = dirs.map((dir) => [dir, readForeignMeta(vfs, dir)] as const);
  return new Map(metas.sort(([, a], [, b]) => a.minTime - b.minTime || (a.ulid < b.ulid ? -1 : 1)));
}

function readForeignMeta(vfs: Vfs, dir: string): BlockMeta {
  const { meta } = readBlockMeta(vfs, dir);
  const thanos = (
    JSON.parse(Buffer.from(readWholeBlockFile(vfs, join(dir, META_FILE))!).toString()) as { thanos?: unknown }
  ).thanos as { downsample?: { resolution?: unknown } } | undefined;
  const resolution = thanos?.downsample?.resolution;
  if (typeof resolution === "number" && resolution > 0)
    throw new TsdbError("BAD_REQUEST", `Block ${meta.ulid} was downsampled by Thanos: its samples are aggregates`, {
      remedy: "Import blocks of full resolution only",
    });
  return meta;
}

async function readMetas(vfs: Vfs, blocksDir: string): Promise<BlockMeta[]> {
  return (await vfs.list(blocksDir)).filter(isUlid).map((ulid) => readBlockMeta(vfs, join(blocksDir, ulid)).meta);
}

function refuseClashes(wanted: readonly BlockMeta[], ours: readonly BlockMeta[]): void {
  const known = new Set(ours.map(({ ulid }) => ulid));
  const clashes = wanted.filter(({ ulid }) => known.has(ulid)).map(({ ulid }) => ulid);
  if (clashes.length > 0)
    throw new TsdbError("BAD_REQUEST", `Blocks of these names are there already: ${clashes.join(", ")}`, {
      remedy: "They were imported before, or come from this database: import the others one by one",
    });
  const all = supersededBlocks([...ours, ...wanted]);
  const contained = [...wanted, ...ours].filter(({ ulid }) => all.has(ulid)).map(({ ulid }) => ulid);
  if (contained.length > 0)
    throw new TsdbError("BAD_REQUEST", `What is in these blocks is in others, too: ${contained.join(", ")}`, {
      remedy: "Blocks that were merged from one another cannot be in one database: import into an empty directory",
    });
}

/** Verifies a block and puts it, complete, beside ours under a temporary name. */
async function takeBlock(
  options: ForeignOptions,
  dir: string,
  meta: BlockMeta,
  memory: PrivateMemory,
  cache: PageCache,
): Promise<{ readonly sizeBytes: number; readonly histogramChunks: number }> {
  const { vfs, blocksDir, check } = options;
  const target = join(blocksDir, meta.ulid + CREATION_SUFFIX);
  if (await vfs.exists(target)) await removeTree(vfs, target);
  await vfs.mkdir(join(target, CHUNKS_DIR));
  const { damages, samples } = verifyBlock({ vfs, dir, memory, check });
  if (samples === undefined || damages.length > 0) throw damaged(dir, damages);
  const block = BlockReader.open(vfs, dir, cache);
  try {
    let histogramChunks = 0;
    const found = new Set<number>();
    scanChunks(block, memory, {
      check,
      chunk(encoding) {
        if (!isReadable(encoding)) throw unreadable(meta.ulid, encoding);
        if (isOpaque(encoding)) histogramChunks++;
        found.add(encoding);
      },
    });
    const names = [META_FILE, INDEX_FILE];
    for (let i = 0; i < block.chunks.fileCount; i++) names.push(join(CHUNKS_DIR, chunkFileName(i)));
    const files: ManifestFile[] = [];
    let sizeBytes = 0;
    for (const name of names) {
      const file = await bring(options, join(dir, name), join(target, name));
      files.push({ path: name, ...file });
      sizeBytes += file.sizeBytes;
    }
    if (await vfs.exists(join(dir, TOMBSTONES_FILE)))
      sizeBytes += (await bring(options, join(dir, TOMBSTONES_FILE), join(target, TOMBSTONES_FILE))).sizeBytes;
    const encodings = [...found].sort((a, b) => a - b);
    const manifest = new TextEncoder().encode(
      encodeManifest({ version: 1, ulid: meta.ulid, files, samples, encodings }),
    );
    await writeNewFile(vfs, join(target, MANIFEST_FILE), manifest);
    await vfs.syncDir(join(target, CHUNKS_DIR));
    await vfs.syncDir(target);
    return { sizeBytes: sizeBytes + manifest.byteLength, histogramChunks };
  } finally {
    block.close();
  }
}

/** Links a file, or copies it, and reads it for its hash where it is then. */
async function bring(
  { vfs, copies, check }: ForeignOptions,
  from: string,
  to: string,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const isLinked = !copies && (await linkIfPossible(vfs, from, to));
  const source = await vfs.open(from, "read");
  const copy = isLinked ? undefined : await vfs.open(to, "create");
  try {
    const hash = createHash("sha256");
    const piece = new Uint8Array(PIECE_BYTES);
    let sizeBytes = 0;
    for (;;) {
      check();
      const count = await source.read(piece, sizeBytes);
      if (count === 0) break;
      hash.update(piece.subarray(0, count));
      await copy?.write(piece.subarray(0, count), sizeBytes);
      sizeBytes += count;
    }
    await copy?.sync();
    return { sizeBytes, sha256: hash.digest("hex") };
  } finally {
    await source.close();
    await copy?.close();
  }
}

function damaged(dir: string, damages: readonly BlockDamage[]): TsdbError {
  const listed = damages
    .slice(0, DAMAGES_LISTED_MAX)
    .map(({ file, offsetBytes, message }) => `${join(dir, file)}, byte ${offsetBytes}: ${message}`);
  if (damages.length > listed.length) listed.push(`and ${damages.length - listed.length} more`);
  return new TsdbError("BLOCK_CORRUPT", `Block ${basename(dir)} is damaged\n${listed.join("\n")}`, {
    remedy: "Nothing was imported; restore the block, or import the others one by one",
  });
}

const unreadable = (ulid: string, encoding: number): TsdbError =>
  new TsdbError("BAD_REQUEST", `Block ${ulid} has chunks of encoding ${encoding} (${encodingName(encoding)})`, {
    remedy: "This version cannot read them; have the block written anew without that feature of Prometheus",
  });
