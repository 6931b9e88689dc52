/**
 * Writes the index file of a block (format.ts) from its beginning to its end; nothing is gone back to. Symbols are known
 * first, series come in the order of their label sets, and all else is made when the last one was added.
 */
import { AppendFile, type AppendedFile } from "../../base/append-file.ts";
import { assert } from "../../base/assert.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { crc32c } from "../../base/crc32c.ts";
import type { Vfs } from "../../base/vfs.ts";
import { encodeToc, INDEX_HEADER_BYTES, INDEX_MAGIC, INDEX_VERSION, POSTINGS_ALIGN, SERIES_ALIGN } from "./format.ts";
import { PostingsBuilder } from "./postings-builder.ts";
import { encodeSeries } from "./series-codec.ts";
import { compareLabels, SeriesEntry } from "./series-entry.ts";
import type { SymbolTable } from "./symbol-table.ts";

const SECTION_BYTES_MAX = 2 ** 32 - 1;

export class IndexWriter {
  readonly #file: AppendFile;
  readonly #symbols: SymbolTable;
  readonly #postings = new PostingsBuilder();
  readonly #content = new ByteWriter();
  readonly #head = new ByteWriter();
  /** The series before, for its labels. */
  readonly #before = new SeriesEntry();
  #lastRef = 0;
  #seriesOffset = 0;

  private constructor(file: AppendFile, symbols: SymbolTable) {
    this.#file = file;
    this.#symbols = symbols;
  }

  static async create(vfs: Vfs, path: string, symbols: SymbolTable): Promise<IndexWriter> {
    const file = await AppendFile.create(vfs, path);
    const writer = new IndexWriter(file, symbols);
    try {
      await writer.#begin();
    } catch (cause) {
      await file.abandon();
      throw cause;
    }
    return writer;
  }

  get seriesCount(): number {
    return this.#postings.seriesCount;
  }

  /** Adds the next series: its labels come behind those of all others, its chunks lie behind all others in the files. */
  async add(series: SeriesEntry): Promise<void> {
    this.#check(series);
    this.#pad(SERIES_ALIGN);
    const id = this.#file.position / SERIES_ALIGN;
    assert(id < 2 ** 32, "an index of more than 64 GiB");
    this.#content.clear();
    encodeSeries(series, this.#content);
    this.#head.clear();
    this.#head.uvarint(this.#content.length);
    this.#content.u32(crc32c(this.#content.written()));
    this.#file.append(this.#head.written());
    this.#file.append(this.#content.written());
    this.#postings.add(id, series);
    if (this.#file.isFull) await this.#file.drain();
  }

  /** Writes what follows the series, and syncs and closes the file. */
  async finish(): Promise<AppendedFile> {
    const labelIndices = this.#file.position;
    this.#pad(POSTINGS_ALIGN);
    const postings = this.#file.position;
    const table = await this.#writePostings();
    const postingsTable = this.#file.position;
    await this.#writeTable(table);
    // Nothing lies between what begins at the same offset: Prometheus gives label indices the same empty places.
    this.#file.append(
      encodeToc({
        symbols: INDEX_HEADER_BYTES,
        series: this.#seriesOffset,
        labelIndices,
        labelIndicesTable: postingsTable,
        postings,
        postingsTable,
      }),
    );
    return this.#file.finish();
  }

  async abandon(): Promise<void> {
    await this.#file.abandon();
  }

  async #begin(): Promise<void> {
    this.#head.u32(INDEX_MAGIC);
    this.#head.u8(INDEX_VERSION);
    this.#file.append(this.#head.written());
    await this.#writeSection("symbols", this.#symbols.count, (i) => this.#putText(this.#symbols.bytesOf(i)));
    this.#seriesOffset = this.#file.position;
  }

  /** What only a bug can cause, looked at before it is on disk: what is written is what all reading rests on. */
  #check(series: SeriesEntry): void {
    const { labels, labelCount, chunkCount, mint, maxt, ref } = series;
    for (let i = 0; i < labelCount; i++) {
      assert(i === 0 || labels[2 * i]! > labels[2 * i - 2]!, "labels of a series out of order");
      assert(labels[2 * i]! < this.#symbols.count && labels[2 * i + 1]! < this.#symbols.count, "an unknown symbol");
    }
    assert(this.seriesCount === 0 || compareLabels(this.#before, series) < 0, "series out of order, or one twice");
    for (let i = 0; i < chunkCount; i++) {
      assert(mint[i]! <= maxt[i]! && (i === 0 || mint[i]! > maxt[i - 1]!), "chunks of a series out of order");
      assert(ref[i]! > this.#lastRef, "chunk references that do not rise");
      this.#lastRef = ref[i]!;
    }
    this.#before.clear();
    for (let i = 0; i < labelCount; i++) this.#before.addLabel(labels[2 * i]!, labels[2 * i + 1]!);
  }

  /** @returns what the postings offset table consists of */
  async #writePostings(): Promise<{ names: Uint32Array; values: Uint32Array; offsets: Float64Array }> {
    const { pairCount } = this.#postings;
    const names = new Uint32Array(pairCount);
    const values = new Uint32Array(pairCount);
    // The list of all series comes first, and first in the table.
    const offsets = new Float64Array(pairCount + 1);
    offsets[0] = await this.#writeList(this.#postings.all());
    let i = 0;
    for (const { name, value, ids } of this.#postings.lists()) {
      names[i] = name;
      values[i] = value;
      offsets[++i] = await this.#writeList(ids);
    }
    return { names, values, offsets };
  }

  async #writeList(ids: Uint32Array): Promise<number> {
    const offset = this.#file.position;
    const content = this.#content;
    content.clear();
    content.u32(4 + 4 * ids.length);
    content.u32(ids.length);
    for (let i = 0; i < ids.length; i++) content.u32(ids[i]!);
    content.u32(crc32c(content.written().subarray(4)));
    this.#file.append(content.written());
    if (this.#file.isFull) await this.#file.drain();
    return offset;
  }

  async #writeTable(table: { names: Uint32Array; values: Uint32Array; offsets: Float64Array }): Promise<void> {
    const { names, values, offsets } = table;
    const none = new Uint8Array(0);
    await this.#writeSection("postings offsets", offsets.length, (i) => {
      this.#content.u8(2);
      this.#putText(i === 0 ? none : this.#symbols.bytesOf(names[i - 1]!));
      this.#putText(i === 0 ? none : this.#symbols.bytesOf(values[i - 1]!));
      this.#content.uvarint(offsets[i]!);
    });
  }

  /** Length, count, entries, checksum. @param put puts an entry to the content: once to measure it, once to write it */
  async #writeSection(what: string, count: number, put: (i: number) => void): Promise<void> {
    const content = this.#content;
    let length = 4;
    for (let i = 0; i < count; i++) {
      content.clear();
      put(i);
      length += content.length;
    }
    assert(length <= SECTION_BYTES_MAX, `more than 4 GiB of ${what}`);
    content.clear();
    content.u32(length);
    this.#file.append(content.written());
    content.clear();
    content.u32(count);
    let crc = 0;
    const flush = async (): Promise<void> => {
      crc = crc32c(content.written(), crc);
      this.#file.append(content.written());
      content.clear();
      if (this.#file.isFull) await this.#file.drain();
    };
    for (let i = 0; i < count; i++) {
      put(i);
      if (content.length > 64 * 1024) await flush();
    }
    await flush();
    content.u32(crc);
    this.#file.append(content.written());
  }

  #putText(text: Uint8Array): void {
    this.#content.uvarint(text.byteLength);
    this.#content.bytes(text);
  }

  #pad(align: number): void {
    const over = this.#file.position % align;
    if (over > 0) this.#file.append(new Uint8Array(align - over));
  }
}
