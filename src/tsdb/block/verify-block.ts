/**
 * Verifies all there is of a block: every byte of every file against its checksum and the manifest, meta.json and the number
 * and hash of the samples against what is found, the index against itself and against the chunks.
 */
import { basename, join } from "node:path/posix";
import { errnoOf } from "../../base/errors.ts";
import type { Vfs } from "../../base/vfs.ts";
import { CorruptBlockError } from "../index/corrupt.ts";
import { SERIES_ALIGN } from "../index/format.ts";
import { PageCache } from "../index/page-cache.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNKS_DIR, INDEX_FILE, MANIFEST_FILE, META_FILE, TOMBSTONES_FILE } from "./block-files.ts";
import { BlockReader, readBlockMeta } from "./block-reader.ts";
import { chunkFileOf, chunkOffsetOf, isChunkFileName } from "./chunk-file-format.ts";
import { type BlockDamage, Damages } from "./damages.ts";
import { hashText, type Manifest, type SampleSum } from "./manifest.ts";
import { verifyFile } from "./verify-file.ts";
import { verifyIndex } from "./verify-index.ts";
import { walkSamples } from "./walk-samples.ts";

export interface VerifyOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  readonly memory: PrivateMemory;
  /** Called often; may throw. */
  readonly check: () => void;
  /** For each piece of a file that was read. */
  readonly onRead?: (bytes: number) => void;
}

export interface Verification {
  readonly damages: readonly BlockDamage[];
  /** Of all files together. */
  readonly bytesRead: number;
  /** What was found; undefined when some of it could not be read. */
  readonly samples: SampleSum | undefined;
}

const INDEX_CACHE_BYTES = 16 * 1024 * 1024;

/** @throws what is no damage, such as an errno error when a file cannot be opened, and what `check` throws */
export function verifyBlock({ vfs, dir, memory, check, onRead }: VerifyOptions): Verification {
  const damages = new Damages(dir);
  let bytesRead = 0;
  const manifest = damages.try(() => readBlockMeta(vfs, dir))?.manifest;
  for (const path of filesOf(vfs, dir, manifest, damages))
    damages.try(() =>
      verifyFile(vfs, {
        path: join(dir, path),
        expected: manifest?.files.find((file) => file.path === path),
        isChunkFile: path.startsWith(CHUNKS_DIR),
        onRead(bytes) {
          bytesRead += bytes;
          check();
          onRead?.(bytes);
        },
      }),
    );
  const block = damages.try(() => BlockReader.open(vfs, dir, new PageCache(INDEX_CACHE_BYTES)));
  if (block === undefined) return { damages: damages.found, bytesRead, samples: undefined };
  let samples: SampleSum | undefined;
  try {
    verifyIndex(block.index, damages, check);
    samples = verifySamples(block, memory, damages, check);
    verifyTombstones(block, damages);
  } finally {
    block.close();
  }
  return { damages: damages.found, bytesRead, samples };
}

/** Files to read: those of the manifest, or in blocks of others those that there are. */
function filesOf(vfs: Vfs, dir: string, manifest: Manifest | undefined, damages: Damages): string[] {
  let chunkFiles: string[] = [];
  try {
    chunkFiles = vfs.listSync(join(dir, CHUNKS_DIR)).map((name) => join(CHUNKS_DIR, name));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    damages.add(CHUNKS_DIR, 0, "it is missing");
  }
  if (manifest === undefined) return [INDEX_FILE, ...chunkFiles.filter((path) => isChunkFileName(basename(path)))];
  const known = manifest.files.map(({ path }) => path);
  for (const path of chunkFiles) if (!known.includes(path)) damages.add(path, 0, "it is not in the manifest");
  for (const path of [META_FILE, INDEX_FILE])
    if (!known.includes(path)) damages.add(MANIFEST_FILE, 0, `${path} is not in it`);
  return known;
}

function verifySamples(
  block: BlockReader,
  memory: PrivateMemory,
  damages: Damages,
  check: () => void,
): SampleSum | undefined {
  const { meta, manifest, index, chunks } = block;
  let seriesCount = 0;
  let chunkCount = 0;
  let sampleCount = 0;
  let hash = 0n;
  let isWhole = true;
  const damage = (error: unknown): void => {
    isWhole = false;
    damages.addError(error);
  };
  try {
    walkSamples(block, memory, {
      series(id, entry) {
        seriesCount++;
        chunkCount += entry.chunkCount;
        const isWithin =
          entry.chunkCount === 0 ||
          (entry.mint[0]! >= meta.minTime && entry.maxt[entry.chunkCount - 1]! < meta.maxTime);
        if (!isWithin && manifest !== undefined)
          damage(new CorruptBlockError(index.path, id * SERIES_ALIGN, "chunks outside of the block's time"));
      },
      chunk(samples, chunkHash, ref, fault) {
        sampleCount += samples;
        hash += chunkHash;
        if (fault !== undefined)
          damage(new CorruptBlockError(chunks.path(chunkFileOf(ref)), chunkOffsetOf(ref), fault));
      },
      damage,
      seriesDamage: damage,
      check,
    });
  } catch (error) {
    damage(error);
  }
  // What could not be read is missing from these, and was reported.
  if (!isWhole) return undefined;
  for (const [name, found, said] of [
    ["series", seriesCount, meta.stats.numSeries],
    ["chunks", chunkCount, meta.stats.numChunks],
    ["samples", sampleCount, meta.stats.numSamples],
  ] as const)
    if (found !== said) damages.add(META_FILE, 0, `it tells of ${said} ${name}, and there are ${found}`);
  const found = { count: sampleCount, hash: hashText(hash) };
  if (manifest !== undefined && (found.count !== manifest.samples.count || found.hash !== manifest.samples.hash))
    damages.add(MANIFEST_FILE, 0, `the samples are not those it was written with (${found.count}, ${found.hash})`);
  return found;
}

function verifyTombstones(block: BlockReader, damages: Damages): void {
  const tombstones = damages.try(() => block.readTombstones());
  if (tombstones === undefined) return;
  const ids = new Set(damages.try(() => block.index.allPostings()));
  for (const [series] of tombstones)
    if (!ids.has(series)) damages.add(TOMBSTONES_FILE, 0, `a series is deleted that there is not, ${series}`);
}
