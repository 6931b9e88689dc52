/**
 * Writes a block (docs/format/block.md): aside first, each file and directory synced, and under its name only once all of it
 * is on disk.
 *
 *   create(symbols) ─▶ add(series) ... ─▶ finish() ─▶ publish()
 *                                                └──▶ abandon()
 *
 * Between finish and publish the block is complete, in `dir`, for whoever wants to look at it once more (check-block.ts).
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path/posix";
import { assert } from "../../base/assert.ts";
import { removeTree } from "../../base/remove-tree.ts";
import { writeNewFile } from "../../base/replace-file.ts";
import type { Vfs } from "../../base/vfs.ts";
import { IndexWriter } from "../index/index-writer.ts";
import { SeriesEntry } from "../index/series-entry.ts";
import type { SymbolTable } from "../index/symbol-table.ts";
import { CHUNKS_DIR, CREATION_SUFFIX, INDEX_FILE, MANIFEST_FILE, META_FILE, TOMBSTONES_FILE } from "./block-files.ts";
import { ChunkFilesWriter } from "./chunk-files-writer.ts";
import { encodeManifest, hashText, type ManifestFile, type SampleSum } from "./manifest.ts";
import { type BlockMeta, encodeMeta } from "./meta.ts";
import { encodeTombstones, Tombstones } from "./tombstones.ts";

export interface BlockWriterOptions {
  readonly vfs: Vfs;
  /** Where blocks lie. */
  readonly blocksDir: string;
  readonly ulid: string;
  /** Of all labels of all series to come; others do no harm. */
  readonly symbols: SymbolTable;
  /** Times of all samples; maxTime is exclusive. ms. */
  readonly minTime: number;
  readonly maxTime: number;
  /** Whether the block's times are those of its first and last sample, which then lie within these. */
  readonly hasTightTimes?: boolean;
  readonly compaction: BlockMeta["compaction"];
  readonly chunkFileBytesMax?: number;
}

export interface ChunkToWrite {
  readonly encoding: number;
  readonly data: Uint8Array;
  /** Of its first and last sample, ms. */
  readonly mint: number;
  readonly maxt: number;
  readonly sampleCount: number;
}

export interface FinishedBlock {
  readonly meta: BlockMeta;
  readonly samples: SampleSum;
  /** Of all files together. */
  readonly sizeBytes: number;
}

export class BlockWriter {
  /** Where the block is: under a temporary name, until it is published. */
  dir: string;
  readonly #options: BlockWriterOptions;
  readonly #index: IndexWriter;
  readonly #chunks: ChunkFilesWriter;
  readonly #series = new SeriesEntry();
  readonly #encodings = new Set<number>();
  #sampleCount = 0;
  #hash = 0n;
  #mint = Number.POSITIVE_INFINITY;
  #maxt = Number.NEGATIVE_INFINITY;

  private constructor(options: BlockWriterOptions, dir: string, index: IndexWriter) {
    this.#options = options;
    this.dir = dir;
    this.#index = index;
    this.#chunks = new ChunkFilesWriter(options.vfs, join(dir, CHUNKS_DIR), options.chunkFileBytesMax);
  }

  /** What is left of an earlier try under the same name is removed. */
  static async create(options: BlockWriterOptions): Promise<BlockWriter> {
    const { vfs, blocksDir, ulid, symbols } = options;
    const dir = join(blocksDir, ulid + CREATION_SUFFIX);
    if (await vfs.exists(dir)) await removeTree(vfs, dir);
    await vfs.mkdir(join(dir, CHUNKS_DIR));
    return new BlockWriter(options, dir, await IndexWriter.create(vfs, join(dir, INDEX_FILE), symbols));
  }

  get seriesCount(): number {
    return this.#index.seriesCount;
  }

  get sampleCount(): number {
    return this.#sampleCount;
  }

  /**
   * Adds the next series, in the order of label sets.
   * @param labels numbers of symbols: name, value, name, value, ... with the names ascending
   * @param chunks in time order, without overlaps; at least one
   * @param hash of the series' samples, with the seed of its labels (series-seed.ts)
   */
  async add(labels: Uint32Array, chunks: readonly ChunkToWrite[], hash: bigint): Promise<void> {
    const { minTime, maxTime } = this.#options;
    const series = this.#series;
    assert(chunks.length > 0, "a series without chunks");
    series.clear();
    for (let i = 0; i < labels.length; i += 2) series.addLabel(labels[i]!, labels[i + 1]!);
    for (const { encoding, data, mint, maxt, sampleCount } of chunks) {
      assert(mint >= minTime && maxt < maxTime, "a chunk outside of its block's time");
      series.addChunk(mint, maxt, await this.#chunks.add(encoding, data));
      this.#sampleCount += sampleCount;
      this.#encodings.add(encoding);
      this.#mint = Math.min(this.#mint, mint);
      this.#maxt = Math.max(this.#maxt, maxt);
    }
    this.#hash = BigInt.asUintN(64, this.#hash + hash);
    await this.#index.add(series);
  }

  /** Writes all that is left and syncs it, the directories too. */
  async finish(): Promise<FinishedBlock> {
    const { vfs, ulid, compaction, hasTightTimes = false } = this.#options;
    const isTight = hasTightTimes && this.#sampleCount > 0;
    const index = await this.#index.finish();
    const chunkFiles = await this.#chunks.finish();
    const meta: BlockMeta = {
      ulid,
      minTime: isTight ? this.#mint : this.#options.minTime,
      maxTime: isTight ? this.#maxt + 1 : this.#options.maxTime,
      stats: {
        numSamples: this.#sampleCount,
        numSeries: this.#index.seriesCount,
        numChunks: this.#chunks.chunkCount,
      },
      compaction,
      version: 1,
    };
    const metaBytes = utf8(encodeMeta(meta));
    const files: ManifestFile[] = [
      { path: META_FILE, sizeBytes: metaBytes.byteLength, sha256: sha256(metaBytes) },
      { path: INDEX_FILE, ...index },
      ...chunkFiles.map(({ name, file }) => ({ path: join(CHUNKS_DIR, name), ...file })),
    ];
    const samples = { count: this.#sampleCount, hash: hashText(this.#hash) };
    const tombstones = encodeTombstones(new Tombstones());
    const encodings = [...this.#encodings].sort((a, b) => a - b);
    const manifest = utf8(encodeManifest({ version: 1, ulid, files, samples, encodings }));
    await writeNewFile(vfs, join(this.dir, META_FILE), metaBytes);
    await writeNewFile(vfs, join(this.dir, TOMBSTONES_FILE), tombstones);
    await writeNewFile(vfs, join(this.dir, MANIFEST_FILE), manifest);
    await vfs.syncDir(join(this.dir, CHUNKS_DIR));
    await vfs.syncDir(this.dir);
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, tombstones.byteLength + manifest.byteLength);
    return { meta, samples, sizeBytes };
  }

  /** Gives the block its name, durably. */
  async publish(): Promise<void> {
    const { vfs, blocksDir, ulid } = this.#options;
    const dir = join(blocksDir, ulid);
    await vfs.rename(this.dir, dir);
    this.dir = dir;
    await vfs.syncDir(dirname(dir));
  }

  /** Leaves nothing of a block that was not published. */
  async abandon(): Promise<void> {
    // A close that fails has closed, and what was in the file is to go.
    await Promise.allSettled([this.#index.abandon(), this.#chunks.abandon()]);
    await removeTree(this.#options.vfs, this.dir);
  }
}

const encoder = new TextEncoder();
const utf8 = (text: string): Uint8Array => encoder.encode(text);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
